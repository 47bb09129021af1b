package log

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// queueLength is how many records wait for a log that is slow; what comes on top is lost and counted.
const queueLength = 512

// Queue is a handler that nobody waits for: a goroutine hands the records on to another one. Records for
// which there is no room are lost, and their number is told when there is again.
type Queue struct {
	*queue
	to slog.Handler
}

// queue is shared by the handlers of one log.
type queue struct {
	records chan queued
	lost    atomic.Uint64
}

// queued is a record and the handler it goes to, or what is to be done when those before it are written.
type queued struct {
	slog.Record
	to slog.Handler
	do func()
}

// newQueue begins to hand records on to a handler, which may hang, as long as the process lives.
func newQueue(to slog.Handler) *Queue {
	q := &Queue{&queue{records: make(chan queued, queueLength)}, to}
	go q.write(to)
	return q
}

func (q *queue) write(to slog.Handler) {
	for r := range q.records {
		if n := q.lost.Swap(0); n > 0 {
			_ = to.Handle(context.Background(), slog.NewRecord(time.Now(), slog.LevelWarn, fmt.Sprintf("%d lines lost", n), 0))
		}
		if r.do != nil {
			r.do()
			continue
		}
		_ = r.to.Handle(context.Background(), r.Record) // a log that cannot be written stops nobody
	}
}

// Flush waits until what was logged before is written, and no longer than limit.
func (q *queue) Flush(limit time.Duration) {
	done := make(chan struct{})
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case q.records <- queued{do: func() { close(done) }}:
	case <-t.C:
		return
	}
	select {
	case <-done:
	case <-t.C:
	}
}

// Enabled is for slog.Handler.
func (q *Queue) Enabled(ctx context.Context, l slog.Level) bool { return q.to.Enabled(ctx, l) }

// Handle is for slog.Handler. It never waits.
func (q *Queue) Handle(_ context.Context, r slog.Record) error {
	select {
	case q.records <- queued{Record: r.Clone(), to: q.to}:
	default:
		q.lost.Add(1)
	}
	return nil
}

// WithAttrs is for slog.Handler.
func (q *Queue) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Queue{q.queue, q.to.WithAttrs(attrs)}
}

// WithGroup is for slog.Handler.
func (q *Queue) WithGroup(name string) slog.Handler { return &Queue{q.queue, q.to.WithGroup(name)} }
