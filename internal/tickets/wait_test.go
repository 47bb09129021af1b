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
		patience patience
		deadline time.Duration // of the call; 0 is none
		random   float64
		want     time.Duration
	}{
		{forEndpoint, 0, 0, 10 * time.Second},
		{forEndpoint, 0, 0.5, 12500 * time.Millisecond},
		{forEndpoint, 0, 1, 15 * time.Second},
		{forEndpoint, 30 * time.Second, 0, 9333 * time.Millisecond},
		{forEndpoint, 30 * time.Second, 1, 14 * time.Second},
		{forIdentity, 30 * time.Second, 1, 9 * time.Second}, // less than the least of the endpoint's
		{forEndpoint, 5 * time.Second, 0, time.Second},
		{forEndpoint, 5 * time.Second, 1, 1500 * time.Millisecond}, // an upcall
		{forEndpoint, time.Second, 1, 0},
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
			unlock, err := call.locked(ctx, "lock", c.patience, func(ctx context.Context) (func(), error) {
				<-ctx.Done()
				return nil, fault.LockTimeout.New("/lock")
			})
			if waited := time.Since(began).Round(time.Millisecond); err != nil || waited != c.want {
				t.Errorf("deadline %s, random %v: gave up after %s, %v; want %s", c.deadline, c.random, waited, err, c.want)
			}
			unlock()
		})
	}
}
