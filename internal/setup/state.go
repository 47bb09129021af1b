package setup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

const (
	maxFile    = 4 << 20   // bytes; a password file with 50000 users is smaller
	maxProgram = 128 << 20 // bytes; of a larger file the content is not told apart
)

// state is what a path holds. Two states are equal when == says so.
type state struct {
	Mode uint32 `json:"mode"` // permissions with the set-id and sticky bits
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
	Sum  string `json:"sha256,omitempty"` // of a file's content; "" of one that cannot be read
	Link string `json:"link,omitempty"`   // of a symbolic link: where it leads
	Kind string `json:"kind"`             // file, folder, link or other
}

const (
	isFile      = "file"
	isDirectory = "folder"
	isLink      = "link"
	isOther     = "other"
)

// view is what a path holds, a nil state for nothing. A file whose content cannot be read, such as one
// that is too large, can still be moved: err matters to those alone who need the content.
type view struct {
	state   *state
	content []byte
	err     error
}

// viewOf tells what is at a path, links at its end not followed.
func (h Host) viewOf(path string) (view, error) {
	name := h.Entry(path)
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return view{}, nil
	} else if err != nil {
		return view{}, err
	}
	st := host.StatOf(info)
	s := &state{Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), Kind: isOther}
	v := view{state: s}
	switch info.Mode().Type() {
	case fs.ModeDir:
		s.Kind = isDirectory
	case fs.ModeSymlink:
		s.Kind = isLink
		s.Link, err = os.Readlink(name)
	case 0:
		s.Kind = isFile
		if v.content, _, v.err = h.ReadFile(path, maxFile, host.NoLink); v.err == nil {
			s.Sum = sum(v.content)
		} else if errors.Is(v.err, host.ErrTooLarge) && info.Size() <= maxProgram {
			s.Sum, err = h.sumOf(path)
		}
	}
	return v, err
}

// sumOf is sum for a large file.
func (h Host) sumOf(path string) (string, error) {
	f, _, err := h.Open(path, host.NoLink)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	digest := sha256.New()
	_, err = io.Copy(digest, f)
	return hex.EncodeToString(digest.Sum(nil)), err
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

// applyState makes a path hold what want says, with this content if that is a file.
func (h Host) applyState(path string, want *state, content []byte) error {
	if want == nil {
		err := os.Remove(h.Entry(path))
		if errors.Is(err, unix.ENOTEMPTY) {
			return errKept
		}
		return err
	}
	f := host.File{UID: want.UID, GID: want.GID, Mode: want.Mode, Label: true}
	switch want.Kind {
	case isFile:
		return h.replace(path, f, content)
	case isDirectory:
		return h.SetDir(path, f)
	case isLink:
		return os.Symlink(want.Link, h.Entry(path))
	}
	return fmt.Errorf("a change of kind %q", want.Kind)
}

// replace puts a file in place, and takes away what a setup that was killed left of one.
func (h Host) replace(path string, f host.File, content []byte) error {
	h.sweep(path)
	return h.Replace(path, f, host.Content(content))
}

// sweep is for who has the lock of the journal: nobody else puts such files in place.
func (h Host) sweep(path string) {
	d, err := h.AnyDir(filepath.Dir(path))
	if err != nil {
		return // nothing was put there
	}
	defer d.Close()
	d.Sweep(filepath.Base(path), func(st *unix.Stat_t) bool { return h.Trusts(st.Uid) })
}

// ownedState is what a file or directory of the trusted user is like.
func (h Host) ownedState(kind string, mode uint32) state {
	f := h.Own(mode)
	return state{Kind: kind, Mode: mode, UID: f.UID, GID: f.GID}
}

// linkState is what a symbolic link of the trusted user is like.
func (h Host) linkState(target string) state {
	s := h.ownedState(isLink, 0o777)
	s.Link = target
	return s
}

func same(a, b *state) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
