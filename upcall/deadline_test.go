package upcall

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
)

// What a login takes on a busy machine costs it nothing of the time for which it waits for others.
func TestDeadlineBoundsOnlyWaitingForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &handler{Host: machine.Beneath(t.TempDir()), deadline: 30 * time.Second, grace: time.Second}
		cfg, err := config.Read(h.Host)
		if err != nil {
			t.Fatal(err)
		}
		var bitten atomic.Bool
		r := &request{handler: h, cfg: cfg}
		r.dog = time.AfterFunc(h.deadline+h.grace, func() { bitten.Store(true) })
		time.Sleep(h.deadline) // its own work, of which the deadline of an upcall (5s) knows nothing

		ctx, cancel := r.limit()
		defer cancel()
		if end, ok := ctx.Deadline(); !ok || time.Until(end) != cfg.Upcall.Deadline {
			t.Errorf("it may wait for %v, want %v", time.Until(end), cfg.Upcall.Deadline)
		}
		time.Sleep(cfg.Upcall.Deadline - time.Millisecond)
		again, stop := r.limit() // another wait of the same login does not begin anew
		defer stop()
		if end, _ := again.Deadline(); ctx.Err() != nil || time.Until(end) != time.Millisecond {
			t.Errorf("%v, and %v are left for the next wait", ctx.Err(), time.Until(end))
		}
		time.Sleep(2 * time.Millisecond)
		if ctx.Err() == nil || again.Err() == nil || bitten.Load() {
			t.Errorf("past the deadline: %v, %v, bitten %v", ctx.Err(), again.Err(), bitten.Load())
		}
		time.Sleep(h.grace)
		synctest.Wait()
		if !bitten.Load() {
			t.Error("whoever hangs past the deadline is not ended")
		}
	})
}
