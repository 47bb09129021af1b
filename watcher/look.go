package watcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// look sees what is mounted and which tickets there are, plans, and begins what is due.
func (w *watcher) look() {
	w.appeared()
	if w.unlock == nil {
		w.claim()
	}
	w.readMounts()
	w.settle()
	w.readTickets()
	w.own()
	w.decide()
	w.dispatch()
	w.rest()
}

// readMounts reads the mount table. While it cannot be read the last one counts: a share does not go
// away because we cannot see it.
func (w *watcher) readMounts() {
	table, err := w.mounted(w.cfg.Resolver())
	if err != nil {
		if problem := err.Error(); problem != w.blind {
			w.Log.Error("the mount table cannot be read: "+problem, "mountinfo", w.Mountinfo)
			w.blind = problem
		}
		return
	}
	w.blind = ""
	w.table = table
	w.live.Store(&table)
}

// readTickets reads the caches in use. One that cannot be read has no tickets as far as the plan is
// concerned; the attempt to put one into it tells why.
func (w *watcher) readTickets() {
	w.tickets, w.paths = map[Key]Ticket{}, map[int]string{}
	for _, uid := range w.uids() {
		w.paths[uid] = strings.TrimPrefix(w.cfg.CCacheName(uid), "FILE:")
		w.listen(w.paths[uid]) // before it is read, so that no change is missed
		list, err := w.manager.List(uid)
		if err != nil {
			continue
		}
		for _, t := range list.Tickets {
			ticket := ticketOf(t, uid)
			w.tickets[ticket.Key] = ticket
		}
	}
	w.forgetCaches()
}

func ticketOf(t tickets.Ticket, uid int) Ticket {
	ticket := Ticket{Key: Key{t.Server.Components[1], uid}, Start: t.StartTime, End: t.EndTime, Trusted: t.Trusted}
	if ticket.Start.IsZero() {
		ticket.Start = t.AuthTime
	}
	if t.Known {
		ticket.Identity, ticket.Refreshable, ticket.Aliases = t.Identity, t.Refreshable, t.Aliases
	}
	if t.Trusted {
		ticket.Obtained = t.ObtainedAt
	}
	return ticket
}

// uids are those whose caches are in use: USER_UID's and those of the mounts.
func (w *watcher) uids() []int {
	uids := []int{w.cfg.CredentialUID()}
	for _, m := range w.table {
		if byKerberos(m) {
			uids = append(uids, m.CRUID)
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids)
}

// listen follows the changes of a cache.
func (w *watcher) listen(path string) {
	if w.caches[path] != nil || !strings.HasPrefix(path, "/") {
		return
	}
	ctx, stop := context.WithCancel(w.jobs)
	events, err := w.watchCache(ctx, path)
	if err != nil {
		stop()
		w.tell(Key{Host: path}, err.Error(), func() {
			w.Log.Warn("changes of the credential cache are noticed late: "+err.Error(), "ccache", path)
		})
		return
	}
	w.caches[path] = stop
	go func() {
		for range events {
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	}()
}

// forgetCaches follows no cache that is not in use any more.
func (w *watcher) forgetCaches() {
	for path, stop := range w.caches {
		used := false
		for _, p := range w.paths {
			used = used || p == path
		}
		if !used {
			stop()
			delete(w.caches, path)
		}
	}
}

// own finds out what has changed about who may refresh the tickets of the mounted endpoints.
func (w *watcher) own() {
	for k, mounted := range w.mounts {
		t, known := w.tickets[k]
		sign := fmt.Sprint(t.Identity, t.Trusted, known)
		for _, m := range mounted {
			sign += " " + m.Username
		}
		if w.signs[k] == sign {
			continue
		}
		w.signs[k] = sign
		w.disown(k, nil)
		if t.Identity != "" && t.Trusted {
			w.owners[k] = t.Identity
		} else if names := w.names(k); len(names) > 0 && (known || w.owners[k] == "") {
			// Only the configuration or the mount can tell. If they do not, a person shall hear of it
			// before the ticket ends, and nobody be asked when there is none.
			if _, err := w.manager.Owner(names[0], k.CRUID, ""); nobodys(err) {
				w.disown(k, fault.From(err))
			}
		}
	}
}

// disown notes why a ticket is not ours to refresh, nil that it is.
func (w *watcher) disown(k Key, why *fault.Fault) {
	if a := w.history[k]; a.Foreign != nil || why != nil {
		a.Foreign = why
		w.history[k] = a
	}
}

// nobodys reports whether an error means that we may not refresh, rather than that it failed.
func nobodys(err error) bool {
	return fault.Is(err, fault.IdentityUnknown) || fault.Is(err, fault.RecordUntrusted) || fault.Is(err, fault.IdentityConflict)
}

// settle forgets what belongs to endpoints that are not mounted any more; their tickets stay.
func (w *watcher) settle() {
	_, w.mounts = group(w.table)
	for k := range w.told {
		if _, still := w.mounts[k]; !still && !strings.HasPrefix(k.Host, "/") {
			w.Log.Info("no longer mounted, its ticket stays until it ends", "host", k.Host, "cruid", k.CRUID)
			delete(w.told, k)
		}
	}
	gone := func(k Key) bool { return w.mounts[k] == nil }
	maps.DeleteFunc(w.signs, func(k Key, _ string) bool { return gone(k) })
	maps.DeleteFunc(w.owners, func(k Key, _ string) bool { return gone(k) })
	maps.DeleteFunc(w.history, func(k Key, _ Attempt) bool { return gone(k) })
}

// decide plans and tells what has changed.
func (w *watcher) decide() {
	policy := Policy{Refresh: w.cfg.Refresh(), Seed: w.seed}
	if w.BeforeExpiry > 0 {
		policy.BeforeExpiry = w.BeforeExpiry
	}
	now := w.now()
	w.plan = Plan(now, w.table, w.tickets, w.history, policy)
	w.next = now.Add(w.Look)
	for _, d := range w.plan {
		if a := w.history[d.Key]; d.State == control.Fresh && a.Failures > 0 {
			a.Failures = 0 // somebody else got the ticket, or it was not needed yet
			w.history[d.Key] = a
		}
		if d.When.After(now) && d.When.Before(w.next) && w.busy[d.Key] == nil {
			w.next = d.When
		}
		w.report(d)
	}
	if w.waiting {
		w.next = earlier(w.next, now.Add(holderWait))
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// rest sets the alarm, after which nothing happens until something does.
func (w *watcher) rest() {
	w.alarm.set(w.next)
	counts := map[control.State]int{}
	for _, d := range w.plan {
		counts[d.State]++
	}
	text := fmt.Sprintf("STATUS=%d mounted, %d fresh, %d failing, %d not ours", len(w.plan),
		counts[control.Fresh]+counts[control.Due], counts[control.Failing], counts[control.Foreign])
	if w.waiting {
		text = "STATUS=waiting for " + w.holder.String()
	}
	if text != w.status {
		w.status = text
		w.notify(text)
	}
	w.expose()
}

// expose writes the metrics to the file that the configuration names, if they have changed.
func (w *watcher) expose() {
	path := w.cfg.Metrics().Textfile
	if path == "" {
		return
	}
	var text bytes.Buffer
	w.counts.Write(&text, w.describe(), w.upcalls())
	if bytes.Equal(text.Bytes(), w.exposed) {
		return
	}
	err := metrics.WriteFile(path, text.Bytes())
	if err == nil {
		w.exposed = text.Bytes()
	}
	var reason unix.Errno // the text names another temporary file each time
	_ = errors.As(err, &reason)
	w.tell(Key{Host: path}, reason.Error(), func() {
		if err != nil {
			w.Log.Warn("the metrics cannot be written: "+err.Error(), "file", path)
		}
	})
}

// claim makes this the one watcher of the cache. A lock that cannot be had for another reason than its
// holder stops nothing: exchanges are locked for themselves.
func (w *watcher) claim() {
	path := w.cfg.CCacheName(w.cfg.CredentialUID())
	if w.unlock != nil {
		if path == w.lockPath {
			return
		}
		w.unlock()
		w.unlock = nil
	}
	waited := w.waiting
	store, err := ccache.Open(path, ccache.Owner{UID: w.cfg.CredentialUID()})
	var holder ccache.Holder
	if err == nil {
		w.unlock, holder, err = store.LockWatcher()
	}
	w.waiting = err == nil && w.unlock == nil
	w.lockPath = path
	switch problem := fmt.Sprint(err); {
	case w.waiting && (!waited || holder != w.holder):
		w.Log.Warn("waiting: the cache has a watcher already", "ccache", path, "holder", holder.String())
	case err != nil && problem != w.lockless:
		w.Log.Warn("watching without a lock: " + problem)
	case !w.waiting && waited:
		w.Log.Info("the other watcher is gone", "ccache", path)
	}
	w.holder, w.lockless = holder, fmt.Sprint(err)
}
