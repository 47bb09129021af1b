package setup

import (
	"bytes"
	"slices"

	"github.com/rogpeppe/go-internal/diff"
)

// edit is the difference between two contents: at From, Removed gave way to Added.
type edit struct {
	From    int    `json:"from"` // bytes
	Removed []byte `json:"removed,omitempty"`
	Added   []byte `json:"added,omitempty"`
}

func editOf(before, after []byte) *edit {
	from := 0
	for from < min(len(before), len(after)) && before[from] == after[from] {
		from++
	}
	same := 0
	for same < min(len(before), len(after))-from && before[len(before)-1-same] == after[len(after)-1-same] {
		same++
	}
	return &edit{from, before[from : len(before)-same], after[from : len(after)-same]}
}

// revert gives what was there before the edit, or false when its bytes are not where it put them.
func (e edit) revert(after []byte) ([]byte, bool) {
	if e.From < 0 || e.From > len(after) || !bytes.HasPrefix(after[e.From:], e.Added) {
		return nil, false
	}
	rest := after[e.From+len(e.Added):]
	return bytes.Join([][]byte{after[:e.From], e.Removed, rest}, nil), true
}

// takeOut gives a content without the lines that the edit added, wherever they are now, or false when it did more than add whole
// lines, or they are not there exactly once.
func (e edit) takeOut(now []byte) ([]byte, bool) {
	at := bytes.Index(now, e.Added)
	if len(e.Removed) > 0 || !bytes.HasSuffix(e.Added, []byte("\n")) || bytes.Count(now, e.Added) != 1 || at > 0 && now[at-1] != '\n' {
		return nil, false
	}
	return slices.Concat(now[:at], now[at+len(e.Added):]), true
}

// isGone reports whether somebody has taken out every line that the edit added, whatever else was changed.
func (e edit) isGone(now []byte) bool {
	added := bytes.Split(bytes.TrimSpace(e.Added), []byte("\n"))
	return len(added[0]) > 0 && !slices.ContainsFunc(added, func(line []byte) bool { return bytes.Contains(now, bytes.TrimSpace(line)) })
}

// unified is a unified diff, "" when nothing differs. The before of a file that is made is nil.
func unified(path string, before, after []byte) string {
	label := "a" + path
	if before == nil {
		label = "/dev/null"
	}
	text := diff.Diff(label, before, "b"+path, after)
	_, text, _ = bytes.Cut(text, []byte("\n")) // "diff A B", which the two lines after it say again
	return string(text)
}

// differingLines leaves of two contents the lines in which they differ, for files whose other lines hold hashes.
func differingLines(before, after []byte) (removed, added []byte) {
	old, now := bytes.SplitAfter(before, []byte("\n")), bytes.SplitAfter(after, []byte("\n"))
	for len(old) > 0 && len(now) > 0 && bytes.Equal(old[0], now[0]) {
		old, now = old[1:], now[1:]
	}
	for len(old) > 0 && len(now) > 0 && bytes.Equal(old[len(old)-1], now[len(now)-1]) {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	return bytes.Join(old, nil), bytes.Join(now, nil)
}
