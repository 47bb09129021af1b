package watcher

import (
	"context"
	"log/slog"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const (
	// merge is how long further events are gathered after one that was acted on at once.
	merge = 100 * time.Millisecond
	// stopLimit bounds the wait for exchanges under way at the end.
	stopLimit = 4 * time.Second
)

// watcher is the daemon. What is not said to be shared belongs to the goroutine of run.
type watcher struct {
	Options
	machine
	cfg     *config.Config
	manager *tickets.Manager // shared
	started time.Time

	events events
	state
	claim
	work
	notices
}

func newWatcher(ctx context.Context, o Options, m machine) (*watcher, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Look == 0 {
		o.Look = longestSleep
	}
	w := &watcher{Options: o, machine: m}
	w.started = w.now()
	w.events = events{
		calls: make(chan func()), results: make(chan result), changed: make(chan struct{}, 1), ended: make(chan struct{}),
		quiet: time.NewTimer(time.Hour),
	}
	w.events.quiet.Stop()
	w.live.Store(new([]mounts.Mount))
	w.same = map[Key]Key{}
	w.caches, w.memos, w.left, w.backoffs = map[string]context.CancelFunc{}, map[Key]*memo{}, map[place]bool{}, backoffs{}
	w.work = work{jobs: ctx, busy: map[Key]*job{}}
	w.notices = notices{logged: map[string]string{}, counts: metrics.New()}
	cfg, err := config.Read(o.Host)
	if err != nil {
		return nil, err
	}
	return w, w.useConfiguration(cfg)
}

// now is the time of the wall clock alone.
func (w *watcher) now() time.Time { return w.Host.Now().Round(0) }

func (w *watcher) run(ctx context.Context) {
	defer close(w.events.ended)
	jobs, cancel := context.WithCancel(ctx)
	defer cancel()
	w.jobs = jobs
	watchdog, stop := w.ticks()
	defer stop()
	w.claimCache()
	w.notify(ready) // nothing was asked over the network yet, so that boot does not wait for it
	w.Log.Info("AZ Files Refresh Daemon started.", "version", w.Version, "config", w.cfg.Path, "mountinfo", w.Host.Mounts)
	if w.late != nil {
		w.Log.Warn("what is repaired is noticed late: " + noticedLate("the configuration", w.late).Error())
	}
	w.event()
	for w.turn(ctx, watchdog) {
	}
	if cause := context.Cause(ctx); cause.Error() != context.Canceled.Error() { // a signal's cause is one by errors.Is as well
		w.Log.Info("Received signal, stopping", "cause", cause.Error())
	}
	w.finish(cancel)
}

// turn waits for something and takes it, and reports whether to go on. Everything that happens comes in
// here.
func (w *watcher) turn(ctx context.Context, watchdog <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case _, open := <-w.remounted:
		if ctx.Err() != nil { // which ends this too
			return false
		}
		if !open { // what remains is to look from time to time
			w.remounted = nil
			w.Log.Warn("changes of the mount table are noticed late", "mountinfo", w.Host.Mounts)
		}
		w.forgive(ofCache) // its file system can be another one
		w.event()
	case <-w.events.changed:
		w.forgive(ofCache)
		w.event()
	case r := <-w.alarm.rings():
		if r.stepped { // what made them wait was measured by another clock
			w.forgive(anyFault)
		}
		w.event()
	case <-w.events.quiet.C:
		w.events.quieting = false
		if w.events.again {
			w.event()
		}
	case r := <-w.events.results:
		w.finishJob(r)
		w.event()
	case call := <-w.events.calls:
		call()
	case c := <-w.changes:
		w.repaired(c)
	case <-w.hangups:
		w.reload()
	case <-watchdog:
		w.notify(alive)
	}
	return true
}

// ticks is when systemd wants to hear that the loop goes round, never without its watchdog.
func (w *watcher) ticks() (<-chan time.Time, func()) {
	if w.alive == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(w.alive)
	return t.C, t.Stop
}

// event looks at once when nothing happened for a while, and otherwise when it has been quiet again.
func (w *watcher) event() {
	if w.events.quieting {
		w.events.again = true
		return
	}
	w.scanMachine()
	w.events.again, w.events.quieting = false, true
	w.events.quiet.Reset(merge)
}

// scanMachine sees what is mounted and which tickets there are, plans, and begins what is due.
func (w *watcher) scanMachine() {
	w.loadMissing()
	if w.unlock == nil {
		w.claimCache()
	}
	w.readMounts()
	w.readTickets()
	w.keepMemos()
	w.findOwners()
	w.decide()
	w.startDue()
	w.dropLeft()
	w.setAlarm()
}

// decide plans and tells what has changed.
func (w *watcher) decide() {
	policy := Policy{Refresh: w.cfg.Refresh, Seed: w.seed}
	if w.BeforeExpiry > 0 {
		policy.BeforeExpiry, policy.Before, policy.Pace = w.BeforeExpiry, w.BeforeExpiry, w.Look
	}
	now := w.now()
	w.noticeFights(now)
	history := make(map[Key]Attempt, len(w.memos))
	for k := range w.memos {
		history[k] = w.history(k)
	}
	w.plan = Plan(now, w.mounts, w.tickets, history, policy)
	w.next = now.Add(w.Look)
	for _, d := range w.plan {
		if d.State == control.Fresh {
			m := w.memos[d.Key] // somebody else got the ticket, the clock is right again, or it was not needed yet
			m.Failures, m.Fault = 0, nil
		} else if d.State == control.Failing {
			w.memos[d.Key].Attempt = history[d.Key]
		}
		if d.When.After(now) && d.When.Before(w.next) && w.busy[d.Key] == nil {
			w.next = d.When
		}
		w.report(d)
	}
	if soon := now.Add(holderWait); w.waiting && soon.Before(w.next) {
		w.next = soon
	}
}

// setAlarm sets the alarm, after which nothing happens until something does.
func (w *watcher) setAlarm() {
	if w.alarm.set(w.next) { // the plan was made by another clock
		w.forgive(anyFault)
		w.alarm.set(w.now())
	}
	w.reportStatus()
	w.exposeMetrics()
}

// repaired takes a change of the surroundings.
func (w *watcher) repaired(c cause) {
	if c == network {
		w.forgive(ofNetwork)
		w.event()
		return
	}
	before := w.cfg
	if w.loadConfig(); w.cfg != before {
		w.event()
	}
}

// finish ends the exchanges under way.
func (w *watcher) finish(cancel context.CancelFunc) {
	w.notify(stopping)
	cancel()
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	for late := false; len(w.busy) > 0 && !late; {
		select {
		case r := <-w.events.results:
			delete(w.busy, r.Key)
		case <-limit.C:
			late = true
		}
	}
	for _, stop := range w.caches {
		stop()
	}
	if w.unlock != nil {
		w.unlock()
	}
	w.Log.Info("stopped")
}
