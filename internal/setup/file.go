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
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxLinks = 40      // symbolic links in a path, as in path_resolution(7)
	maxFile  = 4 << 20 // bytes; a password file with 50000 users is smaller
)

// state is what a path holds. Two states are equal when == says so.
type state struct {
	Mode uint32 `json:"mode"` // permissions with the set-id and sticky bits
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
	Sum  string `json:"sha256,omitempty"` // of a file's content
	Link string `json:"link,omitempty"`   // of a symbolic link: where it leads
	Kind string `json:"kind"`             // file, folder, link or other
}

const (
	isFile   = "file"
	isFolder = "folder"
	isLink   = "link"
	isOther  = "other"
)

// within finds the place of a path of the host in the file system of this process. Links on the way
// are followed as the host would follow them; the last component is not.
func (h Host) within(path string) (string, error) {
	at, todo := "/", strings.Split(filepath.Dir(path), "/")
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if name == "" || name == "." {
			continue
		}
		next := filepath.Join(at, name)
		target, err := os.Readlink(h.Root + next)
		if err != nil { // no link, or not there: whoever uses the path will tell
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
		}
		if strings.HasPrefix(target, "/") {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return filepath.Join(h.Root, at, filepath.Base(path)), nil
}

// look tells what is at a path, and for a file its content. Nothing is a nil state.
func (h Host) look(path string) (*state, []byte, error) {
	name, err := h.within(path)
	if err != nil {
		return nil, nil, err
	}
	var st unix.Stat_t
	err = unix.Lstat(name, &st)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	s := &state{Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), Kind: isOther}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		s.Kind = isFolder
	case unix.S_IFLNK:
		s.Kind = isLink
		s.Link, err = os.Readlink(name)
		return s, nil, err
	case unix.S_IFREG:
		s.Kind = isFile
		if st.Size > maxFile {
			return nil, nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
		}
		content, err := readFile(name)
		s.Sum = sum(content)
		return s, content, err
	}
	return s, nil, nil
}

// readFile reads what was a regular file a moment ago. In a folder of everybody's its owner may have
// put a link or a FIFO in its place since.
func readFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = unix.EFBIG
	}
	return content, err
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

// write puts a file in place, whole, with the owner and mode of s.
func (h Host) write(path string, content []byte, s state) (err error) {
	name, err := h.within(path)
	if err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(name), ".azfilesauth-*") // no program reads such a name
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	err = errors.Join(
		unix.Fchown(int(out.Fd()), s.UID, s.GID), unix.Fchmod(int(out.Fd()), s.Mode), copyLabel(out, name))
	if err == nil {
		_, err = out.Write(content)
	}
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), name); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

// copyLabel gives the new file the label that SELinux knows the old one by: the folder's own would
// be wrong for the likes of /etc/shadow.
func copyLabel(out *os.File, old string) error {
	const label = "security.selinux"
	value := make([]byte, 512)
	n, err := unix.Lgetxattr(old, label, value)
	if err != nil || n == 0 { // no old file, or no SELinux
		return nil
	}
	return unix.Fsetxattr(int(out.Fd()), label, value[:n], 0)
}

// syncFolder makes a rename last. Some file systems cannot.
func syncFolder(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}
