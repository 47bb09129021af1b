package watcher

import (
	"context"
	"os"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
)

// run is the daemon's loop.
func (w *watcher) run(ctx context.Context) {
	defer close(w.ended)
	jobs, cancel := context.WithCancel(ctx)
	defer cancel()
	w.jobs = jobs
	watchdog, stop := w.ticks()
	defer stop()
	w.claim()
	w.notify(ready) // nothing was asked over the network yet, so that boot does not wait for it
	w.Log.Info("started", "version", w.Version, "config", w.cfg.Path(), "mountinfo", w.Mountinfo)
	w.event()
	for w.turn(ctx, watchdog) {
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
		if !open {
			w.deafened()
		}
		w.event()
	case <-w.changed:
		w.event()
	case r := <-w.alarm.rings():
		if r.stepped {
			w.forgive()
		}
		w.event()
	case <-w.quiet.C:
		w.quieting = false
		if w.again {
			w.event()
		}
	case r := <-w.results:
		w.finished(r)
		w.event()
	case j := <-w.answers:
		w.answered(j)
	case call := <-w.calls:
		call()
	case <-w.hangups:
		w.reload()
	case <-watchdog:
		w.notify(alive)
	}
	return true
}

// deafened takes that no more changes of the mount table are told. What remains is to look from time to time.
func (w *watcher) deafened() {
	w.remounted = nil
	w.Log.Warn("changes of the mount table are noticed late", "mountinfo", w.Mountinfo)
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
	if w.quieting {
		w.again = true
		return
	}
	w.look()
	w.again, w.quieting = false, true
	w.quiet.Reset(merge)
}

// forgive has all that fail try again at once, because what made them wait was measured by another
// clock. What the other side asked for is waited for anew.
func (w *watcher) forgive() {
	for k, a := range w.history {
		if a.Failures == 0 {
			continue
		}
		if a.At = (time.Time{}); a.Fault.RetryAfter > 0 {
			a.At = w.now()
		}
		w.history[k] = a
	}
}

// reload is what SIGHUP asks for.
func (w *watcher) reload() {
	w.notify(reloading())
	if w.Reopen != nil {
		w.Reopen()
	}
	delete(w.told, Key{Host: w.ConfigPath}) // whoever asks again is told again
	w.reread()
	w.look()
	w.notify(ready)
}

// reread reads the configuration again. One that is broken changes nothing.
func (w *watcher) reread() {
	cfg, err := config.Load(w.ConfigPath)
	if err == nil {
		err = w.adopt(cfg)
	}
	if err != nil {
		w.tell(Key{Host: w.ConfigPath}, err.Error(), func() {
			w.Log.Error("the configuration stays as it was: " + err.Error())
		})
		return
	}
	delete(w.told, Key{Host: w.ConfigPath})
	w.Log.Info("the configuration was read again", "config", cfg.Path())
	clear(w.signs)
	w.forgive()
	w.claim()
}

// appeared reads a configuration that was missing when the daemon was started.
func (w *watcher) appeared() {
	if !w.cfg.Missing() {
		return
	}
	if _, err := os.Stat(w.ConfigPath); err == nil {
		w.reread()
	}
}

// finish ends the exchanges under way.
func (w *watcher) finish(cancel context.CancelFunc) {
	w.notify(stopping)
	cancel()
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	for w.running > 0 {
		select {
		case <-w.results:
			w.running--
		case <-w.answers:
		case <-limit.C:
			w.running = 0
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
