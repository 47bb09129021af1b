package tickets

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// TestWaitersGiveUpOneByOne: calls that wait for the lock of a process that was stopped would all ask in one moment.
func TestWaitersGiveUpOneByOne(t *testing.T) {
	for _, c := range []struct {
		deadline time.Duration // of the call; 0 is none
		random   float64
		want     time.Duration
	}{
		{0, 0, 5 * time.Second},
		{0, 0.5, 7500 * time.Millisecond},
		{0, 1, 10 * time.Second},
		{6 * time.Second, 0, time.Second},
		{6 * time.Second, 1, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if c.deadline != 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.deadline)
				defer cancel()
			}
			nothing := Options{Step: func(string, ...any) {}, Waits: func(string) {}}
			call := &Call{m: &Manager{Options: nothing, random: func() float64 { return c.random }}}
			began := time.Now()
			unlock, err := call.locked(ctx, "identity", func(ctx context.Context) (func(), error) {
				<-ctx.Done()
				return nil, fault.LockTimeout.New("/lock")
			})
			if waited := time.Since(began); err != nil || waited != c.want {
				t.Errorf("deadline %s, random %v: gave up after %s, %v; want %s", c.deadline, c.random, waited, err, c.want)
			}
			unlock()
		})
	}
}
