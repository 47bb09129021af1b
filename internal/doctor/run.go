package doctor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// atOnce bounds how many checks are made at the same time.
const atOnce = 32

// Run makes the checks on the subject, those without a failed prerequisite in parallel, and reports
// them in the order in which they are given, a check's endpoints in the order of the subject's.
func Run(ctx context.Context, s *Subject, checks []Check) Report {
	began := s.Now()
	nodes := plan(s, checks)
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() {
			defer close(n.done)
			n.result = n.make(ctx, slots)
		})
	}
	all.Wait()
	return newReport(s, nodes, began)
}

// node is one check of one endpoint, or of the machine.
type node struct {
	check   Check
	subject *Subject
	needs   []*node
	done    chan struct{}
	result  Result // as the check gave it, once done is closed
}

// plan makes the nodes and ties each to what it needs: of the same endpoint where both have one.
func plan(s *Subject, checks []Check) []*node {
	var nodes []*node
	byID := map[ID][]*node{}
	for _, c := range checks {
		for _, subject := range s.each(c) {
			n := &node{check: c, subject: subject, done: make(chan struct{})}
			nodes = append(nodes, n)
			byID[c.ID] = append(byID[c.ID], n)
		}
	}
	for _, n := range nodes {
		for _, id := range n.check.Needs {
			for _, other := range byID[id] {
				if !n.check.PerEndpoint || !other.check.PerEndpoint || n.subject.Target == other.subject.Target {
					n.needs = append(n.needs, other)
				}
			}
		}
	}
	return nodes
}

// make waits for what the check needs and makes it.
func (n *node) make(ctx context.Context, slots chan struct{}) Result {
	for _, other := range n.needs {
		select {
		case <-other.done:
		case <-ctx.Done():
			return NotChecked("interrupted")
		}
		switch other.result.Status {
		case Problem:
			return NotChecked("because of %s", other.check.ID)
		case Skipped:
			return NotChecked("because %s was not checked", other.check.ID)
		}
	}
	if !n.check.Offline && !n.subject.Live() {
		return NotChecked("it needs this machine itself: no --root and no --offline")
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return NotChecked("interrupted")
	}
	return n.bounded(ctx)
}

// bounded makes the check in a goroutine of its own, which is left behind when it hangs.
func (n *node) bounded(ctx context.Context) Result {
	limit := n.check.Timeout
	if limit == 0 {
		limit = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ended := make(chan Result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- NotChecked("the check itself failed, which is a mistake of azfilesauth: %v", p)
			}
		}()
		ended <- n.subject.bySetup(n.check.Run(ctx, n.subject))
	}()
	// What ends by the limit gets a moment to say so in its own words.
	select {
	case r := <-ended:
		return r
	case <-ctx.Done():
	}
	select {
	case r := <-ended:
		return r
	case <-time.After(200 * time.Millisecond):
		return NotChecked("%s", hung(ctx, limit))
	}
}

// bySetup gives the installation of the program as the fix where setup would be it: setup makes links to a program that has
// to be there.
func (s *Subject) bySetup(r Result) Result {
	program := host.Bin("azfilesauth")
	if r.Fix == "azfilesauth setup" && s.FirstOf(program) == "" {
		r.Fix, r.Action = fault.SetupProgram.New(program).Fix(), ""
	}
	return r
}

func hung(ctx context.Context, limit time.Duration) string {
	if errors.Is(ctx.Err(), context.Canceled) {
		return "interrupted"
	}
	return fmt.Sprintf("there was no result within %s", limit)
}
