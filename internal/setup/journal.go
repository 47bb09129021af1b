package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

// journalPath is where what was done is kept, for Undo. It belongs to root with mode 0600.
const journalPath = "/var/lib/azfilesauth/setup.json"

const journalSchema = 1

const (
	lockName = ".setup.lock"   // beside the journals, while somebody changes the machine
	lockWait = 2 * time.Minute // for another setup, which may be starting the service
)

// journal is what was done, in the order in which it was.
type journal struct {
	path        string   // where it is kept
	Schema      int      `json:"schema"`
	Version     string   `json:"version,omitempty"` // of the program that a node was given
	Directories []string `json:"folders"`           // made for the journal, outermost first
	Entries     []entry  `json:"entries"`
}

type entry struct {
	Action string    `json:"action"`
	Path   string    `json:"path"`
	At     time.Time `json:"at"`
	step
}

// readJournal gives an empty one when there is none. One that others than root could have written is
// refused: it says what is to be put into any file.
func (h Host) readJournal(path string) (*journal, error) {
	content, _, err := h.ReadFile(path, maxFile, host.NoLink|host.Owned)
	if errors.Is(err, fs.ErrNotExist) {
		return &journal{path: path, Schema: journalSchema}, nil
	} else if err != nil {
		return nil, err
	}
	j := journal{path: path}
	if err := json.Unmarshal(content, &j); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if j.Schema != journalSchema {
		return nil, fmt.Errorf("it is of schema %d, this version knows %d", j.Schema, journalSchema)
	}
	return &j, nil
}

// openJournal is readJournal for who is about to change the machine: it keeps other setups from that until done.
func (h Host) openJournal(ctx context.Context, path string) (j *journal, done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	made := journal{path: path}
	unlock, err := made.lock(ctx, h)
	if errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil { // who had the lock took the directory away
		return h.openJournal(ctx, path)
	} else if err != nil {
		return nil, nil, err
	}
	j, err = h.readJournal(path)
	if err == nil {
		j.Directories = append(j.Directories, made.Directories...)
	}
	if err == nil && len(made.Directories) > 0 && len(j.Entries) > 0 { // another setup had the lock first, in our directory
		err = j.write(h)
	}
	done = func() {
		defer unlock()
		_ = os.Remove(h.Entry(filepath.Join(filepath.Dir(path), lockName))) // what is left of it does no harm
		if err == nil && len(j.Entries) == 0 {
			_ = j.remove(h)
		}
	}
	if err != nil {
		done()
	}
	return j, done, err
}

// lock takes the lock of the journals in a directory, which is made when it is missing.
func (j *journal) lock(ctx context.Context, h Host) (unlock func(), err error) {
	dir := filepath.Dir(j.path)
	if err := j.makeDirectories(h, dir); err != nil {
		return nil, err
	}
	d, err := h.AnyDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Lock(ctx, lockName, host.Sole)
}

// write puts the journal in place, and takes it away when it is empty.
func (j *journal) write(h Host) error {
	if len(j.Entries) == 0 {
		return j.remove(h)
	}
	if err := j.makeDirectories(h, filepath.Dir(j.path)); err != nil {
		return err
	}
	content, err := json.MarshalIndent(j, "", " ")
	if err != nil {
		return err
	}
	return h.replace(j.path, h.Own(0o600), append(content, '\n'))
}

func (j *journal) makeDirectories(h Host, dir string) error {
	if v, err := h.viewOf(dir); err != nil || v.state != nil {
		return err
	}
	if err := j.makeDirectories(h, filepath.Dir(dir)); err != nil {
		return err
	}
	j.Directories = append(j.Directories, dir)
	return h.SetDir(dir, h.Own(0o755))
}

func (j *journal) remove(h Host) error {
	h.sweep(j.path)
	if err := os.Remove(h.Entry(j.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, dir := range slices.Backward(j.Directories) {
		if err := h.applyState(dir, nil, nil); err != nil && !errors.Is(err, errKept) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// leavePackaged takes out of the journal what has become a package's: one that came after the machine was prepared has put
// the same over it, and would be broken without.
func (j *journal) leavePackaged(h Host, out io.Writer) {
	if _, err := os.Lstat(h.Entry(config.ShippedPath)); err != nil || !slices.ContainsFunc(j.Entries, entry.isHandler) {
		return
	}
	j.Entries = slices.DeleteFunc(j.Entries, func(e entry) bool {
		if e.isPackaged() {
			printLine(out, e.Path+": kept, because a package has brought it since")
		}
		return e.isPackaged()
	})
}

// isPackaged reports whether packages bring what an entry made: the program, its names, what leads to them, the configuration.
func (e entry) isPackaged() bool {
	return e.Kind == isLink || e.Kind == stepService || slices.Contains([]string{host.Bin(programName), requestkey.OurFile, configPath, adminUnit}, e.Path)
}
