package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Rules are what a file that is opened must keep beyond being a regular one.
type Rules uint

// The rules of a file.
const (
	NoLink  Rules = 1 << iota // its name is no symbolic link; Kubernetes projects its files as links
	Owned                     // it belongs to the trusted user or root, and nobody else can write to it
	Private                   // nobody else can read it either
)

// The errors about a file that is not as it must be. They do not name the file.
var (
	ErrNotRegular = errors.New("it is not a regular file")
	ErrTooLarge   = errors.New("it is too large")
)

// Exposed says that others than root could have written a file, or can read what is secret.
type Exposed struct {
	UID     int         // its owner
	Mode    fs.FileMode // its permissions
	Foreign bool        // the owner is not trusted; else the mode is at fault
}

func (e *Exposed) Error() string {
	if e.Foreign {
		return fmt.Sprintf("it belongs to uid %d", e.UID)
	}
	return fmt.Sprintf("its mode is %#o", e.Mode)
}

// Exposed tells how others than root could have changed what was examined, a file or a directory; nil
// when they could not. A sticky directory is no exception.
func (h Host) Exposed(info fs.FileInfo) *Exposed {
	st := StatOf(info)
	return h.exposed(st.Mode, st.Uid, Owned)
}

// StatOf is what the system says of a file that it was asked about.
func StatOf(info fs.FileInfo) *syscall.Stat_t { return info.Sys().(*syscall.Stat_t) }

func (h Host) exposed(mode, uid uint32, rules Rules) *Exposed {
	e := &Exposed{int(uid), fs.FileMode(mode & 0o777), !h.Trusts(uid)}
	if rules&(Owned|Private) != 0 && (e.Foreign || mode&othersWrite != 0) || rules&Private != 0 && mode&othersAll != 0 {
		return e
	}
	return nil
}

// check examines a file by the rules. The errors are ErrNotRegular and *Exposed.
func (h Host) check(mode, uid uint32, rules Rules) error {
	if mode&unix.S_IFMT != unix.S_IFREG {
		return ErrNotRegular
	}
	if e := h.exposed(mode, uid, rules); e != nil {
		return e
	}
	return nil
}

// Open opens a file for reading, if it keeps the rules. It is examined before it is opened, since to open
// a device can do something, and again afterwards, so that nothing can be put in its place between the
// look and the reading. It never waits, as opening a FIFO would.
func (h Host) Open(path string, rules Rules) (*os.File, fs.FileInfo, error) {
	name, examine, flags := h.Path(path), os.Stat, 0
	if rules&NoLink != 0 {
		name, examine, flags = h.Entry(path), os.Lstat, unix.O_NOFOLLOW
	}
	info, err := examine(name)
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotRegular
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|flags, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil {
		st := StatOf(info)
		err = h.check(st.Mode, st.Uid, rules)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// ReadFile reads a file of at most limit bytes that keeps the rules. Errors: ErrNotRegular, ErrTooLarge,
// *Exposed, and those of the system, which are *fs.PathError.
func (h Host) ReadFile(path string, limit int, rules Rules) ([]byte, fs.FileInfo, error) {
	f, info, err := h.Open(path, rules)
	if err != nil {
		return nil, nil, err
	}
	content, err := readAll(f, limit)
	return content, info, err
}

// readAll reads a file and closes it.
func readAll(f *os.File, limit int) ([]byte, error) {
	defer func() { _ = f.Close() }() // only read
	size := 0                        // unknown, as in /proc
	if info, err := f.Stat(); err == nil {
		size = int(min(info.Size(), int64(limit)))
	}
	// As large as the file from the start: to grow would touch several times its memory.
	content := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err := content.ReadFrom(io.LimitReader(f, int64(limit)+1))
	if err == nil && content.Len() > limit {
		err = ErrTooLarge
	}
	return content.Bytes(), err
}

// WithoutPath is what went wrong with a file that the reader has been told of, and whose path may be beneath a root.
func WithoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// OpenLog opens a regular file to append to, and makes it with that mode when it is missing. The directory is the
// administrator's business; the last component is never followed as a link.
func (h Host) OpenLog(path string, mode fs.FileMode) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	f, err := os.OpenFile(h.Entry(path), flags|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		f, err = os.OpenFile(h.Entry(path), flags, 0)
	} else if err == nil {
		_ = f.Chmod(mode) // whatever the umask is
	}
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.Join(err, ErrNotRegular)}
	}
	return f, nil
}

// Stat examines what a name in the directory is, a link not followed.
func (d *Dir) Stat(name string) (st unix.Stat_t, err error) {
	err = unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}

// Open opens a file in the directory for reading, if accept has nothing against it. As Open of a Host it
// looks before and after, and it follows no link.
func (d *Dir) Open(name string, accept func(*unix.Stat_t) error) (*os.File, unix.Stat_t, error) {
	st, err := d.Stat(name)
	if err == nil {
		err = accept(&st)
	}
	if err != nil {
		return nil, st, err
	}
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, st, err
	}
	f := os.NewFile(uintptr(fd), name)
	if err = unix.Fstat(fd, &st); err == nil {
		err = accept(&st)
	}
	if err != nil {
		_ = f.Close()
		return nil, st, err
	}
	return f, st, nil
}

// Read reads a file of ours in the directory, of at most limit bytes. The errors are those of ReadFile. Beside
// ErrTooLarge there is the beginning of the file.
func (d *Dir) Read(name string, limit int) ([]byte, error) {
	f, _, err := d.Open(name, func(st *unix.Stat_t) error { return d.host.check(st.Mode, st.Uid, Owned) })
	if err != nil {
		return nil, err
	}
	return readAll(f, limit)
}

// Remove takes a file out of the directory.
func (d *Dir) Remove(name string) error { return unix.Unlinkat(d.fd, name, 0) }

// Rename gives a file in the directory another name there, in the place of what has it.
func (d *Dir) Rename(from, to string) error { return unix.Renameat(d.fd, from, d.fd, to) }

// Names lists the directory in no order.
func (d *Dir) Names() ([]string, error) { return d.someNames(-1) }

// someNames gives at most so many names of the directory, -1 for all.
func (d *Dir) someNames(most int) ([]string, error) {
	list, err := d.reopen()
	if err != nil {
		return nil, err
	}
	defer func() { _ = list.Close() }() // only read
	return list.Readdirnames(most)
}

// reopen opens the directory for listing and syncing, which its own descriptor cannot do.
func (d *Dir) reopen() (*os.File, error) {
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), d.Name), nil
}
