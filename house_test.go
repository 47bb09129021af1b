package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/azfilesauth/azfilesauth"

// pkg is what "go list -json" tells of a package.
type pkg struct {
	ImportPath, Doc, Name string
	Imports               []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Name,Imports", "./...").Output()
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

// The rooms of the house. Data goes one way: faces -> tickets -> parts.
var (
	faces  = []string{"mounthelper", "upcall", "watcher", "internal/cli", "internal/compat", "internal/clib"}
	middle = []string{"internal/tickets", "internal/doctor", "internal/bundle"}
	leaves = []string{"internal/endpoint", "internal/fault", "internal/secret", "internal/log"}
	// tests are rooms for tests, the demo and what is generated, which may look everywhere.
	tests = []string{"internal/azurefake", "internal/lab", "internal/fault/gen"}
)

func TestArrowsGoOneWay(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		if p.ImportPath == "" || under(p.ImportPath, tests) {
			continue
		}
		seen++
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module+"/")
			switch {
			case !ours:
			case under(to, tests):
				t.Errorf("%s imports %s, which is for tests only", p.ImportPath, to)
			case slices.Contains(faces, to):
				t.Errorf("%s imports the face %s", p.ImportPath, to)
			case slices.Contains(middle, to) && !slices.Contains(faces, p.ImportPath) && !slices.Contains(middle, p.ImportPath):
				t.Errorf("%s is a part and imports %s", p.ImportPath, to)
			case slices.Contains(leaves, p.ImportPath):
				t.Errorf("%s imports %s and must import nothing of ours", p.ImportPath, to)
			}
		}
	}
	if seen < len(faces)+len(leaves) {
		t.Errorf("only %d packages were looked at", seen)
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
