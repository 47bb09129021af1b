package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// io DIR LOG [WRAPPER...] works in a folder as an application would, in the background, until the
// story ends or LOG is judged, and writes to LOG how each operation went; see runIO.
func (m *machine) io(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: io DIR LOG [WRAPPER...]")
	}
	out, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	command := append(slices.Clone(args[2:]), "/lab/guest", "io", args[0])
	c := exec.Command(command[0], command[1:]...)
	c.Dir, c.Stdout, c.Stderr = ts.MkAbs("."), out, out
	ts.Check(c.Start())
	ts.Check(out.Close())
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	worker := &worker{c.Process, ended}
	m.workers[out.Name()] = worker
	ts.Defer(func() { _ = worker.end() })
}

// worker is a process that works in a folder.
type worker struct {
	process *os.Process
	ended   chan struct{}
}

// end waits for what is under way.
func (w *worker) end() error {
	_ = w.process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-w.ended:
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("an operation does not end")
	}
}

// events ends the work and reads how it went.
func (m *machine) events(ts *testscript.TestScript, log string) []event {
	name := ts.MkAbs(log)
	if m.workers[name] == nil {
		ts.Fatalf("nobody writes to %s", log)
	}
	ts.Check(m.workers[name].end())
	f, err := os.Open(name)
	ts.Check(err)
	defer func() { _ = f.Close() }()
	events, err := readEvents(f)
	ts.Check(err)
	fmt.Printf("%s: %s\n", log, summary(events))
	return events
}

// healed LOG APART [PATIENCE] demands that the application saw every login answered, while sessions
// ended at least that far apart. PATIENCE is how long it waits and tries
// again; it is for cifs.upcall, which takes seconds where this machine has other things to do.
func (m *machine) healed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: healed LOG APART [PATIENCE]")
	}
	apart, err := time.ParseDuration(args[1])
	ts.Check(err)
	l := limits{recovery: recovery, patience: patience, apart: apart}
	if len(args) == 3 {
		longest, err := time.ParseDuration(args[2])
		ts.Check(err)
		l.recovery, l.patience, l.streaks = longest, longest, true
	}
	demand(ts, judgeHealing(m.events(ts, args[0]), l))
}

// logged-in LOG demands that no login failed. It is for sessions that the server drops, where the
// kernel sends again what the server may have done already.
func (m *machine) loggedIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: logged-in LOG")
	}
	demand(ts, judgeLogins(m.events(ts, args[0])))
}

// renewed HOST N demands that a storage account has issued at least N tickets after the first.
func (m *machine) renewed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: renewed HOST N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	list, err := m.azure.requests(azurefake.TargetStorage)
	ts.Check(err)
	issued := 0
	for _, r := range list {
		if r.Host == args[0] && r.Status == http.StatusOK {
			issued++
		}
	}
	if issued <= want {
		ts.Fatalf("%s has issued %d tickets in all", args[0], issued)
	}
}

// mark NAME remembers the time.
func (m *machine) mark(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mark NAME")
	}
	m.marks[args[0]] = time.Now()
}

// outlasted LOG HOST GONE BACK demands that the application saw no more of an outage of Azure, from
// one mark to the other, than it must, and that HOST was not asked too often meanwhile.
func (m *machine) outlasted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: outlasted LOG HOST GONE BACK")
	}
	gone, back := m.marks[args[2]], m.marks[args[3]]
	events := m.events(ts, args[0])
	demand(ts, judgeOutage(events, gone, back))
	asked, err := m.asked(args[1], gone, back)
	ts.Check(err)
	fmt.Printf("%s: %d requests in %v\n", args[0], asked, back.Sub(gone))
	if limit := askLimit(events, gone, back); asked > limit {
		ts.Fatalf("%s was asked %d times, more than %d", args[1], asked, limit)
	}
}

// asked is how many requests there were for a storage account and for tokens between two times.
func (m *machine) asked(host string, from, to time.Time) (n int, err error) {
	for _, target := range []string{azurefake.TargetStorage, azurefake.TargetIMDS} {
		list, err := m.azure.requests(target)
		if err != nil {
			return 0, err
		}
		for _, r := range list {
			if (r.Host == host || target == azurefake.TargetIMDS) && r.Time.After(from) && r.Time.Before(to) {
				n++
			}
		}
	}
	return n, nil
}

func demand(ts *testscript.TestScript, problems []string) {
	for _, p := range problems {
		ts.Logf("%s", p)
	}
	if len(problems) > 0 {
		ts.Fatalf("%d things that an application should not have seen", len(problems))
	}
}
