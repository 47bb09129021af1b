package tickets

import (
	"context"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// patience says how long a call waits for a lock that only saves requests: a process that was stopped while it held one
// must not stop the others. It is a share of what the call has left until its deadline, which for an upcall is less
// than two seconds, and so it grows with azfiles_timeout on a machine where all is slow.
type patience struct {
	share time.Duration // one part of so many
	max   time.Duration // without a deadline
}

// Whoever holds the lock of an endpoint may itself wait for that of its identity, then asks and stores. On a slow machine
// that mounts many shares at once this takes seconds, since all of them are starting. So the second patience is shorter.
var (
	forEndpoint = patience{2, 15 * time.Second}
	forIdentity = patience{3, 10 * time.Second}
)

// ownTime is what is left to a call beyond its share, to ask by itself.
const ownTime = time.Second

// leastHalf is how long a call that replaces a ticket may take at least, however soon that expires.
const leastHalf = 3 * time.Second

// halfway is how long a call may take that replaces a ticket with so much of its life left: when what it asked hangs, there
// is time for another call before the ticket expires.
func halfway(left time.Duration) time.Duration { return max(left/2, leastHalf) }

// bound is when a call gives up: after two thirds of the patience and a random part of the last third. Calls that began
// together, as all mounts at boot do, would otherwise give up together and all ask; so the first one asks, and the others
// find what it got. random is from 0 to 1.
func (p patience) bound(ctx context.Context, random float64) time.Duration {
	limit := p.max
	if end, ok := ctx.Deadline(); ok {
		limit = max(0, time.Until(end)/p.share-ownTime)
	}
	return limit*2/3 + time.Duration(random*float64(limit/3))
}

// locked takes a lock that only saves requests. When it cannot be had in time, the call goes on without.
func (c *Call) locked(ctx context.Context, what string, p patience, take func(context.Context) (func(), error)) (unlock func(), err error) {
	bound := p.bound(ctx, c.m.random())
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	c.m.Waits("another process that asks for the same " + what)
	unlock, err = take(bounded)
	if fault.Is(err, fault.LockTimeout) && ctx.Err() == nil {
		c.m.Step("lock of the %s: another process has held it for %s, asking without it", what, bound.Round(time.Millisecond))
		return func() {}, nil
	}
	return unlock, err
}
