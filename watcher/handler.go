package watcher

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// Status is for control.Handler.
func (w *watcher) Status() control.Status {
	var s control.Status
	_ = w.do(context.Background(), func() { s = w.describe() }) // at the end it is empty
	return s
}

// WriteMetrics is for control.Handler.
func (w *watcher) WriteMetrics(out io.Writer) {
	served := false
	_ = w.do(context.Background(), func() { served = w.cfg.Metrics().Served() })
	if served {
		w.counts.Write(out, w.Status(), metrics.Upcalls(upcallCounts))
	}
}

// Refresh is for control.Handler.
func (w *watcher) Refresh(ctx context.Context, host string) ([]control.Outcome, error) {
	var wait chan control.Outcome
	var refused error
	if err := w.do(ctx, func() { wait, refused = w.force(host) }); err != nil || refused != nil {
		return nil, errors.Join(err, refused)
	}
	outcomes := make([]control.Outcome, 0, cap(wait))
	for len(outcomes) < cap(wait) {
		select {
		case o := <-wait:
			outcomes = append(outcomes, o)
		case <-ctx.Done():
			return outcomes, fault.From(ctx.Err())
		case <-w.ended:
			return outcomes, fault.New(fault.Interrupted, nil)
		}
	}
	slices.SortFunc(outcomes, func(a, b control.Outcome) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), cmp.Compare(a.CRUID, b.CRUID))
	})
	return outcomes, nil
}

// do has run run f, and waits for it.
func (w *watcher) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case w.calls <- func() { f(); close(done) }:
		<-done
		return nil
	case <-w.ended:
		return fault.New(fault.Interrupted, nil)
	case <-ctx.Done():
		return fault.From(ctx.Err())
	}
}

// force gets the tickets of a host, or of all that are mounted, whatever the plan says. The channel has
// room for as many outcomes as there will be.
func (w *watcher) force(host string) (chan control.Outcome, error) {
	w.look()
	var keys []Key
	if host != "" {
		e, err := w.cfg.Resolver().Resolve(host)
		if err != nil {
			return nil, fault.New(fault.HostUnknown, fault.V{"host": host, "problem": err.Error()})
		}
		host = e.Host()
	}
	for _, d := range w.plan {
		if (host == "" || d.Host == host) && len(w.names(d.Key)) > 0 {
			keys = append(keys, d.Key)
		}
	}
	extra := map[Key]endpoint.Endpoint{}
	for k := range w.tickets { // a ticket that nobody mounts is refreshed when its host is named
		if k.Host == host && !slices.Contains(keys, k) {
			if e, err := w.cfg.Resolver().Resolve(host); err == nil {
				keys, extra[k] = append(keys, k), e
			}
		}
	}
	if host != "" && len(keys) == 0 {
		return nil, fault.New(fault.TicketUnknown, fault.V{"host": host, "ccache": w.paths[w.cfg.CredentialUID()]})
	}
	wait := make(chan control.Outcome, len(keys))
	for _, k := range keys {
		j := w.busy[k]
		if j == nil {
			names := w.names(k)
			if e, ok := extra[k]; ok {
				names = []endpoint.Endpoint{e}
			}
			j = w.enqueue(k, names, tickets.Always, true)
		}
		j.waiters = append(j.waiters, wait)
	}
	w.pump()
	return wait, nil
}
