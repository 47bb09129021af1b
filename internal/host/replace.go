package host

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	tempSuffix = ".tmp"
	tempRandom = 8 // bytes
	mostSwept  = 4096
)

// File says how a file is to be that is put in place.
type File struct {
	UID, GID int
	Mode     uint32 // permissions, with the set-id and sticky bits
	Label    bool   // it keeps the label that SELinux knows the old one by
	New      bool   // one that is there already stays; the error is then fs.ErrExist
	Aside    string // the old one, which must be there, gets this name
	Reader   int    // a user beside the owner who may read it, zero is none; ErrNoACL where that cannot be said
}

// Content writes data, for Replace.
func Content(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// Replace puts a file in place, whole and durably, with what write writes. Its directory may be
// anybody's. A link at its place is replaced, not followed. When anything fails the old file stays.
func (h Host) Replace(path string, f File, write func(io.Writer) error) error {
	d, err := h.AnyDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Replace(filepath.Base(path), f, write); err != nil {
		return &fs.PathError{Op: "replace", Path: path, Err: err}
	}
	return nil
}

// Replace is Replace of a Host for a name in the directory. Only when the directory cannot be written to the
// disk is the new file there beside an error.
func (d *Dir) Replace(name string, f File, write func(io.Writer) error) error {
	temp := tempName(name)
	err := d.create(temp, name, f, write)
	if err == nil && f.Aside != "" {
		err = d.Rename(name, f.Aside)
	}
	if err == nil && f.New {
		err = unix.Linkat(d.fd, temp, d.fd, name, 0)
	} else if err == nil {
		err = d.Rename(temp, name)
	}
	if err != nil || f.New {
		_ = unix.Unlinkat(d.fd, temp, 0)
	}
	if err != nil {
		return err
	}
	return d.sync()
}

// create writes the file temp, which is to take the place of name.
func (d *Dir) create(temp, name string, f File, write func(io.Writer) error) error {
	fd, err := unix.Openat(d.fd, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), filepath.Join(d.Name, name))
	if f.Label {
		err = d.copyLabel(out, name)
	}
	if err == nil {
		err = errors.Join(unix.Fchown(fd, f.UID, f.GID), unix.Fchmod(fd, f.Mode))
	}
	if err == nil && f.Reader != 0 {
		err = setReader(out, f.Reader)
	}
	if err == nil {
		err = write(out)
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// sync makes what was renamed in the directory last. Some file systems cannot; then the file is in its
// place all the same.
func (d *Dir) sync() error {
	list, err := d.reopen()
	if err != nil {
		return err
	}
	defer func() { _ = list.Close() }()
	if err := list.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// copyLabel gives the new file the label of the old one: the directory's own would be wrong for the likes
// of /etc/shadow.
func (d *Dir) copyLabel(out *os.File, name string) error {
	const label = "security.selinux"
	value := make([]byte, 512)
	n, err := unix.Lgetxattr(filepath.Join(d.host.Path(d.Name), name), label, value)
	if err != nil || n == 0 { // no old file, or no SELinux
		return nil
	}
	return unix.Fsetxattr(int(out.Fd()), label, value[:n], 0)
}

// Aside gives the name under which what is called name can be put aside: with the suffix, in the place of a
// file of the trusted user's, and with more behind it where somebody else has put something there.
func (d *Dir) Aside(name, suffix string) string {
	st, err := d.Stat(name + suffix)
	if err == nil && d.host.check(st.Mode, st.Uid, Owned) != nil {
		return name + suffix + "." + random()
	}
	return name + suffix
}

// tempName is unpredictable, so that nobody in a shared directory can be there first. No program reads
// such a name.
func tempName(name string) string { return "." + name + "." + random() + tempSuffix }

func random() string {
	text := make([]byte, tempRandom)
	_, _ = rand.Read(text) // never fails: see its documentation
	return hex.EncodeToString(text)
}

// Sweep removes what processes that were killed in a Replace of name left behind, if accept says so. It is
// for who keeps all others from a Replace of name. Everybody can fill /tmp, so no more than mostSwept names are looked at.
func (d *Dir) Sweep(name string, accept func(*unix.Stat_t) bool) {
	names, _ := d.someNames(mostSwept) // what cannot be seen does no harm
	for _, temp := range names {
		rest, okP := strings.CutPrefix(temp, "."+name+".")
		digits, okS := strings.CutSuffix(rest, tempSuffix)
		raw, err := hex.DecodeString(digits)
		if !okP || !okS || err != nil || len(raw) != tempRandom {
			continue
		}
		if st, err := d.Stat(temp); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && accept(&st) {
			_ = d.Remove(temp)
		}
	}
}
