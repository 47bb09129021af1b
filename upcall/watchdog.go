package upcall

import (
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

// grace is how long after its deadline a request may still come to its own end, which tells more.
const grace = 500 * time.Millisecond

// watchdog ends the process when the rest of it hangs.
type watchdog struct{ timer *time.Timer }

// watch calls bite after limit, on a thread of its own. It must be called before the process holds
// anything else than the authority that it was started with, which the thread inherits.
func watch(limit time.Duration, bite func()) watchdog {
	w := watchdog{time.NewTimer(limit)}
	go func() {
		runtime.LockOSThread() // never unlocked: what the thread may do belongs to it
		<-w.timer.C
		bite()
	}()
	return w
}

// allow sets the limit anew, from now on.
func (w watchdog) allow(limit time.Duration) { w.timer.Reset(limit) }

// bite rejects the key and ends the process. It says why, unless the log hangs too.
func (r *request) bite() {
	_ = keyring.Reject(r.key, 3*time.Second, unix.ENOKEY)
	told := make(chan struct{})
	go func() {
		defer close(told)
		r.report(r.known.Load(), r.deadlineFault(nil))
	}()
	select {
	case <-told:
	case <-time.After(grace):
	}
	syscall.Exit(1) // os.Exit could wait for others
}

func (r *request) deadlineFault(err error) *fault.Fault {
	k := r.known.Load()
	return fault.UpcallDeadline.New(k.host, fmt.Sprint(k.deadline)).Because(err)
}
