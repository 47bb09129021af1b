package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Change is one change of the machine.
type Change struct {
	Action string `json:"action"` // id of the action that wants it
	Path   string `json:"path"`   // on the host, without Root
	What   string `json:"what"`   // such as "make the file, root:root 0600"
	Diff   string `json:"diff"`   // unified, "" where it is not one of a file's content

	step
	content []byte // of a file, afterwards
}

// step is a change as the journal keeps it. Before and After are what the path holds, nil for
// nothing.
type step struct {
	Kind   string `json:"kind"`
	Before *state `json:"before"`
	After  *state `json:"after"`
	Edit   *edit  `json:"edit,omitempty"` // of a file that was there
	To     string `json:"to,omitempty"`   // of a renaming: the new path
}

// The kinds of steps.
const (
	stepFile    = "file"
	stepFolder  = "folder"
	stepLink    = "link"
	stepRename  = "rename"
	stepService = "service"
)

// errChanged means that a path does not hold what it should.
var errChanged = errors.New("it was changed by somebody else")

// errKept means that a folder stays because it holds something.
var errKept = errors.New("it is not empty")

func failed(path string, err error) error {
	var f *fault.Fault
	if errors.As(err, &f) {
		return err
	}
	return fault.SetupFailed.New(path).Because(err)
}

// apply makes the change, if the machine is as it was when the change was planned.
func (c Change) apply(ctx context.Context, h Host) error {
	if c.Kind == stepService {
		return h.start(ctx, c.Path)
	}
	now, _, err := h.look(c.Path)
	if err != nil {
		return err
	}
	if !same(now, c.Before) {
		return errChanged
	}
	name, err := h.within(c.Path)
	if err != nil {
		return err
	}
	switch c.Kind {
	case stepFile:
		return h.write(c.Path, c.content, *c.After)
	case stepFolder:
		return makeFolder(name, c.Before == nil, *c.After)
	case stepLink:
		return os.Symlink(c.After.Link, name)
	case stepRename:
		return h.rename(c.Path, c.To)
	}
	return fmt.Errorf("a change of kind %q", c.Kind)
}

func same(a, b *state) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

func makeFolder(name string, missing bool, s state) error {
	if missing {
		if err := os.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return errors.Join(unix.Fchown(fd, s.UID, s.GID), unix.Fchmod(fd, s.Mode))
}

// rename moves what is at one path to another where nothing is.
func (h Host) rename(from, to string) error {
	old, err := h.within(from)
	if err != nil {
		return err
	}
	return unix.Renameat2(unix.AT_FDCWD, old, unix.AT_FDCWD, filepath.Join(filepath.Dir(old), filepath.Base(to)), unix.RENAME_NOREPLACE)
}

// undo takes a step back. A path that holds neither what the step left nor what was there before is
// left alone with errChanged, a folder that is in use with errKept.
func (s step) undo(ctx context.Context, h Host, path string) error {
	switch s.Kind {
	case stepService:
		return h.stop(ctx, path)
	case stepRename:
		return s.undoRename(h, path)
	}
	now, content, err := h.look(path)
	if err != nil {
		return err
	}
	name, err := h.within(path)
	switch {
	case err != nil:
		return err
	case same(now, s.Before): // not made, or taken back already
		return nil
	case !same(now, s.After):
		return errChanged
	case s.Before == nil:
		return remove(name)
	case s.Kind == stepFolder:
		return makeFolder(name, false, *s.Before)
	case s.Kind != stepFile || s.Edit == nil:
		return errChanged
	}
	content, ok := s.Edit.revert(content)
	if !ok || sum(content) != s.Before.Sum {
		return errChanged
	}
	return h.write(path, content, *s.Before)
}

func (s step) undoRename(h Host, path string) error {
	there, _, err := h.look(s.To)
	if err != nil {
		return err
	}
	now, _, err := h.look(path)
	switch {
	case err != nil:
		return err
	case there == nil && same(now, s.Before):
		return nil
	case now != nil || !same(there, s.Before):
		return errChanged
	}
	return h.rename(s.To, path)
}

func remove(name string) error {
	err := os.Remove(name)
	if errors.Is(err, unix.ENOTEMPTY) {
		return errKept
	}
	return err
}
