package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	folderMode = 0o711 // users pass through it to their credential caches
	socketMode = 0o600
)

// socket is a listener and the lock that says whose it is.
type socket struct {
	*net.UnixListener
	path string
	lock *os.File
}

// counted gives its place among the connections back when it is closed.
type counted struct {
	*net.UnixConn
	open chan struct{}
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { <-c.open })
	return c.UnixConn.Close()
}

// listen makes the socket. The lock beside it is held as long as the socket is listened on, so that
// two daemons which start together do not both find a dead one and replace each other's.
func listen(path string) (*socket, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("the path of the socket must be absolute: %s", path)
	}
	path = filepath.Clean(path)
	dir, name := filepath.Split(path)
	if err := makeFolder(filepath.Clean(dir)); err != nil {
		return nil, err
	}
	lock, err := takeLock(filepath.Join(dir, "."+name+".lock"))
	if err != nil {
		return nil, err
	}
	l, err := bind(path)
	if err != nil {
		release(lock)
		return nil, err
	}
	return &socket{l, path, lock}, nil
}

// remove takes the socket away before the lock, so that it is never a successor's.
func (s *socket) remove() {
	_ = os.Remove(s.path)
	_ = s.Close()
	release(s.lock)
}

// makeFolder walks down to the folder of the socket, following no link. Nobody but root may be able to
// change what the path means: each folder is root's, and closed to other writers or sticky; the last
// one is closed. It is made when it is missing.
func makeFolder(path string) error {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	names := strings.Split(strings.Trim(path, "/"), "/")
	for i, name := range names {
		last, at := i == len(names)-1, "/"+filepath.Join(names[:i+1]...)
		next, err := openat(fd, name)
		if last && errors.Is(err, unix.ENOENT) {
			next, err = mkdirat(fd, name)
		}
		if err == nil {
			_ = unix.Close(fd)
			fd = next
			err = safe(fd, last)
		}
		if err != nil {
			return fmt.Errorf("the folder %s: %w", at, err)
		}
	}
	return nil
}

func openat(fd int, name string) (int, error) {
	return unix.Openat(fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// mkdirat makes the folder with its mode, whatever the umask. Another process may have been faster.
func mkdirat(fd int, name string) (int, error) {
	err := unix.Mkdirat(fd, name, folderMode)
	if err == nil {
		err = unix.Fchmodat(fd, name, folderMode, 0)
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, err
	}
	return openat(fd, name)
}

func safe(fd int, closed bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	others, sticky := st.Mode&0o022 != 0, st.Mode&unix.S_ISVTX != 0
	if st.Uid != 0 || others && (closed || !sticky) {
		return fmt.Errorf("others than root can change it (owner uid %d, mode %04o)", st.Uid, st.Mode&0o7777)
	}
	return nil
}

// takeLock holds the lock until it is released or the process ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, socketMode)
	if err != nil {
		return nil, err
	}
	err = setLock(f, unix.F_WRLCK)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrInUse
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func setLock(f *os.File, kind int16) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind})
}

// release unlocks before it closes: a child that is just being started has a copy of the descriptor
// and would keep the lock until its exec. The file stays: to remove it would let two others hold
// locks on two files.
func release(lock *os.File) {
	_ = setLock(lock, unix.F_UNLCK)
	_ = lock.Close()
}

// bind listens on path, in the place of a socket that nobody listens on.
func bind(path string) (*net.UnixListener, error) {
	if err := clearDead(path); err != nil {
		return nil, err
	}
	// The socket takes its mode over into the folder (unix(7)), so it is never open to others.
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), socketMode) })
		return errors.Join(err, failed)
	}}
	l, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	u := l.(*net.UnixListener)
	u.SetUnlinkOnClose(false) // remove does it
	return u, nil
}

// clearDead removes a socket that refuses connections. Whatever else is at path stays.
func clearDead(path string) error {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return fmt.Errorf("%s is there and no socket", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
		return ErrInUse
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
