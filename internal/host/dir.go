package host

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	othersWrite = 0o022 // the mode bits that let others than the owner write
	othersAll   = 0o077
	runMode     = 0o711
	ownMode     = 0o700
)

// Dir is an open directory. What is in it is reached through the descriptor, so that nobody can exchange
// the directory under a running operation. Its methods take names of files, never paths.
type Dir struct {
	Name   string // its path on the machine, without links
	Shared bool   // others can make files in it, unless it is mounted read-only; the sticky bit protects ours

	host   Host
	fd     int      // O_PATH
	strict bool     // the rules of OpenDir are kept
	made   []string // the directories that are made when they are missing
}

// DirError says why a directory cannot be used.
type DirError struct {
	Problem string // a sentence that names the directory
	Err     error  // the cause, if there is another one
	Path    string // the directory or link that others than root could have made or can write to, "" otherwise
	Link    bool   // it is a link
	Missing string // the directory that does not exist, "" otherwise
}

func (e *DirError) Error() string {
	if e.Err == nil {
		return e.Problem
	}
	return e.Problem + ": " + e.Err.Error()
}

func (e *DirError) Unwrap() error { return e.Err }

func dirError(err error, format string, args ...any) error {
	return &DirError{Problem: fmt.Sprintf(format, args...), Err: err}
}

// OpenDir opens a directory whose name nobody but root can give another meaning: each directory on the
// way, the last one included, belongs to root or the trusted user, and is closed to other writers, or
// sticky so that they cannot exchange what is not theirs. A link is followed only if one of the two made
// it in a directory where only they can write.
//
// The directories in made are our own. They are made when they are missing, Run for all to pass through
// and others private, and must not be shared. The errors are *DirError.
func (h Host) OpenDir(path string, made ...string) (*Dir, error) {
	return h.walk(path, &Dir{host: h, fd: -1, strict: true, made: made})
}

// OwnDir is OpenDir for a directory of ours, such as one in Run, to which no link may lead.
func (h Host) OwnDir(path string) (*Dir, error) {
	path = filepath.Clean(path)
	d, err := h.OpenDir(path, h.Run, path)
	if err == nil && d.Name != path {
		d.Close()
		return nil, dirError(nil, "%s is reached through a symbolic link", path)
	}
	return d, err
}

// AnyDir opens a directory, whoever it belongs to: only what cannot be misled may be done in it.
func (h Host) AnyDir(path string) (*Dir, error) { return h.walk(path, &Dir{host: h, fd: -1}) }

// SetDir makes a directory, or gives one that is there its owner and mode. Its parent must be there.
func (h Host) SetDir(path string, f File) error {
	d, err := h.AnyDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	name := filepath.Base(path)
	if err := unix.Mkdirat(d.fd, name, ownMode); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return errors.Join(unix.Fchown(fd, f.UID, f.GID), unix.Fchmod(fd, f.Mode))
}

func (h Host) walk(path string, d *Dir) (*Dir, error) {
	if !filepath.IsAbs(path) { // it would be taken as beneath the root of the machine
		return nil, dirError(nil, "%q is not an absolute path", path)
	}
	err := d.restart()
	if err == nil {
		err = follow(path, d.enter, d.restart)
	}
	if errors.Is(err, unix.ELOOP) {
		err = dirError(nil, "%s leads through too many links", path)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Close lets go of the directory.
func (d *Dir) Close() {
	if d.fd >= 0 {
		_ = unix.Close(d.fd)
		d.fd = -1
	}
}

// restart goes to the root of the machine.
func (d *Dir) restart() error {
	fd, err := unix.Open(d.host.Root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return dirError(err, "%s cannot be opened", d.host.Root)
	}
	return d.useDescriptor(fd, "/")
}

// enter goes down into name, or gives where it leads when it is a link that may be followed.
func (d *Dir) enter(name string) (link string, err error) {
	path := filepath.Join(d.Name, name)
	if name == ".." && d.Name == "/" {
		return "", nil
	}
	fd, err := d.openPath(name)
	if errors.Is(err, unix.ENOENT) && slices.Contains(d.made, path) {
		if err := d.mkdir(name, path); err != nil {
			return "", dirError(err, "%s is missing and cannot be made", path)
		}
		fd, err = d.openPath(name)
	}
	if errors.Is(err, unix.ENOENT) {
		return "", &DirError{Problem: path + " does not exist", Missing: path}
	} else if err != nil {
		return "", dirError(err, "%s cannot be opened", path)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		defer func() { _ = unix.Close(fd) }()
		return d.readLink(fd, &st, path)
	}
	return "", d.useDescriptor(fd, path)
}

func (d *Dir) openPath(name string) (int, error) {
	return unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// mkdir makes a directory with exactly its mode, whatever the umask. That another process made it first
// is no error.
func (d *Dir) mkdir(name, path string) error {
	mode := uint32(ownMode)
	if path == d.host.Run {
		mode = runMode
	}
	err := unix.Mkdirat(d.fd, name, mode)
	if errors.Is(err, unix.EEXIST) {
		return nil
	} else if err != nil {
		return err
	}
	return unix.Fchmodat(d.fd, name, mode, 0)
}

func (d *Dir) readLink(fd int, st *unix.Stat_t, path string) (string, error) {
	if d.strict && (!d.host.Trusts(st.Uid) || d.Shared) {
		return "", &DirError{Problem: path + " is a link that others than root could have made", Path: path, Link: true}
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", dirError(err, "the link %s cannot be read", path)
	}
	return string(buf[:n]), nil
}

// useDescriptor makes d the directory open as fd, or closes fd when that breaks the rules.
func (d *Dir) useDescriptor(fd int, path string) error {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err != nil {
		err = dirError(err, "%s cannot be looked at", path)
	} else if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		err = dirError(nil, "%s is not a directory", path)
	} else if d.strict {
		err = d.checkWriters(&st, path)
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	d.Close()
	d.fd, d.Name, d.Shared = fd, path, st.Mode&othersWrite != 0 && !readOnly(fd)
	return nil
}

// readOnly reports whether a directory is mounted so that nobody can write to it, as Kubernetes mounts the
// files that it projects, in a directory of mode 1777.
func readOnly(fd int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

// checkWriters tells what is wrong with who can write to a directory.
func (d *Dir) checkWriters(st *unix.Stat_t, path string) error {
	if !d.host.Trusts(st.Uid) {
		return &DirError{Problem: fmt.Sprintf("%s belongs to uid %d, not to root", path, st.Uid), Path: path}
	}
	closed := slices.Contains(d.made, path)
	if st.Mode&othersWrite != 0 && (closed || st.Mode&unix.S_ISVTX == 0) {
		return &DirError{Problem: fmt.Sprintf("others than root can write to %s (mode %04o)", path, st.Mode&0o7777), Path: path}
	}
	if closed && path != d.host.Run && st.Mode&othersAll != 0 {
		return dirError(nil, "others than root can look into %s (mode %04o)", path, st.Mode&0o7777)
	}
	return nil
}
