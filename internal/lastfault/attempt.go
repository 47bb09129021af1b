package lastfault

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// Attempt is the last mount at a mount point, which failed. A mount by hand leaves no line of fstab to look at.
type Attempt struct {
	Last
	Source  string // as typed, of at most a few hundred bytes, without a login and a query
	Target  string // the mount point, an absolute path
	Options string // without values that may be secrets
}

// maxAttempts bounds the mount points that are kept, of which the oldest go.
const maxAttempts = 64

// attempts is where they are, each by the hash of its mount point.
func attempts(h host.Host) string { return filepath.Join(h.Run, "last-mount") }

func attemptFile(target string) string {
	sum := sha256.Sum256([]byte(target))
	return hex.EncodeToString(sum[:16])
}

// SaveAttempt leaves a as the last mount at its mount point, now. It must be called as root.
func SaveAttempt(h host.Host, a Attempt, f *fault.Fault) error {
	a.Last = Last{At: h.Now().UTC(), ID: f.ID(), Text: f.Sentence(), Fix: f.Fix()}
	content, err := json.Marshal(a)
	if err != nil {
		return err
	}
	d, err := h.OwnDir(attempts(h))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Replace(attemptFile(a.Target), h.Own(fileMode), host.Content(content)); err != nil {
		return err
	}
	all := readAttempts(d)
	for _, old := range all[:max(len(all)-maxAttempts, 0)] {
		_ = d.Remove(attemptFile(old.Target)) // another process may have been first
	}
	return nil
}

// Attempts gives the mount points whose last mount failed, the newest last. What cannot be read is left out;
// the error is that of their directory, and none when there is no directory.
func Attempts(h host.Host) ([]Attempt, error) {
	d, err := h.OpenDir(attempts(h))
	if errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if err != nil {
		return nil, nil //nolint:nilerr // it is not there
	}
	defer d.Close()
	return readAttempts(d), nil
}

func readAttempts(d *host.Dir) []Attempt {
	names, _ := d.Names() // none is none
	var all []Attempt
	for _, name := range names {
		content, err := d.Read(name, maxFile)
		var a Attempt
		if err != nil || json.Unmarshal(content, &a) != nil || attemptFile(a.Target) != name {
			continue
		}
		for _, text := range []*string{&a.Source, &a.Target, &a.Options, &a.Text, &a.Fix, (*string)(&a.ID)} {
			*text = fault.Line(*text)
		}
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b Attempt) int { return a.At.Compare(b.At) })
	return all
}

// ClearAttempt forgets the last mount at a mount point, because one succeeded.
func ClearAttempt(h host.Host, target string) {
	d, err := h.OpenDir(attempts(h))
	if err != nil {
		return
	}
	defer d.Close()
	_ = d.Remove(attemptFile(target)) // as a rule there is none
}
