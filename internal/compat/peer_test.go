package compat

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/comparison.md")

// peerRow is one thing that the Python and C++ program of the same name, version 1.0.11, does, and
// what this one does. The first word of name is the row of the comparison's table or the number of the
// defect.
type peerRow struct {
	name     string
	what     string // the case, as the comparison tells it
	upstream string
	ours     func(*machine) string // tries it, and gives what the comparison tells
}

// The table of docs/comparison.md stands between these lines.
const (
	tableBegin = "<!-- comparison -->\n"
	tableEnd   = "<!-- /comparison -->\n"
)

// TestPeer tries all of them and holds the table of docs/comparison.md to what they found. Run it with -update to
// write the table again.
func TestPeer(t *testing.T) {
	var rows []peerRow
	for _, part := range [][]peerRow{
		uriRows(), exchangeRows(), networkRows(), tokenRows(), clearRows(), listRows(), cacheRows(), configRows(), defectRows(), successorRows(), heavyRows(),
	} {
		rows = append(rows, part...)
	}
	ours := make([]string, len(rows))
	t.Cleanup(func() { compare(t, rows, ours) })
	alone := len(rows) - len(heavyRows())
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if i < alone {
				t.Parallel()
			}
			ours[i] = row.ours(newMachine(t))
		})
	}
}

func compare(t *testing.T, rows []peerRow, ours []string) {
	var b strings.Builder
	b.WriteString("| case | 1.0.11 | here |\n| --- | --- | --- |\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for i, row := range rows {
		if ours[i] == "" {
			return // one was not run, or failed and said so
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cell.Replace(row.what), cell.Replace(row.upstream), cell.Replace(ours[i]))
	}
	if t.Failed() {
		return
	}
	page := filepath.Join("..", "..", "docs", "comparison.md")
	text, err := os.ReadFile(page)
	must(t, err)
	before, rest, opened := strings.Cut(string(text), tableBegin)
	table, after, closed := strings.Cut(rest, tableEnd)
	if !opened || !closed {
		t.Fatalf("%s lacks the lines %q and %q", page, tableBegin, tableEnd)
	}
	if *update {
		must(t, os.WriteFile(page, []byte(before+tableBegin+b.String()+tableEnd+after), 0o644))
		return
	}
	if b.String() != table {
		t.Errorf("%s is not what the tests found; look at the difference, and run them with -update:\n%s", page, b.String())
	}
}

// all gives one text for cases that end alike.
func all(m *machine, texts ...string) string {
	m.Helper()
	for _, text := range texts {
		if text != texts[0] {
			m.Errorf("%q and %q differ", text, texts[0])
		}
	}
	return texts[0]
}
