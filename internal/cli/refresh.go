package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const refreshTimeout = 2 * time.Minute

// Who refreshed.
const (
	byDaemon = "daemon"
	byItself = "azfilesauth"
)

// renewed is the result of refresh.
type renewed struct {
	By       string            `json:"by"` // "daemon" or "azfilesauth"
	Outcomes []control.Outcome `json:"outcomes"`
}

func (s *session) refresh(c *cobra.Command, args []string) error {
	ctx, cancel, err := bounded(c)
	if err != nil {
		return err
	}
	defer cancel()
	defer s.wait(ctx)()
	cfg, err := s.load()
	if err != nil {
		return err
	}
	var one endpoint.Endpoint
	if len(args) > 0 {
		if one, err = s.resolveName(args[0], cfg); err != nil {
			return err
		}
	}
	r, err := s.renew(ctx, cfg, one)
	if err != nil {
		return err
	}
	return s.presentRenewed(r)
}

// renew has the daemon do it, or does it. An endpoint that is not mounted is not the daemon's.
func (s *session) renew(ctx context.Context, cfg *config.Config, one endpoint.Endpoint) (renewed, error) {
	s.waits("the daemon")
	s.step()("asking the daemon at %s", s.Socket)
	outcomes, err := control.NewClient(s.Socket).Refresh(ctx, one.Host())
	refused, isRefused := errors.AsType[*control.Refused](err)
	notItsOwn := isRefused && refused.ID == string(fault.TicketUnknown.ID) || err == nil && len(outcomes) == 0 && !one.IsZero()
	if errors.Is(err, control.ErrNotRunning) {
		s.notes = append(s.notes, "the daemon is not running, so this was done without it; to start it: "+control.HowToStart(s.Host))
	} else if isRefused && !notItsOwn {
		return renewed{By: byDaemon, Outcomes: []control.Outcome{{Host: one.Host(), Fault: &refused.Fault}}}, nil
	} else if !notItsOwn {
		return renewed{By: byDaemon, Outcomes: outcomes}, err
	}
	outcomes, err = s.renewHere(ctx, cfg, one)
	return renewed{By: byItself, Outcomes: outcomes}, err
}

// renewHere gets the tickets of the mounted endpoints, or of the one that is not mounted.
func (s *session) renewHere(ctx context.Context, cfg *config.Config, one endpoint.Endpoint) ([]control.Outcome, error) {
	s.step()("doing it without the daemon")
	m, err := s.manager(cfg, s.step())
	if err != nil {
		return nil, err
	}
	all, err := s.mounted(cfg)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(a account) bool { return a.cruid < 0 || !one.IsZero() && a.Host() != one.Host() })
	if len(all) == 0 && !one.IsZero() {
		all = []account{{Endpoint: one, cruid: cfg.CredentialUID}}
	}
	outcomes := make([]control.Outcome, len(all))
	var done sync.WaitGroup
	for i, a := range all {
		done.Go(func() { outcomes[i] = s.renewOne(ctx, m, a) })
	}
	done.Wait()
	return outcomes, nil
}

func (s *session) renewOne(ctx context.Context, m *tickets.Manager, a account) control.Outcome {
	o := control.Outcome{Host: a.Host(), CRUID: a.cruid}
	got, err := m.Ensure(ctx, tickets.Request{Endpoint: a.Endpoint, CRUID: a.cruid, Username: a.username, Fresh: tickets.Always})
	if err != nil {
		o.Fault = control.FaultOf(err, s.Now())
	}
	o.TicketEnd = got.EndTime
	return o
}

// presentRenewed shows the outcomes. The exit status is that of the first failure.
func (s *session) presentRenewed(r renewed) error {
	if r.Outcomes == nil {
		r.Outcomes = []control.Outcome{}
	}
	for _, o := range r.Outcomes {
		if o.Fault != nil && s.exit == 0 {
			s.exit, s.failure = exitOf(o.Fault), failureOfDaemon(o.Fault)
		}
	}
	if s.json {
		s.warnings, s.notes = s.notes, nil
	}
	if err := s.result(r, func(w io.Writer) { s.writeRenewed(w, r) }); err != nil || s.json {
		return err
	}
	for _, o := range r.Outcomes {
		if o.Fault != nil {
			s.say("%s: %s: %s", legible.Line(o.Host), legible.Line(o.Fault.ID), legible.Line(o.Fault.What))
			s.say("fix: %s", legible.Line(o.Fault.Fix))
		}
	}
	for _, note := range s.notes {
		s.say("%s", note)
	}
	return nil
}

func (s *session) writeRenewed(w io.Writer, r renewed) {
	if len(r.Outcomes) == 0 {
		_, _ = fmt.Fprintln(w, "no share of Azure Files is mounted, so there is nothing to refresh")
	}
	for _, o := range r.Outcomes {
		if o.Fault == nil {
			_, _ = fmt.Fprintf(w, "%s: new ticket until %s (%s left)\n", legible.Line(o.Host), localTime(o.TicketEnd), timeLeft(s.Now(), o.TicketEnd))
		}
	}
}

// exitOf is the exit status of a fault that the daemon, maybe of another version, told of.
func exitOf(f *control.Fault) int {
	if kind, ok := fault.Lookup(fault.ID(f.ID)); ok {
		return int(kind.Exit)
	}
	return int(fault.ExitMount)
}
