package watcher

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
)

// notices is what others were told last.
type notices struct {
	logged    map[string]string // in the log about a file, by its path
	status    string            // to systemd
	exposed   []byte            // in the file of the metrics
	exposedTo string            // its path
	exposing  bool              // a write to it is under way
	counts    *metrics.Set      // shared
}

// report logs what has changed about an endpoint, in sentences that begin like those of the program that
// azfilesrefresh takes the place of. What is about to be repaired is not worth a line: the
// attempt's result is.
func (w *watcher) report(d Decision) {
	m, t := w.memos[d.Key], w.tickets[d.Key]
	state, level, text, attrs := "", slog.LevelInfo, "", []any{"host", d.Host, "cruid", d.CRUID}
	if who := cmp.Or(t.Identity, m.owner, m.asks); who != "" {
		attrs = append(attrs, "identity", who)
	}
	switch d.State {
	case control.Fresh:
		text = "watched"
		attrs = append(attrs, "ends", t.End.UTC())
	case control.Failing:
		state, level = string(m.Fault.ID()), slog.LevelError
		text = "Error refreshing ticket for " + d.Host + ": " + m.Fault.Error()
		attrs = append(attrs, "fault", state, "again", d.When.UTC())
		if m.awaited { // who set it was told
			level, text = slog.LevelInfo, "No ticket yet for "+d.Host+", which is not mounted: "+m.Fault.What()
		}
	case control.Foreign:
		if m.awaited {
			return
		}
		why := d.Why
		if m.Foreign != nil {
			why = m.Foreign.Error()
			attrs = append(attrs, "fault", string(m.Foreign.ID()))
		}
		if m.Foreign != nil || !d.When.IsZero() || t.Identity != "" {
			level = slog.LevelWarn
		}
		state, text = d.Why, "Skipping refresh of "+d.Host+", whose ticket is not ours: "+why
	default:
		return
	}
	if m.logged != state {
		m.logged = state
		w.Log.Log(context.Background(), level, text, attrs...)
	}
}

// logOnce calls log if the text is another one than the last about a file.
func (w *watcher) logOnce(file, text string, log func()) {
	if last, known := w.logged[file]; known && last == text {
		return
	}
	w.logged[file] = text
	log()
}

// reportStatus tells systemd how it stands, if that has changed.
func (w *watcher) reportStatus() {
	counts := map[control.State]int{}
	plan := w.planOfMounts()
	for _, d := range plan {
		counts[d.State]++
	}
	text := fmt.Sprintf("STATUS=%d mounted, %d fresh, %d failing, %d not ours", len(plan),
		counts[control.Fresh]+counts[control.Due], counts[control.Failing], counts[control.Foreign])
	if w.waiting {
		text = "STATUS=waiting for " + w.holder.String()
	}
	if text != w.status {
		w.status = text
		w.notify(text)
	}
}

// exposeMetrics has the metrics written to the file that the configuration names, if they have changed. One write is
// under way at a time, and the loop does not wait for it: a disk that hangs would stop all that it is asked for.
//
// node_exporter's textfile collector, which reads it, takes whole files that end in .prom.
func (w *watcher) exposeMetrics() {
	path := w.cfg.Metrics.Textfile
	if path == "" || w.exposing {
		return
	}
	var text bytes.Buffer
	w.counts.Write(&text, w.describe(), w.upcalls())
	if path == w.exposedTo && bytes.Equal(text.Bytes(), w.exposed) {
		return
	}
	w.exposing = true
	go func() {
		err := w.replace(path, text.Bytes())
		_ = w.do(context.Background(), func() { w.metricsExposed(path, text.Bytes(), err) }) // or the daemon has ended
	}()
}

// metricsExposed takes the end of a write.
func (w *watcher) metricsExposed(path string, text []byte, err error) {
	w.exposing = false
	reason, _ := errors.AsType[unix.Errno](err) // the text names another temporary file each time
	w.logOnce(path, reason.Error(), func() {
		if err != nil {
			w.Log.Warn("the metrics cannot be written: "+err.Error(), "file", path)
		}
	})
	if err == nil {
		w.exposedTo, w.exposed = path, text
		w.exposeMetrics() // what has changed meanwhile
	}
}

func (w *watcher) describe() control.Status {
	s := control.Status{
		Version: w.Version, PID: os.Getpid(), Started: w.started, Active: !w.waiting, HolderPID: w.holder.PID,
		CCache: w.paths[w.cfg.CredentialUID], Mountinfo: w.Host.Mounts, NextLook: w.next,
	}
	for _, d := range w.planOfMounts() {
		s.Endpoints = append(s.Endpoints, w.endpoint(d))
	}
	return s
}

func (w *watcher) endpoint(d Decision) control.Endpoint {
	t, m := w.tickets[d.Key], w.memos[d.Key]
	e := control.Endpoint{
		Host: d.Host, CRUID: d.CRUID, CCache: w.paths[d.CRUID], Identity: cmp.Or(t.Identity, m.owner),
		State: d.State, Why: d.Why, TicketEnd: t.End, NextRefresh: d.When,
		LastAttempt: m.At, LastSuccess: m.Success, Failures: m.Failures,
	}
	for _, mnt := range w.mounts[d.Key] {
		e.Mounts = append(e.Mounts, control.Mount{Source: mnt.Source, Target: mnt.Target})
	}
	if d.State == control.Foreign {
		e.NextRefresh = time.Time{}
	}
	if f := cmp.Or(m.Fault, m.Foreign); f != nil {
		e.LastFault = control.FaultOf(f, m.At)
	}
	return e
}
