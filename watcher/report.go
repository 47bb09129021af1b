package watcher

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
)

// report logs what has changed about an endpoint. What is about to be mended is not worth a line: the
// attempt's result is.
func (w *watcher) report(d Decision) {
	a := w.history[d.Key]
	attrs := []any{"host", d.Host, "cruid", d.CRUID}
	switch d.State {
	case control.Fresh:
		w.tell(d.Key, "", func() {
			w.Log.Info("watched", append(attrs, "identity", w.tickets[d.Key].Identity, "ends", w.tickets[d.Key].End.UTC())...)
		})
	case control.Failing:
		w.tell(d.Key, string(a.Fault.ID()), func() {
			w.Log.Warn("not refreshed: "+a.Fault.Error(), append(attrs, "again", d.When.UTC())...)
		})
	case control.Foreign:
		w.tell(d.Key, d.Why, func() {
			level, why := slog.LevelInfo, d.Why
			if a.Foreign != nil {
				level, why = slog.LevelWarn, a.Foreign.Error()
			} else if !d.When.IsZero() || w.tickets[d.Key].Identity != "" {
				level = slog.LevelWarn
			}
			w.Log.Log(context.Background(), level, "not ours to refresh: "+why, attrs...)
		})
	default:
		if _, known := w.told[d.Key]; !known {
			w.told[d.Key] = "new"
		}
	}
}

// tell calls log if the text is another one than the last about k.
func (w *watcher) tell(k Key, text string, log func()) {
	if last, known := w.told[k]; known && last == text {
		return
	}
	w.told[k] = text
	log()
}

// describe is what the watcher knows.
func (w *watcher) describe() control.Status {
	s := control.Status{
		Version: w.Version, PID: os.Getpid(), Started: w.started, Active: !w.waiting, HolderPID: w.holder.PID,
		CCache: w.paths[w.cfg.CredentialUID()], Mountinfo: w.Mountinfo, NextLook: w.next,
	}
	for _, d := range w.plan {
		s.Endpoints = append(s.Endpoints, w.endpoint(d))
	}
	return s
}

func (w *watcher) endpoint(d Decision) control.Endpoint {
	t, a := w.tickets[d.Key], w.history[d.Key]
	e := control.Endpoint{
		Host: d.Host, CRUID: d.CRUID, CCache: w.paths[d.CRUID], Identity: cmp.Or(t.Identity, w.owners[d.Key]),
		State: d.State, Why: d.Why, TicketEnd: t.End, NextRefresh: d.When,
		LastAttempt: a.At, LastSuccess: a.Success, Failures: a.Failures,
	}
	for _, m := range w.mounts[d.Key] {
		e.Mounts = append(e.Mounts, control.Mount{Source: m.Source, Target: m.Target})
	}
	if d.State == control.Foreign {
		e.NextRefresh = time.Time{}
	}
	if f := cmp.Or(a.Fault, a.Foreign); f != nil {
		e.LastFault = control.FaultOf(f, a.At)
	}
	return e
}
