package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFile bounds a file that is read, in bytes.
const maxFile = 4 << 20

// Open opens a regular file of the machine for reading, whoever it belongs to.
func (s *Subject) Open(path string) (*os.File, error) {
	f, _, err := s.Host.Open(path, 0)
	return f, err
}

// ReadFile reads a regular file of the machine, of at most 4 MiB.
func (s *Subject) ReadFile(path string) ([]byte, error) {
	content, _, err := s.Host.ReadFile(path, maxFile, 0)
	return content, err
}

// text is a file whose absence means the same as that it is empty, without the spaces around it.
func (s *Subject) text(path string) string {
	content, _ := s.ReadFile(path)
	return strings.TrimSpace(string(content))
}

// Stat examines what is at a path of the machine, links followed.
func (s *Subject) Stat(path string) (fs.FileInfo, error) { return os.Stat(s.Path(path)) }

// Lstat examines what is at a path of the machine, the last link not followed.
func (s *Subject) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(s.Entry(path)) }

// ReadDir lists a directory of the machine, sorted.
func (s *Subject) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(s.Path(path)) }

// FirstOf gives the first path at which there is something, or may be something that this process
// cannot look at; "" for none.
func (s *Subject) FirstOf(paths ...string) string {
	for _, p := range paths {
		if _, err := s.Stat(p); err == nil || errors.Is(err, fs.ErrPermission) {
			return p
		}
	}
	return ""
}

// real gives the path of the machine at which a file is, all links followed; the path itself where
// they lead nowhere.
func (s *Subject) real(path string) string {
	found := s.Path(path)
	if real, err := filepath.EvalSymlinks(found); err == nil && s.Root == "/" {
		return real
	}
	return s.beneath(found)
}

// beneath gives the path of the machine of a path in this process.
func (s *Subject) beneath(path string) string {
	return filepath.Join("/", strings.TrimPrefix(path, s.Root))
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

// secured is the finding that others than root can change what is at a path.
func secured(path, format string, a ...any) Result {
	return Warned("chown root:root "+path+" && chmod go-w "+path, format, a...)
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
