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
	var one named
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

// renew has the daemon do it, or does it. An endpoint or a mount point that is not mounted is not the daemon's.
func (s *session) renew(ctx context.Context, cfg *config.Config, one named) (renewed, error) {
	if one.place.Line() != nil && one.place.Mount == nil {
		outcomes, err := s.renewHere(ctx, cfg, one)
		return renewed{By: byItself, Outcomes: outcomes}, err
	}
	s.waits("the daemon")
	s.step()("asking the daemon at %s", s.Socket)
	outcomes, err := control.NewClient(s.Socket).Refresh(ctx, one.Host())
	refused, isRefused := errors.AsType[*control.Refused](err)
	notItsOwn := isRefused && refused.ID == string(fault.TicketUnknown.ID) || err == nil && len(outcomes) == 0 && !one.IsZero()
	alone := errors.Is(err, control.ErrNotRunning)
	if isRefused && !notItsOwn {
		return renewed{By: byDaemon, Outcomes: []control.Outcome{{Host: one.Host(), Fault: &refused.Fault}}}, nil
	}
	if !alone && !notItsOwn {
		return renewed{By: byDaemon, Outcomes: outcomes}, err
	}
	outcomes, err = s.renewHere(ctx, cfg, one)
	if alone {
		s.notes = append(s.notes, noDaemon(outcomes)+"; to start it: "+control.HowToStart(s.Host))
	}
	return renewed{By: byItself, Outcomes: outcomes}, err
}

// noDaemon says what was done although the daemon does not run.
func noDaemon(outcomes []control.Outcome) string {
	if slices.ContainsFunc(outcomes, func(o control.Outcome) bool { return o.Fault == nil }) {
		return "the daemon is not running, so this was done without it"
	}
	return "the daemon is not running"
}

// renewHere gets the tickets of the mounted endpoints, or of the one that is not mounted.
func (s *session) renewHere(ctx context.Context, cfg *config.Config, one named) ([]control.Outcome, error) {
	s.step()("doing it without the daemon")
	m, err := s.manager(cfg, s.step())
	if err != nil {
		return nil, err
	}
	all, err := s.wanted(cfg, m, one)
	if err != nil {
		return nil, err
	}
	outcomes := make([]control.Outcome, len(all))
	var done sync.WaitGroup
	for i, r := range all {
		done.Go(func() { outcomes[i] = s.renewOne(ctx, m, r) })
	}
	done.Wait()
	return outcomes, nil
}

// wanted gives whose tickets are to be renewed: those of the mounts, of all endpoints or of the one that is named; where it
// is not mounted, that of its lines of fstab.
func (s *session) wanted(cfg *config.Config, m *tickets.Manager, one named) (all []tickets.Request, err error) {
	if one.place.Line() != nil && one.place.Mount == nil {
		r, err := m.OfPlace(one.place)
		if err != nil {
			return nil, s.atLine(one, err)
		}
		if r.Endpoint.IsZero() { // a line that logs in otherwise
			r.Endpoint, r.CRUID = one.Endpoint, cfg.CredentialUID
		}
		s.notes = append(s.notes, otherLines(m, one, r)...)
		return []tickets.Request{r}, nil
	}
	mounted, err := s.mounted(cfg)
	if err != nil {
		return nil, err
	}
	for _, a := range mounted {
		l := tickets.Login{Endpoint: a.Endpoint, CRUID: a.cruid, Username: a.username}
		if a.cruid >= 0 && (one.IsZero() && !m.MayBeOthers(l) || a.Host() == one.Host()) {
			all = append(all, tickets.Request{Endpoint: l.Endpoint, CRUID: l.CRUID, Username: l.Username})
		}
	}
	if len(all) > 0 || one.IsZero() {
		return all, nil
	}
	return ofLines(cfg, m, one), nil
}

// ofLines gives what the lines of fstab for an endpoint want that is not mounted, where no ticket and no file of the
// configuration tells who logs in.
func ofLines(cfg *config.Config, m *tickets.Manager, one named) (all []tickets.Request) {
	owned := tickets.Request{Endpoint: one.Endpoint, CRUID: cfg.CredentialUID}
	if _, err := m.Owner(one.Endpoint, cfg.CredentialUID, ""); !fault.Is(err, fault.IdentityUnknown) {
		return []tickets.Request{owned} // another error comes again
	}
	for _, l := range one.lines {
		r, err := m.OfLine(l)
		if err != nil {
			continue
		}
		if !slices.ContainsFunc(all, func(o tickets.Request) bool { return o.CRUID == r.CRUID && o.Identity == r.Identity }) {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		all = []tickets.Request{owned}
	}
	return all
}

func (s *session) renewOne(ctx context.Context, m *tickets.Manager, r tickets.Request) control.Outcome {
	o := control.Outcome{Host: r.Endpoint.Host(), CRUID: r.CRUID}
	r.Fresh = tickets.Always
	got, err := m.Ensure(ctx, r)
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
