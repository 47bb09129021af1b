// Package lastfault keeps the last failure of the kernel's requests for each storage account.
//
// Such a failure has nobody to tell it to: the kernel passes on a number. So the last one of each host is
// left in a file, which is removed by the next success: the time in RFC 3339 form, the id, the sentence
// and the fix, one on each line.
//
// Invariants: only root writes and reads the files; what is not whole, or could be somebody else's, is
// absent; what a file says is printable.
package lastfault

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

const (
	fileMode = 0o600
	lines    = 4
	maxFile  = 8 << 10 // bytes of a file that is read
	maxName  = 253     // bytes of a host's name (RFC 1035, 2.3.4)
)

// Last is the last failure of a host, or at a mount point.
type Last struct {
	At   time.Time
	ID   fault.ID
	Text string // the sentence and, in parentheses, the cause
	Fix  string
}

// Dir is where the files are on the machine h, each by the name of its host.
func Dir(h host.Host) string { return filepath.Join(h.Run, "last-fault") }

// Save leaves f as the last failure of a host. The file is replaced in one step. It must be called as root.
func Save(h host.Host, name string, f *fault.Fault) error {
	if !isFileName(name) {
		return errors.New("not a host name")
	}
	d, err := h.OwnDir(Dir(h))
	if err != nil {
		return err
	}
	defer d.Close()
	content := fmt.Sprintf("%s\n%s\n%s\n%s\n", h.Now().UTC().Format(time.RFC3339Nano), f.ID(), f.Sentence(), f.Fix())
	return d.Replace(name, h.Own(fileMode), host.Content([]byte(content)))
}

// Load gives the last failure of a host; ok is false when there is none, or none that can be read.
func Load(h host.Host, name string) (last Last, ok bool) {
	d, err := h.OpenDir(Dir(h))
	if err != nil || !isFileName(name) {
		return Last{}, false
	}
	defer d.Close()
	content, err := d.Read(name, maxFile)
	text := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if err != nil || len(text) != lines {
		return Last{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, text[0])
	return Last{At: at, ID: fault.ID(fault.Line(text[1])), Text: fault.Line(text[2]), Fix: fault.Line(text[3])}, err == nil
}

// Clear removes the last failure of a host and reports whether there was one.
func Clear(h host.Host, name string) bool {
	d, err := h.OpenDir(Dir(h))
	if err != nil || !isFileName(name) {
		return false
	}
	defer d.Close()
	return d.Remove(name) == nil
}

// isFileName reports whether a host can be the name of a file: a name of the DNS in lower case, which
// begins with no dot and holds no slash.
func isFileName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	return name != "" && len(name) <= maxName && name[0] != '.' && strings.Trim(name, letters) == ""
}
