package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

// Show tells what the actions would change, and writes it to out with diffs. It changes nothing.
// Errors are faults.
func Show(ctx context.Context, h Host, actions []Action, out io.Writer) ([]Change, error) {
	p, err := plan(ctx, h, actions)
	if err != nil {
		return nil, fault.From(err)
	}
	var b strings.Builder
	for _, c := range p.changes {
		fmt.Fprintf(&b, "%s: %s: %s\n%s", c.Action, c.Path, c.What, c.Diff)
	}
	for _, note := range p.notes {
		b.WriteString("note: " + note + "\n")
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return nil, fault.OutputFailed.New().Because(err)
	}
	return p.changes, nil
}

// Run shows what the actions change, as Show does, and then changes it. It gives what it changed,
// also beside an error; nothing when all is as it should be. Errors are faults.
func Run(ctx context.Context, h Host, actions []Action, out io.Writer) ([]Change, error) {
	changes, err := Show(ctx, h, actions, out)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	j, done, err := h.openJournal(ctx, journalPath)
	if err != nil {
		return nil, failed(journalPath, err)
	}
	defer done()
	changes = slices.DeleteFunc(changes, func(c Change) bool { return c.isMade(h) })
	var paths []string
	for _, c := range changes {
		paths = append(paths, c.Path)
	}
	unlock, err := h.lockAccounts(paths...)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for i, c := range changes {
		if err := j.do(ctx, h, c); err != nil {
			return changes[:i], failed(c.Path, err)
		}
	}
	if h.Forget != nil {
		_, _ = h.Forget() // else the next mount fails for up to a minute; nothing else is lost
	}
	return changes, nil
}

// do makes one change. It is in the journal first, so that what an interruption leaves can be taken
// back.
func (j *journal) do(ctx context.Context, h Host, c Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.Entries = append(j.Entries, entry{c.Action, c.Path, h.Now().UTC(), c.step})
	if err := j.write(h); err != nil {
		j.Entries = j.Entries[:len(j.Entries)-1] // nothing was done
		return err
	}
	err := c.apply(ctx, h)
	if errors.Is(err, errChanged) { // nor then
		j.Entries = j.Entries[:len(j.Entries)-1]
		return errors.Join(err, j.write(h))
	}
	return err
}

// Undo reverts all that Run did, the last change first, and writes to out what it does. A file
// that somebody changed since stays as it is, and in the journal; the error, a fault of the kind
// SetupChanged, names all such files. A directory that is not empty stays.
func Undo(ctx context.Context, h Host, out io.Writer) error { return undoAll(ctx, h, journalPath, out) }

func undoAll(ctx context.Context, h Host, path string, out io.Writer) error {
	if j, err := h.readJournal(path); err == nil && len(j.Entries) == 0 {
		return nil // without a lock, which makes a directory
	}
	j, done, err := h.openJournal(ctx, path)
	if err != nil {
		return failed(path, err)
	}
	defer done()
	j.leavePackaged(h, out)
	if path == host.NodeRecord {
		if err := j.dropConfig(h, out); err != nil {
			return err
		}
	}
	var paths []string
	for _, e := range j.Entries {
		paths = append(paths, e.Path)
	}
	unlock, err := h.lockAccounts(paths...)
	if err != nil {
		return err
	}
	defer unlock()
	changed, err := j.undo(ctx, h, out)
	if err := errors.Join(err, j.write(h)); err != nil {
		return failed(path, err)
	}
	if len(changed) > 0 {
		return fault.SetupChanged.New(strings.Join(changed, ", "))
	}
	return nil
}

// isHandler reports whether an entry made the program that our rule names, or the one that it leads to.
func (e entry) isHandler() bool {
	name := filepath.Base(e.Path)
	return e.Kind != isDirectory && (name == "azfiles.upcall" || name == programName)
}

// undoAfter reverts an entry, unless something that was reverted before it had been changed and forbids that: what came before a
// change cannot be told apart, and a rule that stays keeps its program, without which every mount with Kerberos fails, those
// of other servers too.
func (j *journal) undoAfter(ctx context.Context, h Host, e entry, changed []string) error {
	if slices.Contains(changed, e.Path) {
		return errChanged
	}
	if slices.Contains(changed, requestkey.OurFile) && e.isHandler() {
		return errNamed
	}
	if h.sweep(e.Path); j.isUndone(h, e) {
		return nil
	}
	return e.undo(ctx, h, e.Path)
}

// isUndone reports whether a file or directory is what an earlier entry found: an undo that was killed came further than the
// journal tells.
func (j *journal) isUndone(h Host, e entry) bool {
	now, err := h.viewOf(e.Path)
	return err == nil && slices.ContainsFunc(j.Entries, func(o entry) bool {
		return o.Path == e.Path && o.Kind == e.Kind && e.Kind != stepRename && e.Kind != stepService && same(now.state, o.Before)
	})
}

// undo leaves in the journal what it could not revert.
func (j *journal) undo(ctx context.Context, h Host, out io.Writer) (changed []string, err error) {
	var kept []entry // the last one first
	keep := func(e entry) { kept = append(kept, e) }
	service := false
	for len(j.Entries) > 0 {
		e := j.Entries[len(j.Entries)-1]
		err := j.undoAfter(ctx, h, e, changed)
		if err == nil {
			printLine(out, e.Path+": as it was before "+e.Action)
		} else if errors.Is(err, errChanged) {
			if keep(e); !slices.Contains(changed, e.Path) {
				changed = append(changed, e.Path)
			}
		} else if errors.Is(err, errNamed) || errors.Is(err, errKept) || errors.Is(err, errNothing) {
			printLine(out, e.Path+": kept, because "+err.Error())
			if errors.Is(err, errNamed) || slices.ContainsFunc(kept, func(k entry) bool { return strings.HasPrefix(k.Path, e.Path+"/") }) {
				keep(e) // for the next time
			}
		} else {
			slices.Reverse(kept)
			j.Entries = append(j.Entries, kept...)
			return changed, failed(e.Path, err)
		}
		service = service || e.Kind == stepService
		j.Entries = j.Entries[:len(j.Entries)-1]
	}
	slices.Reverse(kept)
	j.Entries = kept
	if service {
		return changed, h.systemctl(ctx, "daemon-reload")
	}
	return changed, nil
}

// printLine tells what was done. That it was done is more than that it was told.
func printLine(out io.Writer, line string) { _, _ = fmt.Fprintln(out, line) }
