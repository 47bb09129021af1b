package tickets

import (
	"context"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// The locks of an endpoint and an identity only save requests. Who has a deadline waits for them for at most a third
// of what is left, which for an upcall is less than two seconds, and nobody longer than maxPatience: a process
// that was stopped while it held one must not stop the others.
const (
	patienceShare = 3
	maxPatience   = 10 * time.Second
)

// leastHalf is how long a call that replaces a ticket may take at least, however soon that expires.
const leastHalf = 3 * time.Second

// halfway is how long a call may take that replaces a ticket with so much of its life left: when what it asked hangs, there
// is time for another call before the ticket expires.
func halfway(left time.Duration) time.Duration { return max(left/2, leastHalf) }

// patience is how long a call waits for such a lock: half of the limit and a random part of the other half. Calls that
// began together, as all mounts at boot do, would otherwise give up together and all ask; so the first one asks, and
// the others find what it got.
func (c *Call) patience(ctx context.Context) time.Duration {
	limit := maxPatience
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/patienceShare)
	}
	return limit/2 + time.Duration(c.m.random()*float64(limit/2))
}

// locked takes a lock that only saves requests. When it cannot be had in time, the call goes on without.
func (c *Call) locked(ctx context.Context, what string, take func(context.Context) (func(), error)) (unlock func(), err error) {
	patience := c.patience(ctx)
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c.m.Waits("another process that asks for the same " + what)
	unlock, err = take(bounded)
	if fault.Is(err, fault.LockTimeout) && ctx.Err() == nil {
		c.m.Step("lock of the %s: another process has held it for %s, asking without it", what, patience.Round(time.Millisecond))
		return func() {}, nil
	}
	return unlock, err
}
