package setup

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

// Change is one change of the machine.
type Change struct {
	Action string `json:"action"` // id of the action that wants it
	Path   string `json:"path"`   // on the host, without Root
	What   string `json:"what"`   // such as "make the file, root:root 0600"
	Diff   string `json:"diff"`   // unified, "" where it is not one of a file's content

	step    `json:"-"` // how it is made: the journal has it
	content []byte     // of a file, afterwards
}

// step is a change as the journal keeps it. Before and After are what the path holds, nil for
// nothing.
type step struct {
	Kind   string `json:"kind"`
	Before *state `json:"before"`
	After  *state `json:"after"`
	Edit   *edit  `json:"edit,omitempty"` // of a file that was there
	To     string `json:"to,omitempty"`   // of a renaming: the new path
	Was    *state `json:"was,omitempty"`  // what the path holds until it holds After, while a node is updated
}

// The kinds of steps beside those of states, which make the path hold such a thing.
const (
	stepRename  = "rename"
	stepService = "service"
)

var (
	errChanged = errors.New("it was changed by another program or person") // a path does not hold what it should
	errKept    = errors.New("it is not empty")                             // a directory stays because it holds something
	errNothing = errors.New("it was changed since, and nothing of the setup is in it")
	errNamed   = errors.New(requestkey.OurFile + " stays and names it")
)

func failed(path string, err error) error {
	if _, ok := errors.AsType[*fault.Fault](err); ok {
		return err
	}
	return fault.SetupFailed.New(path).Because(err)
}

// isMade reports whether another setup has made the change since it was planned.
func (c Change) isMade(h Host) bool {
	now, err := h.viewOf(c.Path)
	return err == nil && c.Kind != stepService && same(now.state, c.After)
}

// apply makes the change, if the machine is as it was when the change was planned.
func (c Change) apply(ctx context.Context, h Host) error {
	if c.Kind == stepService {
		return h.start(ctx, c.Path)
	}
	now, err := h.viewOf(c.Path)
	if err != nil {
		return err
	}
	if !same(now.state, c.Before) {
		return errChanged
	}
	if c.Kind == stepRename {
		return h.rename(c.Path, c.To)
	}
	return h.applyState(c.Path, c.After, c.content)
}

// rename moves what is at one path to another in the same directory, where nothing is.
func (h Host) rename(from, to string) error {
	d, err := h.AnyDir(filepath.Dir(from))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Rename(filepath.Base(from), filepath.Base(to))
}

// undo takes a step back. A path that holds neither what the step left nor what was there before is
// left alone with errChanged, unless it is a file that revertAmong knows how to revert; a directory that is in use
// stays with errKept.
func (s step) undo(ctx context.Context, h Host, path string) error {
	if s.Kind == stepService {
		return h.systemctl(ctx, "stop", path)
	}
	now, err := h.viewOf(path)
	if err != nil {
		return err
	}
	if s.Kind == stepRename {
		return s.undoRename(h, path, now)
	}
	if same(now.state, s.Before) { // not made, or undone already
		return nil
	}
	made := s.Before == nil && s.Kind == isDirectory && now.state.Kind == isDirectory // it goes with any mode, if it is empty
	if !made && !same(now.state, s.After) && !same(now.state, s.Was) {
		return s.revertAmong(h, path, now)
	}
	if s.Before == nil || s.Kind == isDirectory {
		return h.applyState(path, s.Before, nil)
	}
	if s.Edit == nil {
		return errChanged
	}
	content, ok := s.Edit.revert(now.content)
	if !ok || sum(content) != s.Before.Sum {
		return errChanged
	}
	return h.applyState(path, s.Before, content)
}

// revertAmong reverts an edit of a file that others changed as well, as they do with the accounts: the lines that it added are
// taken out, if they are as it left them. What it took out of such a file is not put back: nobody can tell where.
func (s step) revertAmong(h Host, path string, now view) error {
	if s.Edit == nil {
		return errChanged
	}
	if len(s.Edit.Added) == 0 {
		return errNothing
	}
	if s.Edit.isGone(now.content) {
		return nil
	}
	content, ok := s.Edit.takeOut(now.content)
	if !ok {
		return errChanged
	}
	return h.applyState(path, now.state, content)
}

func (s step) undoRename(h Host, path string, now view) error {
	there, err := h.viewOf(s.To)
	if err != nil {
		return err
	}
	if there.state == nil && same(now.state, s.Before) {
		return nil
	}
	if now.state != nil || !same(there.state, s.Before) {
		return errChanged
	}
	return h.rename(s.To, path)
}

// systemctlTime bounds one call; the service notifies systemd when it is ready.
const systemctlTime = 90 * time.Second

// start starts the service; systemd is told of new units first.
func (h Host) start(ctx context.Context, unit string) error {
	err := h.systemctl(ctx, "daemon-reload")
	if err == nil {
		err = h.systemctl(ctx, "restart", unit)
	}
	if err != nil {
		return fault.ServiceFailed.New(unit).Because(err)
	}
	return nil
}

// systemctl runs systemctl(1) where systemd runs.
func (h Host) systemctl(ctx context.Context, args ...string) error {
	if !h.Booted {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, systemctlTime)
	defer cancel()
	return run(ctx, h.Host, "systemctl", args...)
}
