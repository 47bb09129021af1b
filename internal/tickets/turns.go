package tickets

import (
	"context"
	"slices"
	"sync"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// turns bounds how many calls ask at once, and lets them in as they came.
type turns struct {
	mu      sync.Mutex
	limit   int
	taken   int
	waiting []*turn
}

// turn is the place of one call, in the line or past it.
type turn struct {
	of   *turns
	came chan struct{} // closed when it is its turn
}

// setLimit sets how many calls may ask at once, at least one.
func (t *turns) setLimit(limit int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = max(limit, 1)
	t.admit()
}

// join takes the last place in the line.
func (t *turns) join() *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	place := &turn{t, make(chan struct{})}
	t.waiting = append(t.waiting, place)
	t.admit()
	return place
}

// admit needs the lock.
func (t *turns) admit() {
	for ; len(t.waiting) > 0 && t.taken < t.limit; t.waiting = t.waiting[1:] {
		t.taken++
		close(t.waiting[0].came)
	}
}

// wait returns when it is the call's turn, or with a fault when ctx ends before.
func (p *turn) wait(ctx context.Context) error {
	select {
	case <-p.came:
		return nil
	case <-ctx.Done():
		return fault.Ended(ctx)
	}
}

// leave gives the turn to the next, or the place up. After the first time it does nothing.
func (p *turn) leave() {
	t := p.of
	if t == nil {
		return
	}
	p.of = nil
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting, p); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
		return
	}
	t.taken--
	t.admit()
}
