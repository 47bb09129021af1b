package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadSecret reads a file of at most limit bytes that decides who the machine is to others: a token, a
// secret, a key. Nobody but root can have chosen what is read: the file and each directory on the way
// belong to root or the trusted user, and others can write to none of them. Links are followed, because
// Kubernetes projects its files as links, only where the two made them in such a directory.
//
// A sticky directory is passed through, because nobody else can make or move what is root's directory in
// it. A file or a link that is in it is refused, unless its mount is read-only: whoever has a hard link to
// a file of root, or a directory that root wrote to, can move that there while the name is free.
//
// Where owner is not 0, a file of that user will do as well, in directories and by links of root and that user:
// what is his own he may hand over, and nothing else.
//
// The errors are those of ReadFile, and *DirError about the way.
func (h Host) ReadSecret(path string, limit int, rules Rules, owner int) ([]byte, fs.FileInfo, error) {
	f, err := h.openSecret(path, func(st *unix.Stat_t) error { return h.check(st.Mode, st.Uid, rules|Owned) })
	if err != nil && owner != 0 {
		his := h.Trusting(owner)
		own, notOwn := his.openSecret(path, func(st *unix.Stat_t) error {
			if int(st.Uid) != owner {
				return &Exposed{UID: int(st.Uid), Mode: fs.FileMode(st.Mode & 0o777), Foreign: true}
			}
			return his.check(st.Mode, st.Uid, rules|Owned)
		})
		if notOwn == nil {
			f, err = own, nil
		}
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	content, err := readAll(f, limit)
	return content, info, err
}

// openSecret opens the file that a path leads to by the rules of ReadSecret, if accept has nothing against it.
func (h Host) openSecret(path string, accept func(*unix.Stat_t) error) (*os.File, error) {
	for range maxLinks {
		way, name := filepath.Split(path)
		d, err := h.OpenDir(way)
		if err != nil {
			return nil, err
		}
		f, link, err := d.openSecret(name, accept)
		d.Close()
		if err != nil || link == "" {
			return f, err
		}
		if path = link; !strings.HasPrefix(link, "/") {
			path = d.Name + "/" + link // not cleaned: what ".." means depends on links
		}
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
}

// openSecret opens a file in the directory, or gives where the link of that name leads.
func (d *Dir) openSecret(name string, accept func(*unix.Stat_t) error) (f *os.File, link string, err error) {
	fd, err := d.openPath(name)
	if err != nil {
		return nil, "", &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, "", &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		link, err = d.readLink(fd, &st, filepath.Join(d.Name, name))
		return nil, link, err
	}
	if err := accept(&st); err != nil {
		return nil, "", err
	}
	if d.Shared {
		return nil, "", &DirError{Problem: "others than root can put files into " + d.Name, Path: d.Name}
	}
	f, _, err = d.Open(name, accept)
	return f, "", err
}
