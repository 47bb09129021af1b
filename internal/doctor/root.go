package doctor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxFile bounds a file that is read, in bytes.
const maxFile = 4 << 20

var errTooLarge = errors.New("the file is too large")

// Path gives the path on this machine of a path beneath the root. Symbolic links, absolute ones too,
// are followed as if the root were /. What does not exist has the path that it would have.
func (s *Subject) Path(path string) string {
	if filepath.Clean(s.Root) == "/" { // the kernel follows links, those of /proc too, which are no paths
		return filepath.Clean(path)
	}
	return s.resolve(path, true)
}

// beneath gives the path beneath the root of a path on this machine.
func (s *Subject) beneath(path string) string {
	return filepath.Join("/", strings.TrimPrefix(path, filepath.Clean(s.Root)))
}

// resolve is Path; the last component is followed if last says so.
func (s *Subject) resolve(path string, last bool) string {
	root := filepath.Clean(s.Root)
	const mostLinks = 40 // as the kernel
	todo := strings.Split(filepath.Clean("/"+path), "/")
	at, links := "/", 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		next := filepath.Join(at, name) // ".." stays beneath the root
		target, err := os.Readlink(filepath.Join(root, next))
		if err != nil || links == mostLinks || len(todo) == 0 && !last {
			at = next
			continue
		}
		links++
		if filepath.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return filepath.Join(root, at)
}

// Open opens a regular file beneath the root for reading. It never waits, as opening a FIFO would.
func (s *Subject) Open(path string) (*os.File, error) {
	name := s.Path(path)
	if info, err := os.Stat(name); err != nil { // before it is opened: some devices act on that
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is not a regular file", path))
	}
	return f, nil
}

// ReadFile reads a regular file beneath the root, of at most 4 MiB.
func (s *Subject) ReadFile(path string) ([]byte, error) {
	f, err := s.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = errTooLarge
	}
	return content, err
}

// Stat examines what is beneath the root, links followed.
func (s *Subject) Stat(path string) (fs.FileInfo, error) { return os.Stat(s.Path(path)) }

// Lstat examines what is beneath the root, the last link not followed.
func (s *Subject) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(s.resolve(path, false)) }

// ReadDir lists a folder beneath the root, sorted.
func (s *Subject) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(s.Path(path)) }

// FirstOf gives the first path at which there is something beneath the root, or may be something that
// this process cannot look at; "" for none.
func (s *Subject) FirstOf(paths ...string) string {
	for _, p := range paths {
		if _, err := s.Stat(p); err == nil || errors.Is(err, fs.ErrPermission) {
			return p
		}
	}
	return ""
}

// CannotSee is the result of a check that could not read path.
func (s *Subject) CannotSee(path string, err error) Result {
	if errors.Is(err, fs.ErrPermission) && s.EUID != 0 {
		return NotChecked("%s can be read by root only: run it again with sudo", path)
	}
	return NotChecked("%s cannot be read: %v", path, reason(err))
}

// reason is an error without the path, which the reader has seen.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// owner is the uid that a file belongs to.
func owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// unsafe says how others than root can change a file, or "".
func unsafe(info fs.FileInfo) string {
	switch uid := owner(info); {
	case uid != 0:
		return fmt.Sprintf("it belongs to uid %d", uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("its mode is %#o", info.Mode().Perm())
	}
	return ""
}

// sameFile reports whether two paths of this machine are one file.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// fileLine is how a line of a file is named.
func fileLine(path string, line int) string { return fmt.Sprintf("%s:%d", path, line) }

// lineOf gives the number of the first line that matches, 0 for none.
func lineOf(text string, matches func(string) bool) int {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if matches(strings.TrimRight(line, "\n")) {
			return n
		}
	}
	return 0
}
