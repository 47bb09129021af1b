package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// JournalPath is where what was done is kept, for Undo. It belongs to root with mode 0600.
const JournalPath = "/var/lib/azfilesauth/setup.json"

const journalSchema = 1

// journal is what was done, in the order in which it was.
type journal struct {
	Schema  int      `json:"schema"`
	Folders []string `json:"folders"` // made for the journal, outermost first
	Entries []entry  `json:"entries"`
}

type entry struct {
	Action string    `json:"action"`
	Path   string    `json:"path"`
	At     time.Time `json:"at"`
	step
}

// readJournal gives an empty one when there is none. One that others than root could have written is
// refused: it says what is to be put into any file.
func (h Host) readJournal() (*journal, error) {
	s, content, err := h.look(JournalPath)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return &journal{Schema: journalSchema}, nil
	case s.Kind != isFile || s.UID != 0 || s.Mode&0o022 != 0:
		return nil, fmt.Errorf("others than root could have written it: %w", fs.ErrPermission)
	}
	var j journal
	if err := json.Unmarshal(content, &j); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if j.Schema != journalSchema {
		return nil, fmt.Errorf("it is of schema %d, this version knows %d", j.Schema, journalSchema)
	}
	return &j, nil
}

// write puts the journal in place, and takes it away when it is empty.
func (j *journal) write(h Host) error {
	if len(j.Entries) == 0 {
		return j.remove(h)
	}
	if err := j.makeFolders(h); err != nil {
		return err
	}
	content, err := json.MarshalIndent(j, "", " ")
	if err != nil {
		return err
	}
	return h.write(JournalPath, append(content, '\n'), state{Mode: 0o600})
}

func (j *journal) makeFolders(h Host) error {
	var missing []string
	for dir := filepath.Dir(JournalPath); dir != "/"; dir = filepath.Dir(dir) {
		s, _, err := h.look(dir)
		if err != nil {
			return err
		}
		if s != nil {
			break
		}
		missing = append([]string{dir}, missing...)
	}
	for _, dir := range missing {
		name, err := h.within(dir)
		if err == nil {
			err = makeFolder(name, true, state{Mode: 0o755})
		}
		if err != nil {
			return err
		}
		j.Folders = append(j.Folders, dir)
	}
	return nil
}

func (j *journal) remove(h Host) error {
	name, err := h.within(JournalPath)
	if err == nil {
		err = os.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for len(j.Folders) > 0 {
		last := j.Folders[len(j.Folders)-1]
		j.Folders = j.Folders[:len(j.Folders)-1]
		if name, err = h.within(last); err == nil {
			err = remove(name)
		}
		if err != nil && !errors.Is(err, errKept) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
