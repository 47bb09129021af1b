package watcher

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// job is one ticket to get.
type job struct {
	Key
	endpoints []endpoint.Endpoint // the same account by each name it is mounted by
	fresh     tickets.Freshness   // of the first one
	late      bool                // applications may have been refused
	number    uint64              // counts jobs
	owner     string              // the identity's line as long as it was known
	record    string              // the same, if the cache says it now and nothing can say otherwise
	keep      map[string]bool     // the service principals in use, if tickets that have ended are to go

	manager *tickets.Manager
	limit   time.Duration

	// These belong to run.
	waiters  []chan<- control.Outcome
	answered bool
}

// result is what became of a job.
type result struct {
	*job
	identity string
	end      time.Time // of the ticket
	cached   bool      // it was there already
	at       time.Time
	took     time.Duration
	spread   string // see Attempt
	err      error
}

// dispatch begins what the plan says is to be done now, what is late before the rest.
func (w *watcher) dispatch() {
	if w.waiting {
		return
	}
	now := w.now()
	var todo []Decision
	for _, d := range w.plan {
		if d.Acts() && !d.When.After(now) && w.busy[d.Key] == nil {
			todo = append(todo, d)
		}
	}
	slices.SortStableFunc(todo, func(a, b Decision) int { return order(b.Late) - order(a.Late) })
	for _, d := range todo {
		fresh := tickets.Always
		if d.Alias {
			fresh = tickets.Usable
		}
		w.enqueue(d.Key, w.names(d.Key), fresh, d.Late)
	}
	w.pump()
}

func order(late bool) int {
	if late {
		return 1
	}
	return 0
}

// names are the endpoints of a key, each alias once and the canonical name first.
func (w *watcher) names(k Key) []endpoint.Endpoint {
	var found []endpoint.Endpoint
	for _, m := range w.mounts[k] {
		if byKerberos(m) && !slices.Contains(found, m.Endpoint) {
			found = append(found, m.Endpoint)
		}
	}
	slices.SortStableFunc(found, func(a, b endpoint.Endpoint) int { return strings.Compare(a.Alias(), b.Alias()) })
	return found
}

func (w *watcher) enqueue(k Key, names []endpoint.Endpoint, fresh tickets.Freshness, late bool) *job {
	j := &job{
		Key: k, endpoints: names, fresh: fresh, late: late, number: w.shared.next(), owner: w.owners[k],
		manager: w.manager, limit: w.cfg.TotalTimeout(), keep: w.sweep(k.CRUID),
	}
	if t := w.tickets[k]; t.Trusted && !w.named(k) {
		j.record = t.Identity
	}
	w.busy[k] = j
	w.queue = append(w.queue, j)
	return j
}

// named reports whether a mount's user name may be a client id, which must agree with the record.
func (w *watcher) named(k Key) bool {
	return slices.ContainsFunc(w.mounts[k], func(m mounts.Mount) bool { return strings.Contains(m.Username, "-") })
}

// sweep gives what must stay in a cache when it holds tickets that have ended and nobody mounts. One job
// at a time is enough for that.
func (w *watcher) sweep(uid int) map[string]bool {
	for _, j := range w.busy {
		if j.CRUID == uid && j.keep != nil {
			return nil
		}
	}
	now, ended := w.now(), false
	for k, t := range w.tickets {
		ended = ended || k.CRUID == uid && !t.End.After(now) && w.mounts[k] == nil
	}
	if !ended {
		return nil
	}
	keep := map[string]bool{}
	for k := range w.mounts {
		if k.CRUID == uid {
			keep["cifs/"+k.Host] = true
		}
	}
	return keep
}

// pump starts as many jobs as may ask at once. One that has its answer and waits for the cache to be
// written does not count: meanwhile others can ask, and more tickets go out in one write.
func (w *watcher) pump() {
	for len(w.queue) > 0 && w.asking < max(w.cfg.Refresh().Concurrency, 1) {
		j := w.queue[0]
		w.queue = w.queue[1:]
		w.asking++
		if w.running++; w.running == manyJobs {
			w.burst = true
			debug.SetGCPercent(burstGC)
		}
		go func(ctx context.Context) { w.results <- w.work(context.WithValue(ctx, jobKey{}, j), j) }(w.jobs)
	}
}

// answered takes that a job has its answer.
func (w *watcher) answered(j *job) {
	if !j.answered {
		j.answered = true
		w.asking--
		w.pump()
	}
}

// jobKey finds the job in a context.
type jobKey struct{}

// observed is a transport that tells when a job's storage account has answered.
type observed struct {
	http.RoundTripper
	answers chan<- *job
}

// RoundTrip is for http.RoundTripper.
func (t observed) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if j, ok := r.Context().Value(jobKey{}).(*job); ok && err == nil && resp.StatusCode == http.StatusOK && r.URL.Host == j.Host {
		select {
		case t.answers <- j:
		case <-r.Context().Done():
		}
	}
	return resp, err
}

// work does a job. It runs beside the loop and uses nothing of its state.
func (w *watcher) work(ctx context.Context, j *job) (r result) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, j.limit)
	defer cancel()
	r.job = j
	defer func() {
		if p := recover(); p != nil {
			r.err = fault.Wrap(fault.Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), nil)
		}
		if r.at.IsZero() {
			r.at = w.now()
		}
		r.took = time.Since(began)
	}()
	id, err := w.identify(j)
	if err != nil {
		r.err = err
		return r
	}
	r.identity = id.String()
	if f, at, same := w.shared.since(r.identity, j.number); same {
		r.err, r.at, r.spread = f, at, r.identity
		return r
	}
	if r.err = w.fetch(ctx, &r, id); r.err != nil {
		if f := fault.From(r.err); ofIdentity(f.ID()) {
			r.at, r.spread = w.now(), r.identity
			w.shared.note(r.identity, f, r.at)
		}
		return r
	}
	w.after(ctx, j)
	return r
}

// identify finds out as whom to ask.
func (w *watcher) identify(j *job) (identity.Identity, error) {
	if id, err := identity.Parse(j.record); j.record != "" && err == nil {
		return id, nil
	}
	id, err := j.manager.Owner(j.endpoints[0], j.CRUID, "")
	if err == nil {
		return id, nil
	}
	if lost := fault.Is(err, fault.IdentityUnknown) || fault.Is(err, fault.CCacheDamaged); !lost || j.owner == "" {
		return id, err
	}
	// The cache is gone or damaged, but it named the identity while the share was mounted.
	if old, problem := identity.Parse(j.owner); problem == nil {
		return old, nil
	}
	return id, err
}

// fetch gets the ticket and stores it under every name.
func (w *watcher) fetch(ctx context.Context, r *result, id identity.Identity) error {
	for i, e := range r.endpoints {
		fresh := tickets.Usable
		if i == 0 {
			fresh = r.fresh
		}
		// Owner has found whose login it is, so whatever else is in the cache is replaced.
		got, err := r.manager.Ensure(ctx, tickets.Request{Endpoint: e, Identity: id, CRUID: r.CRUID, Fresh: fresh, Replace: true})
		if err != nil {
			return err
		}
		r.end, r.cached = got.EndTime, got.Cached && (i == 0 || r.cached)
	}
	return nil
}

// after does what follows a new ticket. Neither counts when it fails.
func (w *watcher) after(ctx context.Context, j *job) {
	if j.late && w.ForgetFailures != nil {
		_, _ = w.ForgetFailures()
	}
	if j.keep != nil {
		sessions := openSessions()
		_ = j.manager.DropExpired(ctx, j.CRUID, func(spn string) bool {
			return j.keep[spn] || bytes.Contains(sessions, []byte(strings.TrimPrefix(spn, "cifs/")))
		})
	}
}

// openSessions is what the kernel tells of its SMB sessions, in lower case: some belong to mounts in
// namespaces that cannot be seen from here. The text is for people, so it is only searched for hosts.
func openSessions() []byte {
	text, _ := os.ReadFile("/proc/fs/cifs/DebugData") // without it there are none
	return bytes.ToLower(text)
}

// finished takes a result.
func (w *watcher) finished(r result) {
	w.running--
	if !r.answered {
		w.asking--
	}
	delete(w.busy, r.Key)
	outcome := control.Outcome{Host: r.Host, CRUID: r.CRUID, TicketEnd: r.end}
	id := ""
	if r.err == nil {
		message := "refreshed"
		if r.cached {
			message = "stored under every name"
		}
		w.Log.Info(message, "host", r.Host, "cruid", r.CRUID, "identity", r.identity, "ends", r.end.UTC())
	} else {
		f := fault.From(r.err)
		id, outcome.Fault = string(f.ID()), control.FaultOf(f, r.at)
	}
	w.counts.Refreshed(r.Host, id, r.took)
	if w.mounts[r.Key] != nil { // of the others nothing is kept
		w.remember(r)
	}
	for _, wait := range r.waiters {
		wait <- outcome
	}
	w.pump()
	if w.running == 0 && w.burst {
		w.burst = false
		debug.SetGCPercent(restGC)
		w.road.closeIdle() // nothing may happen for hours
		debug.FreeOSMemory()
	}
}

// remember keeps what a result means for the plan.
func (w *watcher) remember(r result) {
	if r.err == nil {
		w.history[r.Key] = Attempt{At: r.at, Success: r.at}
		w.owners[r.Key] = r.identity
		w.told[r.Key] = ""
		return
	}
	a := w.history[r.Key]
	a.At = r.at
	if f := fault.From(r.err); nobodys(r.err) {
		a.Foreign, a.Fault, a.Failures = f, nil, 0
	} else {
		a.Fault, a.Spread = f, r.spread
		a.Failures++
	}
	w.history[r.Key] = a
}
