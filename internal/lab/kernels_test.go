package lab

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

var updatePage = flag.Bool("update", false, "rewrite the tables in docs/kernels.md and README.md")

// The page is what was found, and every story that it tells of is there.
func TestKernelsPage(t *testing.T) {
	const repo = "../.."
	trials, err := readTrials(repo)
	if err != nil || len(trials) == 0 {
		t.Fatalf("nothing was found: %v", err)
	}
	for _, page := range kernelPages {
		text, err := os.ReadFile(filepath.Join(repo, page))
		if err != nil {
			t.Fatal(err)
		}
		want, err := withTables(page, string(text), trials)
		if err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		if string(text) != want && !*updatePage {
			t.Errorf("%s is not what internal/lab/kernels.json says: run this test with -update", page)
		}
	}
	if *updatePage {
		if err := writeTables(repo, trials); err != nil {
			t.Fatal(err)
		}
	}
	all, err := (&Lab{Repo: repo}).Stories()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range features {
		for _, s := range f.stories {
			if !slices.Contains(all, s) {
				t.Errorf("there is no story %s", s)
			}
		}
	}
	for _, e := range exceptions {
		if !slices.Contains(Kernels, e.suite) || !slices.ContainsFunc(all, func(s string) bool { return strings.HasPrefix(s, e.story) }) {
			t.Errorf("there is no %s of %s", e.story, e.suite)
		}
	}
}

func TestKernelsTable(t *testing.T) {
	f := feature{"", []string{"stock/privatelink", "native/privatelink"}}
	for _, c := range []struct {
		stories map[string]bool
		want    string
	}{
		{nil, "no result"},
		{map[string]bool{"stock/privatelink": true, "native/privatelink": true}, "yes"},
		{map[string]bool{"stock/privatelink": false, "native/privatelink": true}, "with our handler only"},
		{map[string]bool{"stock/privatelink": true, "native/privatelink": false}, "with cifs.upcall only"},
		{map[string]bool{"stock/privatelink": false, "native/privatelink": false}, "no"},
		{map[string]bool{"stock/privatelink": false}, "not with cifs.upcall"},
	} {
		if got := f.cell(trial{Suite: "a suite", Stories: c.stories}, &notes{}); got != c.want {
			t.Errorf("%v: %s, not %s", c.stories, got, c.want)
		}
	}
	var n notes
	n.number("a reason")
	if n.number("another") != 2 || n.number("a reason") != 1 || !strings.Contains(n.String(), "2. another") {
		t.Errorf("%+v", n)
	}
}

// A run of some stories leaves what is known of the others, and of other guests.
func TestRecordKeepsWhatWasFound(t *testing.T) {
	repo := t.TempDir()
	for _, dir := range []string{"docs", "internal/lab"} {
		if err := os.MkdirAll(filepath.Join(repo, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for page, text := range map[string]string{
		"docs/kernels.md": "before\n<!-- kernels -->\n<!-- end of kernels -->\nbetween\n<!-- untried -->\n<!-- end of untried -->\nafter\n",
		"README.md":       "first\n<!-- kernels -->\n<!-- end of kernels -->\nlast\n",
	} {
		if err := os.WriteFile(filepath.Join(repo, page), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, found := range []trial{
		{Suite: "bullseye", Date: "2026-01-01", Stories: map[string]bool{"native/channels": false, "stock/lost-tickets": true}},
		{Suite: "trixie", Date: "2026-01-02", Stories: map[string]bool{"native/channels": true}},
		{
			Suite: "bullseye", Date: "2026-01-03", Versions: map[string]string{"kernel": "5.10", "cifs-utils": "6.11-3"},
			Stories: map[string]bool{"native/channels": true},
		},
	} {
		if err := record(repo, found); err != nil {
			t.Fatal(err)
		}
	}
	for page, parts := range map[string][]string{
		"docs/kernels.md": {
			"before\n", "between\n", "after\n", "| Azure Linux 3 | 6.6 |", "| tried on | 2026-01-03 | 2026-01-02 |",
			"| further channels, each with a login of its own, and again after a reconnect | yes | yes |",
			"| sessions are lost, and their tickets too | yes | no result |",
			"\nNot tried yet: bookworm, bookworm-generic, bookworm-backports, trixie-backports, unstable, unstable-generic.\n",
		},
		"README.md": {"first\n", "last\n", "| bullseye | 5.10 | 1 of 1 | 6.11: 1 of 1 |\n", "| trixie |  | 1 of 1 | : not tried |\n"},
	} {
		text, err := os.ReadFile(filepath.Join(repo, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range parts {
			if !strings.Contains(string(text), want) {
				t.Errorf("%q is not in %s:\n%s", want, page, text)
			}
		}
	}
}

// What is said of the kernels that cannot be had follows from the tables that the product uses.
func TestUntriedKernels(t *testing.T) {
	page := untriedTable()
	for _, k := range untriedKernels {
		row := ""
		for line := range strings.Lines(page) {
			if strings.Contains(line, "| "+k.release+" |") {
				row = line
			}
		}
		if strings.Contains(row, "`rasize=8388608`") != mounts.AtLeast(k.release, "6.4") || !strings.Contains(row, "`actimeo=30`") ||
			!strings.Contains(row, mounts.UnsharedSocket) || !strings.Contains(row, "`upcall_target` (6.12)") {
			t.Errorf("%s: %s", k.release, row)
		}
	}
	for _, want := range []string{"5.14", "5.15", "6.4", "6.6", "6.8"} {
		if !strings.Contains(page, "| "+want+" |") {
			t.Errorf("nothing is said of %s", want)
		}
	}
	if row, _, _ := strings.Cut(page[strings.Index(page, "| 6.8 |"):], "\n"); strings.Contains(row, "`retrans`") || !strings.Contains(row, "`reparse` (6.9)") {
		t.Errorf("retrans came with 6.8, reparse with 6.9: %s", row)
	}
	for _, option := range watched {
		if mounts.Since(option) == "" {
			t.Errorf("%s is not known by a release", option)
		}
	}
}
