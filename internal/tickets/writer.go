package tickets

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

const (
	// A write waits for the tickets that are being fetched, gatherTimes as long as the last write took
	// and within these bounds: 500 rewrites of a cache with 500 tickets take seconds, ten take none.
	gatherTimes = 10
	minGather   = 3 * time.Millisecond
	maxGather   = 100 * time.Millisecond
	// writeLimit bounds a write, or the deadline of the call that writes, where that is later: of 200 processes that
	// write to one cache at boot, the last may wait longer for its lock. A nearer deadline is none, because others' tickets
	// are in the write.
	writeLimit = 10 * time.Second
)

// writer puts tickets into one cache. Tickets that arrive while others are being fetched or written
// go out together in one rename.
type writer struct {
	all chan struct{} // told when nothing more is expected

	mu       sync.Mutex
	expected int  // fetches that have neither put their ticket nor given up
	writing  bool // somebody is at flush, who alone uses took
	pending  []*write
	took     time.Duration // the last write
}

type write struct {
	change func(*ccache.Cache)
	done   chan error
}

func newWriter() *writer { return &writer{all: make(chan struct{}, 1)} }

// expect says that a fetch has begun, which ends with put or giveUp.
func (w *writer) expect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected++
}

// giveUp says that a fetch has failed.
func (w *writer) giveUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived()
}

// arrived needs the lock.
func (w *writer) arrived() {
	if w.expected--; w.expected > 0 {
		return
	}
	select {
	case w.all <- struct{}{}:
	default:
	}
}

// put returns when the ticket is in the cache, where change puts it. The first caller writes for all that come meanwhile, but
// does not wait for those that come later.
func (w *writer) put(ctx context.Context, store *ccache.Store, change func(*ccache.Cache)) error {
	mine := &write{change, make(chan error, 1)}
	end := time.Now().Add(writeLimit)
	if later, ok := ctx.Deadline(); ok && later.After(end) {
		end = later
	}
	ctx = context.WithoutCancel(ctx)
	w.mu.Lock()
	w.pending = append(w.pending, mine)
	w.arrived()
	lead := !w.writing
	w.writing = true
	w.mu.Unlock()
	if lead && w.flush(ctx, store, end) {
		go func() {
			for w.flush(ctx, store, time.Now().Add(writeLimit)) {
			}
		}()
	}
	return <-mine.done
}

// flush writes what is pending, until end, and reports whether there is more meanwhile.
func (w *writer) flush(ctx context.Context, store *ccache.Store, end time.Time) (more bool) {
	w.gather()
	w.mu.Lock()
	batch := w.pending
	w.pending = nil
	w.mu.Unlock()
	begun := time.Now()
	bounded, cancel := context.WithDeadline(ctx, end)
	writeAll(bounded, store, batch)
	cancel()
	w.took = time.Since(begun)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = len(w.pending) > 0
	return w.writing
}

// gather waits for what is expected, but not for long: the tickets that are here may be late.
func (w *writer) gather() {
	if w.complete() {
		return // as in every process that gets one ticket, where a timer would wake threads
	}
	limit := time.NewTimer(min(max(gatherTimes*w.took, minGather), maxGather))
	defer limit.Stop()
	for !w.complete() {
		select {
		case <-w.all:
		case <-limit.C:
			return
		}
	}
}

// complete reports whether nothing more is expected.
func (w *writer) complete() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.expected == 0
}

// writeAll puts a batch into the cache. When that fails each ticket is tried alone, so that one that
// does not belong there takes no other with it.
func writeAll(ctx context.Context, store *ccache.Store, batch []*write) {
	err := update(ctx, store, batch)
	for i := range batch {
		if err != nil && len(batch) > 1 {
			batch[i].done <- update(ctx, store, batch[i:i+1])
			continue
		}
		batch[i].done <- err
	}
}

// update is one write. A change that panics, over what somebody wrote into a cache, fails: the writer has others' tickets as well.
func update(ctx context.Context, store *ccache.Store, batch []*write) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internal.New().Because(fmt.Errorf("panic: %v", p))
		}
	}()
	return store.Update(ctx, func(c *ccache.Cache) error {
		for _, b := range batch {
			b.change(c)
		}
		return nil
	})
}
