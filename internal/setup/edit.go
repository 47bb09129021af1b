package setup

import (
	"bytes"
	"fmt"
	"strings"
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

const diffContext = 3 // lines

// diff is a unified diff (diff(1), "-u") of one hunk; context is how many lines around it are
// shown. It is empty when nothing differs. The before of a file that is made is nil.
func diff(path string, before, after []byte, context int) string {
	old, now := lines(before), lines(after)
	head := 0
	for head < min(len(old), len(now)) && old[head] == now[head] {
		head++
	}
	tail := 0
	for tail < min(len(old), len(now))-head && old[len(old)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	if head == len(old) && head == len(now) {
		return ""
	}
	from := max(0, head-context)
	upto := max(0, tail-context) // lines at the end that are not shown
	var b strings.Builder
	label := "a" + path
	if before == nil {
		label = "/dev/null"
	}
	fmt.Fprintf(&b, "--- %s\n+++ b%s\n@@ -%s +%s @@\n", label, path, span(from, len(old)-upto), span(from, len(now)-upto))
	mark(&b, " ", old[from:head])
	mark(&b, "-", old[head:len(old)-tail])
	mark(&b, "+", now[head:len(now)-tail])
	mark(&b, " ", old[len(old)-tail:len(old)-upto])
	return b.String()
}

// lines cuts a content into lines with their ends.
func lines(content []byte) []string {
	all := strings.SplitAfter(string(content), "\n")
	if last := len(all) - 1; all[last] == "" {
		all = all[:last]
	}
	return all
}

// span is where a hunk begins and how long it is.
func span(from, to int) string {
	if from == to { // an empty one is named by the line before it
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func mark(b *strings.Builder, sign string, lines []string) {
	for _, line := range lines {
		text, ended := strings.CutSuffix(line, "\n")
		fmt.Fprintf(b, "%s%s\n", sign, text)
		if !ended {
			b.WriteString("\\ No newline at end of file\n")
		}
	}
}
