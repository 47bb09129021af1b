package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// state is what the last look has seen, and what follows from it.
type state struct {
	live    atomic.Pointer[[]mounts.Mount] // the mount table, shared with the jobs
	blind   string                         // why it cannot be read
	mounts  map[Key][]mounts.Mount
	awaited map[Key]bool   // what is among them and not mounted: see awaitMounts
	same    map[Key]Key    // keys whose mounts log in as another key's
	paths   map[int]string // of the caches in use, by uid
	caches  map[string]context.CancelFunc
	tickets map[Key]Ticket
	memos   map[Key]*memo  // of what is mounted
	left    map[place]bool // the tickets of what is not mounted any more
	plan    []Decision
	next    time.Time
	backoffs
}

// place is where a ticket is.
type place struct {
	cruid int
	name  string // in the cache, without a realm
}

// memo is what is kept of an endpoint as long as it is mounted.
type memo struct {
	Attempt
	sign   string // what its owner was found by, to notice a change
	owner  string // its identity as a line of text, as long as it was known
	asks   string // the identity that will ask, as far as it can be told before
	logged string // the state that was logged last
	ticket string // the name of its ticket, "" as long as there was none

	awaited bool // it is not mounted: see awaitMounts

	fought int       // so many tickets in a row were taken away
	lost   time.Time // the success whose ticket was
}

// readMounts reads the mount table. While it cannot be read the last one counts: a share does not go
// away because we cannot see it.
func (w *watcher) readMounts() {
	table, err := w.mounted(w.cfg.Resolver)
	if err == nil {
		w.live.Store(&table)
		w.blind = ""
	} else if problem := err.Error(); problem != w.blind {
		w.Log.Error("the mount table cannot be read: "+problem, "mountinfo", w.Host.Mounts)
		w.blind = problem
	}
	w.mounts = group(*w.live.Load())
}

// keepMemos forgets what belongs to endpoints that are not mounted any more; their tickets stay.
func (w *watcher) keepMemos() {
	for k, m := range w.memos {
		if to, joined := w.same[k]; joined && w.mounts[to] != nil {
			delete(w.memos, k)
			w.memos[to] = cmp.Or(w.memos[to], m)
		} else if m.awaited && (w.mounts[k] == nil || !w.awaited[k]) {
			delete(w.memos, k) // it has its ticket, or was given up
		} else if w.mounts[k] == nil {
			attrs := []any{"host", k.Host, "cruid", k.CRUID}
			if k.User != "" {
				attrs = append(attrs, "user", k.User)
			}
			w.Log.Info("no longer mounted, its ticket stays until it expires", attrs...)
			delete(w.memos, k)
			w.left[place{k.CRUID, m.ticket}] = true
		}
	}
	for k := range w.mounts {
		if w.memos[k] == nil {
			w.memos[k] = &memo{logged: "new", awaited: w.awaited[k]}
		}
		if t, known := w.tickets[k]; known {
			w.memos[k].ticket = t.Name
		}
	}
}

// readTickets reads the caches in use. One that cannot be read has no tickets as far as the plan is
// concerned; the attempt to put one into it tells why.
func (w *watcher) readTickets() {
	w.tickets, w.paths, w.awaited = map[Key]Ticket{}, map[int]string{}, map[Key]bool{}
	for _, uid := range w.uids() {
		w.paths[uid] = w.cfg.CCacheName(uid)
		w.follow(w.paths[uid]) // before it is read, so that no change is missed
		list, err := w.manager.List(uid)
		if err == nil {
			w.findSame(uid, list)
		}
		for k, to := range w.same {
			if mounted := w.mounts[k]; k.CRUID == uid && mounted != nil {
				delete(w.mounts, k)
				w.mounts[to] = append(w.mounts[to], mounted...)
			}
		}
		if err == nil {
			w.takeTickets(uid, list)
			w.awaitMounts(uid, list)
		}
	}
	for path, stop := range w.caches {
		if !slices.Contains(slices.Collect(maps.Values(w.paths)), path) { // it is not in use any more
			stop()
			delete(w.caches, path)
		}
	}
}

// findSame finds the mounts of a credential uid that log in as the same identity under different user names: they
// share a ticket.
func (w *watcher) findSame(uid int, list tickets.Listing) {
	maps.DeleteFunc(w.same, func(k, _ Key) bool { return k.CRUID == uid })
	first := map[Key]string{} // the identities, by the keys that stand for them
	for _, k := range sorted(w.mounts) {
		if k.CRUID != uid {
			continue
		}
		line := ""
		if id, err := list.Owner(w.mounts[k][0].Endpoint, k.User); err == nil {
			line = id.String()
		} else if m := w.memos[k]; m != nil {
			line = m.owner
		}
		for other, its := range first {
			if line != "" && other.Host == k.Host && identity.SamePrincipal(its, line) {
				w.same[k] = other
			}
		}
		if _, joined := w.same[k]; !joined {
			first[k] = line
		}
	}
}

// takeTickets finds the ticket of each key, and those that nobody mounts.
func (w *watcher) takeTickets(uid int, list tickets.Listing) {
	used := map[string]bool{}
	for k, mounted := range w.mounts {
		if t, found := list.Serving(mounted[0].Endpoint, k.User); found && k.CRUID == uid {
			w.tickets[k] = w.ticketOf(t, k)
			used[t.Name()] = true
		}
	}
	for _, t := range slices.Concat(list.Tickets, list.Further) {
		k := Key{t.Host(), uid, t.User()}
		if !used[t.Name()] && w.mounts[k] == nil {
			w.tickets[k] = w.ticketOf(t, k)
		}
	}
}

func (w *watcher) ticketOf(t tickets.Ticket, k Key) Ticket {
	ticket := Ticket{Key: k, Name: t.Name(), Private: t.Private(), Start: t.ValidFrom(), End: t.EndTime, Trusted: t.Trusted}
	if t.Known {
		ticket.Identity, ticket.Refreshable, ticket.Aliases = t.Identity, t.Refreshable, t.Aliases
	}
	if t.Trusted {
		ticket.Obtained, ticket.Elsewhere = t.ObtainedAt, w.elsewhere(t.Identity)
	}
	return ticket
}

// elsewhere reports whether the token file of an identity is in a directory that is not here, as that of the Azure Files CSI
// driver, which its own containers see.
func (w *watcher) elsewhere(line string) bool {
	id, err := identity.Parse(line)
	if err != nil || id.TokenFile == "" {
		return false
	}
	_, err = os.Stat(w.Host.Path(filepath.Dir(id.TokenFile)))
	return errors.Is(err, fs.ErrNotExist)
}

// uids are those whose caches are in use: USER_UID's and those of the mounts, also of those that are gone.
func (w *watcher) uids() []int {
	uids := []int{w.cfg.CredentialUID}
	for p := range w.left {
		uids = append(uids, p.cruid)
	}
	for k, mounted := range w.mounts {
		if slices.ContainsFunc(mounted, byKerberos) {
			uids = append(uids, k.CRUID)
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids)
}

// follow has the changes of a cache come in as events.
func (w *watcher) follow(path string) {
	if w.caches[path] != nil || !strings.HasPrefix(path, "/") {
		return
	}
	ctx, stop := context.WithCancel(w.jobs)
	changes, err := w.watchCache(ctx, path)
	if err != nil {
		stop()
		err = noticedLate(path, err)
		w.logOnce(path, err.Error(), func() {
			w.Log.Warn("changes of the credential cache are noticed late: "+err.Error(), "ccache", path)
		})
		return
	}
	w.caches[path] = stop
	go func() {
		for range changes {
			select {
			case w.events.changed <- struct{}{}:
			default:
			}
		}
	}()
}

// findOwners finds out what has changed about who may refresh the tickets of the mounted endpoints.
func (w *watcher) findOwners() {
	for k, mounted := range w.mounts {
		t, known := w.tickets[k]
		sign := fmt.Sprint(t.Identity, t.Trusted, known)
		for _, m := range mounted {
			sign += " " + m.Username
		}
		memo := w.memos[k]
		if memo.sign == sign {
			continue
		}
		memo.sign, memo.Foreign, memo.Others = sign, nil, false
		if t.Identity != "" && t.Trusted {
			memo.owner = t.Identity
		} else if memo.owner == "" && t.Identity == "" && k.User == "" && !slices.ContainsFunc(mounted, w.isMachines) {
			memo.Others = true // until a login of one has obtained a ticket of ours, which has a record
		} else if names := w.endpointsOf(k); len(names) > 0 && (known || memo.owner == "") {
			// Only the configuration or the mount can tell. If they do not, a person shall hear of it
			// before the ticket expires, and nobody be asked when there is none.
			id, err := w.manager.Owner(names[0], k.CRUID, k.User)
			if isDenied(err) {
				memo.Foreign = fault.From(err)
			} else if err == nil {
				memo.asks = id.String()
			}
		}
	}
}

func (w *watcher) isMachines(m mounts.Mount) bool {
	return tickets.IsMachines(w.cfg, m.CRUID, m.Username)
}

// isDenied reports whether an error means that we may not refresh, rather than that it failed.
func isDenied(err error) bool {
	return fault.Is(err, fault.IdentityUnknown, fault.RecordUntrusted, fault.IdentityConflict)
}
