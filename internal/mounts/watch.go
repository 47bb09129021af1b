package mounts

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Watch tells when the mount table at path changes. The channel holds one
// element: "it changed since you last looked", however often. Who reads the table after Watch has
// returned misses nothing. The channel is closed when ctx ends, or when the table cannot be watched
// any more. A table that is an ordinary file is never told of.
//
// The kernel reports a change once to each open file, by POLLPRI|POLLERR (fs/proc_namespace.c,
// mounts_poll), and whatever polls consumes the report. That is why the file is opened without
// package os, whose own poller would be the one to get it, and why it is never read.
func Watch(ctx context.Context, path string) (<-chan struct{}, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("watching the mount table: open %s: %w", path, err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watching the mount table: eventfd: %w", err)
	}
	changed := make(chan struct{}, 1)
	asked := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // eight bytes that are not zero never fail
		close(asked)
	})
	go func() {
		follow(fd, stop, changed)
		close(changed)
		if !unhook() {
			<-asked // the write must not meet another file with the same number
		}
		_ = unix.Close(stop)
		_ = unix.Close(fd)
	}()
	return changed, nil
}

// follow reports changes of the table fd until stop is readable. It holds a thread in the kernel,
// which costs nothing while nothing happens.
func follow(fd, stop int, changed chan<- struct{}) {
	for {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}, {Fd: int32(stop), Events: unix.POLLIN}}
		_, err := unix.Poll(ready, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || ready[1].Revents != 0 {
			return
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}
