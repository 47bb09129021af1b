package upcall

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

// giveUp rejects the key and ends the process, when the rest of it hangs. It says why, unless the log hangs too.
//
// It is a timer's, which the runtime runs on whatever thread it has, or on a new one where all hang. Each has the
// authority over the key: request-key has assumed it before it became this process, and threads inherit it. So no
// thread is kept for it, nor for the request itself: on a machine with hundreds of logins at once every further thread
// of each is one more to be waited for.
func (r *request) giveUp() {
	_ = keyring.Reject(r.key, 3*time.Second, unix.ENOKEY)
	told := make(chan struct{})
	go func() {
		defer close(told)
		r.report(r.deadlineFault(nil))
	}()
	select {
	case <-told:
	case <-time.After(r.grace):
	}
	syscall.Exit(1) // os.Exit could wait for others
}

func (r *request) deadlineFault(err error) *fault.Fault {
	k := r.known.Load()
	return fault.UpcallDeadline.New(k.host, fmt.Sprint(k.deadline)).Because(err)
}
