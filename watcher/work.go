package watcher

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// The garbage collector saves time while manyJobs run.
const (
	manyJobs = 8
	burstGC  = 200
)

// work is what is under way.
type work struct {
	jobs  context.Context // of the jobs
	busy  map[Key]*job
	burst bool // there have been many
}

// job is one ticket to get.
type job struct {
	Key
	call    *tickets.Call
	manager *tickets.Manager
	late    bool            // applications may have been refused
	alias   bool            // the ticket is good and only lacks a name
	keep    map[string]bool // the names and hosts in use, if tickets that have expired are to go
	waiters []chan<- control.Outcome
}

// result is what became of a job.
type result struct {
	*job
	got  tickets.Result
	at   time.Time
	took time.Duration
	err  error
}

// startDue begins what the plan says is to be done now, what is late before the rest.
func (w *watcher) startDue() {
	if w.waiting {
		return
	}
	now := w.now()
	for _, late := range []bool{true, false} {
		for _, d := range w.plan {
			if !d.acts() || d.When.After(now) || w.busy[d.Key] != nil || d.Late != late {
				continue
			}
			fresh := tickets.Always
			if d.Alias || d.State == control.Missing || d.State == control.Expired {
				fresh = tickets.Usable // another daemon may have been quicker
			}
			w.start(d.Key, w.endpointsOf(d.Key), fresh, late).alias = d.Alias
		}
	}
}

// endpointsOf are the endpoints of a key, each alias once and the canonical name first.
func (w *watcher) endpointsOf(k Key) []endpoint.Endpoint {
	var found []endpoint.Endpoint
	for _, m := range w.mounts[k] {
		if byKerberos(m) && !slices.Contains(found, m.Endpoint) {
			found = append(found, m.Endpoint)
		}
	}
	slices.SortStableFunc(found, func(a, b endpoint.Endpoint) int { return strings.Compare(a.Alias(), b.Alias()) })
	return found
}

// start queues a job for the account of names, whose ticket is stored under each of them.
func (w *watcher) start(k Key, names []endpoint.Endpoint, fresh tickets.Freshness, late bool) *job {
	r := tickets.Request{Endpoint: names[0], CRUID: k.CRUID, Username: k.User, Fresh: fresh, Limit: w.cfg.TotalTimeout, Expires: w.tickets[k].End, Ahead: w.awaited[k]}
	for _, e := range names[1:] {
		r.Aliases = append(r.Aliases, e.Alias())
	}
	if m := w.memos[k]; m != nil {
		r.Former, _ = identity.Parse(m.owner) // nobody, if it was not known
	}
	j := &job{Key: k, call: w.manager.Queue(r), manager: w.manager, late: late, keep: w.namesToKeep(k.CRUID)}
	w.busy[k] = j
	if len(w.busy) == manyJobs && !w.burst {
		w.burst = true
		debug.SetGCPercent(burstGC)
	}
	go func(ctx context.Context) { w.events.results <- w.perform(ctx, j) }(w.jobs)
	return j
}

// namesToKeep gives what must stay in a cache when it holds tickets that have expired and nobody mounts. One job
// at a time is enough for that.
func (w *watcher) namesToKeep(uid int) map[string]bool {
	for _, j := range w.busy {
		if j.CRUID == uid && j.keep != nil {
			return nil
		}
	}
	now, expired := w.now(), false
	for k, t := range w.tickets {
		expired = expired || k.CRUID == uid && !t.End.After(now) && w.mounts[k] == nil
	}
	if !expired {
		return nil
	}
	keep := map[string]bool{}
	for k := range w.mounts {
		if k.CRUID != uid {
			continue
		}
		keep[k.Host] = true
		t, known := w.tickets[k]
		if keep[t.Name] = known; !known || k.User == "" {
			keep["cifs/"+k.Host] = true
		}
		if k.User != "" { // where there may be only a record
			keep[ccache.Private(k.Host, k.User)] = true
		}
	}
	return keep
}

// perform does a job. It runs beside the loop and uses nothing of its state.
func (w *watcher) perform(ctx context.Context, j *job) (r result) {
	r.job = j
	defer func() {
		if p := recover(); p != nil {
			r.err = fault.Internal.New().Because(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
		r.at = w.now()
		if !j.call.Began.IsZero() {
			r.took = time.Since(j.call.Began)
		}
	}()
	if r.got, r.err = j.call.Ensure(ctx); r.err != nil {
		return r
	}
	// Neither of what follows counts when it fails.
	if j.late && w.ForgetFailures != nil {
		_, _ = w.ForgetFailures()
	}
	if j.keep != nil {
		dropExpired(ctx, j.manager, j.CRUID, func(name, host string) (keep, mounted bool) { return j.keep[name], j.keep[host] })
	}
	return r
}

// dropExpired erases tickets that have expired: none that is to be kept and none of a host that is not mounted here, but that
// the kernel has a session with.
func dropExpired(ctx context.Context, m *tickets.Manager, uid int, used func(name, host string) (keep, mounted bool)) {
	sessions := openSessions()
	_ = m.DropExpired(ctx, uid, func(name string) bool { // another look may have better luck
		host := strings.Split(name, "/")[1]
		keep, mounted := used(name, host)
		return keep || !mounted && bytes.Contains(sessions, []byte(host))
	})
}

// dropLeft erases the tickets of mounts that are gone once they have expired, unless a line of fstab expects them back, and
// wakes the loop for the next of them. What was never mounted since the daemon began goes with the next ticket that is
// fetched: see namesToKeep.
func (w *watcher) dropLeft() {
	now, unused := w.now(), map[place]Ticket{}
	for k, t := range w.tickets {
		if w.mounts[k] == nil {
			unused[place{k.CRUID, t.Name}] = t
		}
	}
	gone := map[int]map[string]bool{}
	for p := range w.left {
		if w.paths[p.cruid] == "" {
			continue // the next look reads its cache
		}
		t, found := unused[p]
		if found && t.End.After(now) {
			if t.End.Before(w.next) {
				w.next = t.End
			}
			continue
		}
		delete(w.left, p)
		if found && gone[p.cruid] == nil {
			gone[p.cruid] = map[string]bool{}
		}
		if found {
			gone[p.cruid][p.name] = true
		}
	}
	if len(gone) == 0 {
		return
	}
	expected := w.expected()
	for uid, names := range gone {
		go dropExpired(w.jobs, w.manager, uid, func(name, host string) (keep, mounted bool) { return !names[name] || expected[host], false })
	}
}

// expected are the hosts that lines of fstab name for mount.cifs. Such a mount comes back by the record of who logged in, an
// azfiles mount says it itself.
func (w *watcher) expected() map[string]bool {
	lines, _ := mounts.Fstab(w.Host) // without it nobody expects anything
	hosts := map[string]bool{}
	for _, l := range lines {
		if !l.IsKerberos() {
			continue
		}
		if _, e, err := mounts.Mountable(l.Spec, w.cfg.Resolver); err == nil {
			hosts[e.Host()] = true
		}
	}
	return hosts
}

// openSessions is what the kernel tells of its SMB sessions, in lower case: some belong to mounts in
// namespaces that cannot be seen from here. The text is for people, so it is only searched for hosts.
func openSessions() []byte {
	text, _ := os.ReadFile("/proc/fs/cifs/DebugData") // without it there are none
	return bytes.ToLower(text)
}

func (w *watcher) finishJob(r result) {
	delete(w.busy, r.Key)
	outcome := control.Outcome{Host: r.Host, CRUID: r.CRUID, TicketEnd: r.got.EndTime}
	id := ""
	if r.err == nil {
		message := "Ticket for " + r.Host + " refreshed"
		if r.got.Cached && r.alias {
			message = "Ticket for " + r.Host + " stored under every name"
		} else if r.got.Cached {
			message = "Ticket for " + r.Host + " was refreshed by another process"
		}
		w.succeed(r.Host, r.got.Identity)
		w.Log.Info(message, "host", r.Host, "cruid", r.CRUID, "identity", r.got.Identity, "ends", r.got.EndTime.UTC())
	} else {
		f := fault.From(r.err)
		id, outcome.Fault = string(f.ID()), control.FaultOf(f, r.at)
	}
	if !w.awaited[r.Key] { // of shares that are mounted
		w.counts.Refreshed(r.Host, id, r.took)
	}
	if m := w.memos[r.Key]; m != nil { // of the others nothing is kept
		w.remember(m, r)
	}
	for _, wait := range r.waiters {
		wait <- outcome
	}
	if len(w.busy) == 0 && w.burst {
		w.burst = false
		debug.SetGCPercent(restGC)
		w.manager.CloseIdle() // nothing may happen for hours
		debug.FreeOSMemory()
	}
}

func (w *watcher) remember(m *memo, r result) {
	if r.err == nil {
		m.Attempt = Attempt{At: r.at, Success: r.at}
		m.owner, m.logged = r.got.Identity, ""
		return
	}
	f := fault.From(r.err)
	if isDenied(r.err) {
		m.At, m.Foreign, m.Fault, m.Failures = r.at, f, nil, 0
		return
	}
	if a, shared := w.fail(r, f); shared {
		m.At, m.Failures, m.Spread, m.Fault = a.At, a.Failures, a.Spread, a.Fault
		return
	}
	m.At, m.Failures, m.Spread, m.Fault = r.at, m.Failures+1, "", f
}
