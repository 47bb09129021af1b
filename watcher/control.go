package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// serve answers on the socket until ctx ends. Without one the daemon does all the rest. As long as
// another one has it, as a rule the holder of the cache, serve asks for it again.
func (w *watcher) serve(ctx context.Context) {
	for told := false; w.Socket != "" && ctx.Err() == nil; told = true {
		err := control.Serve(ctx, w.Host, w.Socket, w)
		if err == nil {
			return
		}
		if !told {
			w.Log.Warn("the status socket is not available: "+unserved(w.Socket, err).Error(), "socket", w.Socket)
		}
		if !errors.Is(err, control.ErrInUse) {
			return
		}
		select {
		case <-time.After(holderWait):
		case <-ctx.Done():
		}
	}
}

// unserved is why there is no socket: of a directory that is read-only or full, with the fix.
func unserved(socket string, err error) error {
	if f := fault.Unwritable(filepath.Dir(socket), err); f != nil {
		return f
	}
	if f := fault.From(err); !fault.Is(f, fault.Internal) {
		return f
	}
	return err
}

// Status is for control.Handler.
func (w *watcher) Status() control.Status {
	var s control.Status
	_ = w.do(context.Background(), func() { s = w.describe() }) // at the end it is empty
	return s
}

// WriteMetrics is for control.Handler.
func (w *watcher) WriteMetrics(out io.Writer) {
	served := false
	_ = w.do(context.Background(), func() { served = w.cfg.Metrics.Socket })
	if served {
		w.writeMetrics(out)
		return
	}
	_, _ = fmt.Fprintf(out, "# metrics are off; metrics: {socket: on} in %s turns them on\n", w.Host.Config)
}

func (w *watcher) writeMetrics(out io.Writer) {
	w.counts.Write(out, w.Status(), w.upcalls())
}

// serveMetrics answers at an address until ctx ends, unless it is "". Without it the daemon does all the rest.
func (w *watcher) serveMetrics(ctx context.Context, address string) {
	if address == "" {
		return
	}
	if err := control.ServeMetrics(ctx, address, w.writeMetrics); err != nil {
		w.Log.Warn("the address of the metrics is not available: "+err.Error(), "address", address)
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
			return outcomes, fault.Ended(ctx)
		case <-w.events.ended:
			return outcomes, fault.Interrupted.New()
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
	case w.events.calls <- func() { f(); close(done) }:
		<-done
		return nil
	case <-w.events.ended:
		return fault.Interrupted.New()
	case <-ctx.Done():
		return fault.Ended(ctx)
	}
}

// force gets the tickets of a host, or of all that are mounted, whatever the plan says. The channel has
// room for as many outcomes as there will be.
func (w *watcher) force(host string) (chan control.Outcome, error) {
	w.scanMachine()
	wanted, err := w.wanted(host)
	if err != nil {
		return nil, err
	}
	wait := make(chan control.Outcome, len(wanted))
	for k, names := range wanted {
		j := w.busy[k]
		if j == nil {
			j = w.start(k, names, tickets.Always, true)
		}
		j.waiters = append(j.waiters, wait)
	}
	return wait, nil
}

// wanted are the endpoints of all that is mounted, or of one host: that one also when it has a ticket and
// nobody mounts it.
func (w *watcher) wanted(host string) (map[Key][]endpoint.Endpoint, error) {
	found := map[Key][]endpoint.Endpoint{}
	var named endpoint.Endpoint
	if host != "" {
		e, err := mounts.Resolve(host, w.cfg.Resolver)
		if err != nil {
			return nil, err
		}
		named = e
	}
	mounted := map[Key]bool{} // whoever logs in
	for k := range w.mounts {
		if names := w.endpointsOf(k); len(names) > 0 && (host == "" && !w.awaited[k] && !w.memos[k].Others || k.Host == named.Host()) {
			found[k] = names
			mounted[Key{Host: k.Host, CRUID: k.CRUID}] = true
		}
	}
	for k, t := range w.tickets {
		if host != "" && k.Host == named.Host() && !mounted[Key{Host: k.Host, CRUID: k.CRUID}] && (t.Trusted || !t.Private) {
			found[k] = []endpoint.Endpoint{named}
		}
	}
	if host != "" && len(found) == 0 {
		return nil, fault.TicketUnknown.New(named.Host(), w.paths[w.cfg.CredentialUID])
	}
	return found, nil
}
