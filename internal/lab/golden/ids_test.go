package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

const idsFile = "testdata/ids.txt"

// The manual's words for what it defines are the public names, because tests in the root of the
// repository hold the manual to the programs. An item of a list defines what its macros mark, and Va marks
// a key of a JSON value wherever it stands (mdoc(7)).
var (
	macro   = regexp.MustCompile(`\b(Cm|Er|Ev|Fl|Li|Pa|Sy|Va) ((?:[^A-Z\s]\S*|[A-Z]\S{2,})(?: , [^A-Z\s]\S*)*)`)
	metrics = regexp.MustCompile(`(?m)^# TYPE (\S+ \S+)$`)
	kinds   = map[string]string{"Cm": "word", "Er": "number", "Ev": "variable", "Fl": "flag", "Li": "text", "Pa": "file", "Sy": "id", "Va": "key"}
)

// names are all public names of this tree, sorted: where each is defined, its kind and itself.
func names(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(repository, "packaging/man/*.[578]"))
	check(t, err)
	var all []string
	for _, path := range pages {
		text, err := os.ReadFile(path)
		check(t, err)
		page := filepath.Base(path)
		all = append(all, page+" page")
		for line := range strings.Lines(strings.ReplaceAll(string(text), `\&`, "")) {
			for _, m := range macro.FindAllStringSubmatch(line, -1) {
				if !strings.HasPrefix(line, ".It ") && m[1] != "Va" {
					continue
				}
				for word := range strings.SplitSeq(m[2], " , ") {
					all = append(all, fmt.Sprintf("%s %s %s", page, kinds[m[1]], word))
				}
			}
		}
	}
	recorded, err := os.ReadFile("testdata/daemon.txtar")
	check(t, err)
	for _, m := range metrics.FindAllSubmatch(recorded, -1) {
		all = append(all, "metric "+string(m[1]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// A public name is a promise: it stays where it is, and a new one joins the list.
func TestNoPublicNameIsLost(t *testing.T) {
	text, err := os.ReadFile(idsFile)
	if err != nil && os.Getenv(update) == "" {
		t.Fatal(err)
	}
	promised, now := strings.Split(strings.TrimSpace(string(text)), "\n"), names(t)
	if os.Getenv(update) != "" {
		promised = append(promised, now...)
		slices.Sort(promised)
		promised = slices.DeleteFunc(slices.Compact(promised), func(line string) bool { return line == "" })
		check(t, os.WriteFile(idsFile, []byte(strings.Join(promised, "\n")+"\n"), 0o644))
	}
	for _, name := range promised {
		if strings.HasPrefix(name, "former ") { // an id that only explain knows
			continue
		}
		if _, found := slices.BinarySearch(now, name); !found {
			t.Errorf("a public name is gone: %s", name)
		}
	}
	for _, name := range now {
		if !slices.Contains(promised, name) {
			t.Errorf("a public name is not in the list (%s=1 adds it): %s", update, name)
		}
	}
}

// What a log, a ticket or a page of somebody's wiki names is explained for ever: a check that went into
// another one, and a failure that is told by another id, included.
func TestEveryIDIsExplained(t *testing.T) {
	needs.Root(t) // who has the binary, see TestMain
	watchSources(t)
	text, err := os.ReadFile(idsFile)
	check(t, err)
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^(?:former|azfilesauth-faults\.7 id) (\S+)$`).FindAllSubmatch(text, -1) {
		n++
		if out := string(bash(t, "azfilesauth explain "+string(m[1])+"; echo exit $?")); !strings.HasSuffix(out, "exit 0\n") {
			t.Errorf("%s is not explained: %s", m[1], out)
		}
	}
	if n < 140 {
		t.Errorf("only %d ids", n)
	}
}
