package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// The modes of the socket: root's, and with it that of the group of readers.
const (
	socketMode  = 0o600
	readersMode = 0o660
)

// socket is a listener and the lock that says whose it is.
type socket struct {
	*net.UnixListener
	path   string
	unlock func()
}

// listen makes the socket. The lock beside it is held as long as the socket is listened on, so that
// two daemons which start together do not both find a dead one and replace each other's.
func listen(h host.Host, path string) (*socket, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("the path of the socket must be absolute: %s", path)
	}
	dir, name := filepath.Split(filepath.Clean(path))
	d, err := openDir(h, dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	unlock, err := d.Lock(host.NoWait(), "."+name+".lock", host.Sole)
	if _, ok := errors.AsType[*host.Locked](err); ok {
		return nil, ErrInUse
	} else if err != nil {
		return nil, err
	}
	path = h.Entry(path)
	l, err := bind(path)
	if err != nil {
		unlock()
		return nil, err
	}
	admit(h, path)
	return &socket{l, path, unlock}, nil
}

// openDir opens the directory of the socket, which is made when it is missing. One that is there may be
// open for others to look into, as /run is, since the socket has a mode of its own; nobody else may write to it.
func openDir(h host.Host, dir string) (*host.Dir, error) {
	if _, err := os.Lstat(h.Entry(dir)); err != nil {
		return h.OwnDir(dir)
	}
	d, err := h.OpenDir(dir, h.Run)
	if err != nil {
		return nil, err
	}
	dir = filepath.Clean(dir)
	if d.Shared {
		err = fmt.Errorf("others than root can write to %s", dir)
	} else if d.Name != dir {
		err = fmt.Errorf("%s is reached through a symbolic link", dir)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// remove takes the socket away before the lock, so that it is never a successor's.
func (s *socket) remove() {
	_ = os.Remove(s.path)
	_ = s.Close()
	s.unlock()
}

// bind listens on path, in the place of a socket that nobody listens on.
func bind(path string) (*net.UnixListener, error) {
	if err := clearDead(path); err != nil {
		return nil, err
	}
	// The socket takes its mode over into the directory (unix(7)), so it is never open to others.
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

// admit lets the group of readers connect, where there is one. It stays root's where that fails. The directory is
// root's alone, so path is the socket that was just made.
func admit(h host.Host, path string) {
	if gid, found := h.GroupID(Readers); found && os.Lchown(path, -1, gid) == nil {
		_ = os.Chmod(path, readersMode)
	}
}

// clearDead removes a socket that refuses connections. Whatever else is at path stays.
func clearDead(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, unix.ENOENT) {
		return nil
	} else if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
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
