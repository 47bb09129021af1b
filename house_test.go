package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/azfilesauth/azfilesauth"

// pkg is what "go list -json" tells of a package.
type pkg struct {
	ImportPath, Doc  string // ImportPath is the directory in the repository, "" is its root
	GoFiles, Imports []string

	TestGoFiles, XTestGoFiles []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,GoFiles,Imports,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		all = append(all, p)
	}
}

// The floors of the house, from the top. A package imports only what is on its own floor or below it; faces
// do not import each other. What is not listed is a part, between the use cases and the machine.
var (
	faces    = []string{"mounthelper", "upcall", "watcher", "internal/cli", "internal/compat", "internal/clib"}
	useCases = []string{"internal/tickets", "internal/doctor", "internal/bundle"}
	machine  = []string{"internal/host"}
	leaves   = []string{"internal/endpoint", "internal/fault", "internal/secret", "internal/nearest", "internal/legible"} // import nothing of ours
	floors   = [][]string{faces, useCases, {"a part"}, machine, leaves}
	// tests are rooms for tests, the demo and what is generated, which may look everywhere.
	tests = []string{"internal/azurefake", "internal/lab", "internal/fault/gen"}
	// starters start other programs: they delegate, or ask what only a program knows.
	starters = []string{
		"internal/confine", "internal/host", "mounthelper", "upcall",
	}
)

// floor is the number of a package's floor, 0 is the highest.
func floor(path string) int {
	i := slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, path) })
	if i < 0 {
		return 2
	}
	return i
}

func TestArrowsGoOneWay(t *testing.T) {
	var seen []string
	for _, p := range packages(t) {
		if p.ImportPath == "" || under(p.ImportPath, tests) {
			continue
		}
		seen = append(seen, p.ImportPath)
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, module+"/"); ours {
				arrow(t, p.ImportPath, to)
			}
		}
		if slices.Contains(p.Imports, "os/exec") != slices.Contains(starters, p.ImportPath) {
			t.Errorf("whether %s starts other programs (os/exec) and whether it is listed for it differ", p.ImportPath)
		}
	}
	for _, name := range slices.Concat(faces, useCases, machine, leaves) {
		if !slices.Contains(seen, name) {
			t.Errorf("there is no package %s", name)
		}
	}
}

func arrow(t *testing.T, from, to string) {
	t.Helper()
	if under(to, tests) {
		t.Errorf("%s imports %s, which is for tests only", from, to)
	}
	if slices.Contains(faces, to) || slices.Contains(leaves, from) || floor(to) < floor(from) {
		t.Errorf("%s imports %s, which is not below it", from, to)
	}
}

func under(path string, rooms []string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return path == r || strings.HasPrefix(path, r+"/") })
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.Doc) < 40 {
			t.Errorf("package %s has no doc", p.ImportPath)
		}
	}
}

// longest is how many lines a function may have: what is longer is more than one idea.
const longest = 60

func TestNoFunctionIsLong(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, filepath.Join(p.ImportPath, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n.(type) {
				case *ast.FuncDecl, *ast.FuncLit:
					seen++
					if lines := files.Position(n.End()).Line - files.Position(n.Pos()).Line + 1; lines > longest {
						t.Errorf("%s: a function of %d lines", files.Position(n.Pos()), lines)
					}
				}
				return true
			})
		}
	}
	if seen < 1000 {
		t.Errorf("only %d functions were looked at", seen)
	}
}

// TestNoSwitchWithoutAValue: conditions that follow each other are ifs, whose bodies may return early.
func TestNoSwitchWithoutAValue(t *testing.T) {
	for _, p := range packages(t) {
		if under(p.ImportPath, []string{"internal/azurefake", "internal/lab", "internal/tickets/testdata"}) {
			continue
		}
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, filepath.Join(p.ImportPath, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SwitchStmt); ok && s.Tag == nil {
					t.Errorf("%s: a switch without a value", files.Position(s.Pos()))
				}
				return true
			})
		}
	}
}

// realTime are the tests that wait in real time, and why: what they look at is the kernel's or another process's. All others are
// played by testing/synctest, or with a clock of their own.
var realTime = map[string]string{
	"internal/ccache/watch_test.go":         "inotify tells; nothing being told takes a while to see",
	"internal/cli/daemon_test.go":           "waits until a daemon in another process has written, with a bound on hanging",
	"internal/clib/machine_test.go":         "bounds a program in C that hangs",
	"internal/doctor/whole_test.go":         "plays the latency of a network, whose sum a benchmark measures",
	"internal/keyring/main_test.go":         "bounds a request-key that hangs",
	"internal/keyring/ring_test.go":         "the kernel forgets a key",
	"internal/mounts/watch_test.go":         "the kernel tells of mounts; bounds that on hanging",
	"mounthelper/main_test.go":              "bounds a mount that hangs",
	"packaging/kubernetes/test/cri_test.go": "waits for pods",
	"watcher/process_test.go":               "waits until a daemon in another process has written, with a bound on hanging",
}

// TestTestsTakeNoRealTime: a test that sleeps fails on a busy machine, and wastes time on another.
func TestTestsTakeNoRealTime(t *testing.T) {
	waits := regexp.MustCompile(`\btime\.(Sleep|After|AfterFunc|Tick|NewTicker|NewTimer)\(`)
	out, err := exec.Command("git", "ls-files", "*_test.go").Output()
	if err != nil {
		t.Skip("needs the repository: ", err)
	}
	found := map[string]bool{}
	for path := range strings.FieldsSeq(string(out)) {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) || under(path, []string{"internal/lab"}) {
			continue // it was removed, and the index does not know yet; the lab is about real time
		}
		if err != nil {
			t.Fatal(err)
		}
		if !waits.Match(text) || bytes.Contains(text, []byte(`"testing/synctest"`)) {
			continue
		}
		found[path] = true
		if realTime[path] == "" {
			t.Errorf("%s waits in real time: play it by testing/synctest, or say in realTime why it must", path)
		}
	}
	for path := range realTime {
		if !found[path] {
			t.Errorf("%s does not wait in real time any more: take it out of realTime", path)
		}
	}
}

// TestRulesHaveTheirHomes: what the table "Where does a rule live" of CONTRIBUTING.md names is there: files by their path, or behind
// the package in front of them, and names as package.Name or package.Type.method.
func TestRulesHaveTheirHomes(t *testing.T) {
	page, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "## Where does a rule live")
	table, _, ended := strings.Cut(table, "## How to add")
	if !found || !ended {
		t.Fatal("there is no such table")
	}
	code := regexp.MustCompile("`([^`]+)`")
	seen := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			continue
		}
		dir := ""
		for _, word := range code.FindAllStringSubmatch(cells[2], -1) {
			seen++
			if dir = homeOf(dir, word[1]); dir == "" {
				t.Errorf("%s: there is no %s", strings.TrimSpace(cells[1]), word[1])
			}
		}
	}
	if seen < 80 {
		t.Errorf("only %d homes were looked for", seen)
	}
}

// homeOf is the directory in which a name of the table is, "" where it is not. A file without a path is in dir.
func homeOf(dir, name string) string {
	for _, path := range []string{name, filepath.Join("internal", name)} {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return filepath.Dir(path)
		} else if err == nil {
			return path
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, name)); len(files) > 0 { // also a pattern
		return dir
	}
	pkg, names, _ := strings.Cut(name, ".")
	last := names[strings.LastIndexByte(names, '.')+1:]
	for _, dir := range []string{pkg, filepath.Join("internal", pkg)} {
		files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err == nil && last != "" && !strings.HasSuffix(file, "_test.go") &&
				regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type |var |const |\t)`+last+`\b`).Match(text) {
				return dir
			}
		}
	}
	return ""
}

// TestMakeInstallsWhatTestsNeed, since as root none may be skipped, and a fresh machine has only what make deps brings. What
// every Debian has is left out: its essential packages.
func TestMakeInstallsWhatTestsNeed(t *testing.T) {
	needs := regexp.MustCompile(`(?m)^NEEDS +:=((?:.*\\\n)*.*)`).FindStringSubmatch(read(t, "Makefile"))
	if needs == nil {
		t.Fatal("the Makefile has no list NEEDS")
	}
	installed := []string{"bsdutils", "util-linux"}
	for _, need := range strings.Fields(strings.ReplaceAll(needs[1], "\\\n", " ")) {
		_, debianPackage, _ := strings.Cut(need, ":")
		installed = append(installed, debianPackage)
	}
	installed = append(installed, "gcc-aarch64-linux-gnu") // by ARMNEEDS
	call := regexp.MustCompile(`needs\.Program\(t, "([^"]+)", "([^"]+)"`)
	found := 0
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			for _, m := range call.FindAllStringSubmatch(read(t, filepath.Join(p.ImportPath, name)), -1) {
				if found++; !slices.Contains(installed, m[2]) {
					t.Errorf("%s needs %s, and make deps does not install %s", name, m[1], m[2])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no test was found that needs a program")
	}
}
