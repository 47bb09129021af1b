package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

const repository = "../../.."

// The manual and docs/faults.md say what the programs say.
func TestGenerated(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repository, manual))
	if err != nil || string(page) != manualPage() {
		t.Errorf("%s is old: go generate ./internal/fault/gen (%v)", manual, err)
	}
	for _, s := range sections() {
		text, err := os.ReadFile(filepath.Join(repository, s.file))
		if err != nil {
			t.Fatal(err)
		}
		now, err := s.renew(text)
		if err != nil || string(now) != string(text) {
			t.Errorf("%s is old: go generate ./internal/fault/gen (%v)", s.file, err)
		}
	}
}

func TestTextsNeedTheirMarkers(t *testing.T) {
	for _, s := range sections() {
		for _, text := range []string{"", s.begin, s.end + s.begin, "a\n" + s.begin + "b\n"} {
			if _, err := s.renew([]byte(text)); err == nil {
				t.Errorf("%s: %q is accepted", s.file, text)
			}
		}
		got, err := s.renew([]byte("a\n" + s.begin + "BEFORE\n" + s.end + "z\n"))
		if want := "a\n" + s.begin + s.content() + s.end + "z\n"; err != nil || string(got) != want {
			t.Errorf("%v: %s", err, got)
		}
	}
}

// Every failure is in both texts, and every row has its cells.
func TestEveryFault(t *testing.T) {
	table, page := docsTable(), manualPage()
	for _, k := range fault.Table() {
		if !strings.Contains(table, "`"+string(k.ID)+"`") || !strings.Contains(page, "\n.It Sy "+string(k.ID)+"\n") {
			t.Errorf("%s is missing", k.ID)
		}
	}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		if n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); n != 3 && n != 4 {
			t.Errorf("%d bars: %s", n, line)
		}
	}
}

// Every check is in both manual pages.
func TestEveryCheck(t *testing.T) {
	list, page := checkList(), manualPage()
	for _, c := range doctor.All() {
		if line := "\n.It Sy " + string(c.ID) + "\n"; !strings.Contains(list, line) || !strings.Contains(page, line) {
			t.Errorf("%s is missing", c.ID)
		}
	}
}

func TestRoff(t *testing.T) {
	long := strings.Repeat("word ", 30)
	for text, want := range map[string]string{
		"One. Two":  "One.\nTwo",
		".a 'b":     `\&.a 'b`,
		`a\b-c`:     `a\eb\-c`,
		long + "'x": strings.TrimSpace(strings.Repeat("word ", 15)) + "\n" + strings.Repeat("word ", 15) + "'x",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// Pages, literals and paths in the text of a key are marked up, with their punctuation.
func TestMarkup(t *testing.T) {
	for text, want := range map[string]string{
		"As azfiles.upcall(8) does.":          "As\n.Xr azfiles.upcall 8\ndoes.",
		"Or cifs.upcall(8). `a b` , more":     "Or\n.Xr cifs.upcall 8 .\n.Li a b ,\nmore",
		"In /tmp/x_%{uid} ; else /metrics on": "In\n.Pa /tmp/x_%{uid} ;\nelse\n.Pa /metrics\non",
		"client/object id.":                   "client/object id.",
	} {
		if got := mdoc(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	empty := map[string]string{}
	for _, s := range sections() {
		empty[s.file] += s.begin + s.end
	}
	for name, text := range empty {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run([]string{dir}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"docs/faults.md": string(fault.RoleMissing.ID), manual: string(fault.RoleMissing.ID), sections()[0].file: "request-key-rule", "packaging/man/azfilesauth.yaml.5": ".It Cm token_cache : Cm keyring | off"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if run(nil) == nil || run([]string{filepath.Join(dir, "none")}) == nil {
		t.Error("a wrong use is accepted")
	}
}
