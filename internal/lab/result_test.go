package lab

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestResults(t *testing.T) {
	var got []Result
	r := Results{Done: func(r Result) { got = append(got, r) }}
	console := `init: something
PASS stock/first 1.2s
| # a heading
| FAIL: first:3: exit status 1
noise in between
FAIL second 20ms
PASS third 3s
FAILED to be a verdict
PASS too many words here`
	for line := range strings.Lines(console) {
		r.Line(strings.TrimRight(line, "\n"))
	}
	want := []Result{
		{"stock/first", true, "1.2s", ""},
		{"second", false, "20ms", "# a heading\nFAIL: first:3: exit status 1\n"},
		{"third", true, "3s", ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWatchFindsTheEnd(t *testing.T) {
	for _, c := range []struct{ console, status, panicked, lines string }{
		{"PASS a 1s\r\nguest: exit 0\r\n[ 9.1] reboot: Power down\r\n", "0", "", "PASS a 1s\n"},
		{"guest: exit 1\n", "1", "", ""},
		{
			"PASS a 1s\n[ 9.1] Kernel panic - not syncing: softlockup: hung tasks\n", "", "softlockup: hung tasks",
			"PASS a 1s\n[ 9.1] Kernel panic - not syncing: softlockup: hung tasks\n",
		},
	} {
		var lines strings.Builder
		status, panicked, err := watch(strings.NewReader(c.console), filepath.Join(t.TempDir(), "console"), func(s string) { lines.WriteString(s + "\n") })
		if err != nil || status != c.status || panicked != c.panicked || lines.String() != c.lines {
			t.Errorf("%q: status %q, panic %q, lines %q, %v", c.console, status, panicked, lines.String(), err)
		}
	}
}

func TestNamesOfStories(t *testing.T) {
	repo := t.TempDir()
	for _, name := range []string{"mount.txtar", "native/healing.txtar", "stock/wait.txtar", "other/none.txtar"} {
		name = filepath.Join(repo, "internal/lab/stories", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := (&Lab{Repo: repo}).Stories()
	want := []string{"stock/mount", "stock/wait", "native/mount", "native/healing"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
