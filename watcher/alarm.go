package watcher

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm is the watcher's only clock. It rings at a moment of the wall clock, and when that clock is set
// or the machine wakes up, because then every plan made before is void.
type alarm interface {
	// set says when to ring. It reports whether the clock was set since the last time, which rings tells of no more then.
	set(at time.Time) (stepped bool)
	rings() <-chan ring
	close()
}

// ring is one ringing; stepped says that the clock was set.
type ring struct{ stepped bool }

// timer is an alarm made of a timerfd(2). On the real-time clock it rings when a suspended machine wakes
// up after the moment, and TFD_TIMER_CANCEL_ON_SET tells of every discontinuous change, waking up included.
type timer struct {
	fd   int
	file *os.File
	out  chan ring
	done chan struct{}
}

func newTimer() (*timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("timerfd_create: %w", err)
	}
	t := &timer{fd: fd, file: os.NewFile(uintptr(fd), "timerfd"), out: make(chan ring, 1), done: make(chan struct{})}
	go t.listen()
	return t, nil
}

// set arms the timer whatever timerfd_settime(2) says: ECANCELED is the change of the clock that listen would have read.
func (t *timer) set(at time.Time) (stepped bool) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(at.UnixNano(), 1))} // 0 would disarm it
	err := unix.TimerfdSettime(t.fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &spec, nil)
	return errors.Is(err, unix.ECANCELED)
}

func (t *timer) rings() <-chan ring { return t.out }

func (t *timer) close() {
	close(t.done)
	_ = t.file.Close()
}

// listen reads the count of expirations, 8 bytes, which blocks until there is one.
func (t *timer) listen() {
	count := make([]byte, 8)
	for {
		_, err := t.file.Read(count)
		if err != nil && !errors.Is(err, unix.ECANCELED) {
			return
		}
		select {
		case t.out <- ring{stepped: err != nil}:
		case <-t.done:
			return
		}
	}
}
