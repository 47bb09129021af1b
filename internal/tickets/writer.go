package tickets

import (
	"context"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

const (
	// gather is how long a write waits for the tickets of other exchanges that are under way:
	// 500 rewrites of a cache with 500 tickets cost over a second, one costs milliseconds.
	gather = 3 * time.Millisecond
	// writeLimit bounds a write. It is not the caller's deadline, because others' tickets are in it.
	writeLimit = 10 * time.Second
)

// writer puts tickets into one cache. Tickets that arrive while others are being fetched or written
// go out together in one rename.
type writer struct {
	mu      sync.Mutex
	active  int // fetches under way
	leading bool
	pending []*write
}

type write struct {
	cred ccache.Credential
	rec  ccache.Record
	done chan error
}

// enter says that a fetch has begun; the function it returns says that it has ended.
func (w *writer) enter() (leave func()) {
	w.add(1)
	return func() { w.add(-1) }
}

func (w *writer) add(n int) {
	w.mu.Lock()
	w.active += n
	w.mu.Unlock()
}

// put returns when the ticket is in the cache. The first caller writes for all that come meanwhile.
func (w *writer) put(ctx context.Context, store *ccache.Store, cred ccache.Credential, rec ccache.Record) error {
	mine := &write{cred, rec, make(chan error, 1)}
	w.mu.Lock()
	w.pending = append(w.pending, mine)
	lead, alone := !w.leading, w.active <= 1
	w.leading = true
	w.mu.Unlock()
	if lead {
		if !alone {
			time.Sleep(gather)
		}
		w.flush(context.WithoutCancel(ctx), store)
	}
	return <-mine.done
}

// flush writes until nothing is pending.
func (w *writer) flush(ctx context.Context, store *ccache.Store) {
	for {
		w.mu.Lock()
		batch := w.pending
		w.pending = nil
		w.leading = len(batch) > 0
		w.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		writeAll(ctx, store, batch)
	}
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

func update(ctx context.Context, store *ccache.Store, batch []*write) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	return store.Update(ctx, func(c *ccache.Cache) error {
		for _, b := range batch {
			c.Put(b.cred, b.rec)
		}
		return nil
	})
}
