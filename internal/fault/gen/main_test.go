package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

const repository = "../../.."

// The manual and README.md say what the programs say.
func TestGenerated(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repository, manual))
	if err != nil || string(page) != manualPage() {
		t.Errorf("%s is old: go generate ./internal/fault/gen (%v)", manual, err)
	}
	text, err := os.ReadFile(filepath.Join(repository, readme))
	if err != nil {
		t.Fatal(err)
	}
	now, err := withTable(text)
	if err != nil || string(now) != string(text) {
		t.Errorf("%s is old: go generate ./internal/fault/gen (%v)", readme, err)
	}
}

func TestReadmeNeedsItsMarkers(t *testing.T) {
	for _, text := range []string{"", begin, end + begin, "a\n" + begin + "b\n"} {
		if _, err := withTable([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	got, err := withTable([]byte("a\n" + begin + "BEFORE\n" + end + "z\n"))
	if err != nil || !strings.HasPrefix(string(got), "a\n"+begin+"| failure |") || !strings.HasSuffix(string(got), "|\n"+end+"z\n") || strings.Contains(string(got), "BEFORE") {
		t.Errorf("%v: %s", err, got)
	}
}

// Every failure is in both texts, and every row has its cells.
func TestEveryFault(t *testing.T) {
	table, page := readmeTable(), manualPage()
	for _, k := range fault.Table() {
		if !strings.Contains(table, "| `"+string(k.ID)+"` |") || !strings.Contains(page, "\n.It Sy "+string(k.ID)+"\n") {
			t.Errorf("%s is missing", k.ID)
		}
	}
	for line := range strings.Lines(table) {
		if n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); n != 0 && n != 3 && n != 4 {
			t.Errorf("%d bars: %s", n, line)
		}
	}
}

// mandoc(1) finds nothing wrong with the page.
func TestManualPage(t *testing.T) {
	cmd := exec.Command("mandoc", "-T", "lint", "-W", "warning")
	cmd.Stdin = strings.NewReader(manualPage())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(manual)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, readme), []byte(begin+end), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{dir}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{readme, manual} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(text), string(fault.RoleMissing)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if run(nil) == nil || run([]string{filepath.Join(dir, "none")}) == nil {
		t.Error("a wrong use is accepted")
	}
}
