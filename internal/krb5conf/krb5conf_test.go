package krb5conf_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
)

// profiles are texts that libkrb5 takes or refuses, by a word for what is wrong.
func profiles() map[string]string {
	return map[string]string{
		"ok: empty":               "",
		"ok: what stands before":  "garbage before the first section\n[libdefaults]\n",
		"ok: comments":            "[libdefaults]\n# a\n   ; b\n\t#c\n",
		"ok: spaces":              "[libdefaults]\n\tdefault_realm   =   A  \n",
		"ok: quotes":              "[libdefaults]\n a = \"b c\\\"d\" e\n",
		"ok: final":               "[libdefaults]*\n a* = b\n",
		"ok: section in section":  "[realms]\n A = {\n  kdc = b\n }\n B = {\n }*\n",
		"ok: brace on its own":    "[realms]\n A =\n {\n kdc = b\n }\n",
		"ok: several":             "[a]\n x = 1\n[b]\n y = 2\n[a]\n z = 3\n",
		"ok: no end of line":      "[a]\n x = 1",
		"ok: carriage returns":    "[a]\r\n x = 1\r\n",
		"ok: BOM":                 "\ufeff[a]\n x = 1\n",
		"ok: equals in value":     "[a]\n x = y=z\n",
		"ok: unclosed at the end": "[realms]\n A = {\n kdc = b\n",
		"ok: module-like":         "[a]\n module = b:c\n",
		"no equals":               "[a]\n x\n",
		"nothing before equals":   "[a]\n = y\n",
		"two words":               "[a]\n x y = z\n",
		"unclosed header":         "[a\n",
		"text after header":       "[a] b\n",
		"header in section":       "[a]\n b = {\n[c]\n",
		"extra brace":             "[a]\n }\n",
		"no brace":                "[a]\n b =\n c = d\n",
		"include of nothing":      "include DIR/none\n",
		"include dir of nothing":  "[a]\nincludedir DIR/none\n",
		"ok: include":             "include DIR/good\n[a]\n x = 1\n",
		"ok: include dir":         "includedir DIR/d\n",
		"include and a space":     "include DIR/good \n",
		"include dir and a space": "includedir DIR/d \n",
		"include of a bad one":    "include DIR/bad\n",
		"ok: indented include":    "[a]\n b = {\n include = x\n }\n",
		"indented directive":      "[a]\n include DIR/good\n",
	}
}

// included are the files beside a profile.
const included = `
-- good --
[libdefaults]
 default_realm = INCLUDED
-- bad --
[libdefaults]
 default_realm
-- d/plain-name_1 --
[libdefaults]
 first = plain
-- d/a.conf --
[libdefaults]
 first = a.conf
-- d/ignored.rpmsave --
[libdefaults
-- d/.hidden.conf --
[libdefaults
-- d/ignored~ --
[libdefaults
`

// disk reads files as they are.
type disk struct{}

func (disk) ReadFile(path string) ([]byte, error)       { return os.ReadFile(path) }
func (disk) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// plant gives a directory with the files that profiles include.
func plant(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	for _, f := range txtar.Parse([]byte(included)).Files {
		must(t, os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644))
	}
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The real libkrb5 and our reader agree on what is a profile.
func TestProfilesAgainstMIT(t *testing.T) {
	klist, err := exec.LookPath("klist")
	if err != nil {
		t.Fatal("klist is missing: apt-get install krb5-user")
	}
	dir := plant(t)
	for name, text := range profiles() {
		path := filepath.Join(dir, "krb5.conf")
		must(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644))
		c := krb5conf.Read(disk{}, path)
		if good := strings.HasPrefix(name, "ok: "); good != (c.Err == nil) {
			t.Errorf("%s: %v", name, c.Err)
		}
		cmd := exec.Command(klist, "-c", "FILE:"+dir+"/none")
		cmd.Env = []string{"KRB5_CONFIG=" + path}
		out, _ := cmd.CombinedOutput() // there is no such cache, which is another error
		if mit := strings.Contains(string(out), "No credentials cache found"); mit != (c.Err == nil) {
			t.Errorf("%s: libkrb5 says %s, and we %v", name, out, c.Err)
		}
	}
}

func TestProfileValues(t *testing.T) {
	dir := plant(t)
	path := filepath.Join(dir, "krb5.conf")
	text := "includedir " + dir + "/d\n[libdefaults]\n first = third\n default_realm = \"A \\\"B\\\"\" rest\n[realms]\n X = {\n  sub = {\n   kdc = k\n  }\n }\n"
	must(t, os.WriteFile(path, []byte(text), 0o644))
	c := krb5conf.Read(disk{}, path)
	for _, want := range []krb5conf.Relation{
		{"libdefaults", "first", "a.conf", filepath.Join(dir, "d/a.conf") + ":2"},
		{"libdefaults", "default_realm", `A "B"`, path + ":4"},
		{"realms/X/sub", "kdc", "k", path + ":8"},
	} {
		if got, ok := c.Get(want.Section, want.Tag); !ok || got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if c := krb5conf.Read(disk{}, dir+"/none"); !c.Missing || c.Err != nil {
		t.Errorf("got %+v", c)
	}
}

// A profile that includes itself, or is endless, ends.
func TestProfileBounds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "krb5.conf")
	must(t, os.WriteFile(path, []byte("include "+path+"\n"), 0o644))
	if c := krb5conf.Read(disk{}, path); c.Err == nil || !strings.Contains(c.Err.Error(), "includes itself, or") && !strings.Contains(c.Err.Error(), "itself") {
		t.Errorf("got %v", c.Err)
	}
	must(t, os.WriteFile(path, []byte(strings.Repeat("#\n", 100_000+1)), 0o644))
	if c := krb5conf.Read(disk{}, path); c.Err == nil {
		t.Error("it has no bound")
	}
	loops := ""
	for range 300 {
		loops += "include " + path + "\n"
	}
	must(t, os.WriteFile(path, []byte(loops), 0o644))
	if c := krb5conf.Read(disk{}, path); c.Err == nil || len(c.Paths) != 1 {
		t.Errorf("%v, %d paths", c.Err, len(c.Paths))
	}
}

// What libkrb5 refuses does not hide what stands behind it from who shows or changes the files.
func TestBehindAnError(t *testing.T) {
	dir := plant(t)
	path := filepath.Join(dir, "krb5.conf")
	must(t, os.WriteFile(path, []byte("[a]\n x\ninclude "+dir+"/none\nincludedir "+dir+"/d/\nincludedir "+dir+"/e\n[b]\n y = z\n"), 0o644))
	c := krb5conf.Read(disk{}, path)
	want := []string{path, dir + "/none", dir + "/d/a.conf", dir + "/d/plain-name_1"}
	if !slices.Equal(c.Paths, want) || !slices.Equal(c.Directories, []string{dir + "/d", dir + "/e"}) {
		t.Errorf("%v, %v", c.Paths, c.Directories)
	}
	if r, ok := c.Get("b", "y"); !ok || r.Value != "z" || c.Err == nil || c.Err.Error() != path+":2: there is no =" {
		t.Errorf("%+v, %v", r, c.Err)
	}
}

// A directory that is not there is made, unless only a space is too much; its name is one word of the command.
func TestFixOfIncludedir(t *testing.T) {
	dir := plant(t)
	path := filepath.Join(dir, "krb5.conf")
	for arg, want := range map[string]struct{ text, fix string }{
		"d ":    {"the space at the end of the line belongs to its name", ""},
		"none":  {"no such file", "mkdir -p " + dir + "/none"},
		"a;b c": {"no such file", "mkdir -p '" + dir + "/a;b c'"},
	} {
		must(t, os.WriteFile(path, []byte("includedir "+dir+"/"+arg+"\n"), 0o644))
		var wrong *krb5conf.Error
		if c := krb5conf.Read(disk{}, path); !errors.As(c.Err, &wrong) || wrong.Fix != want.fix || !strings.Contains(wrong.Error(), want.text) {
			t.Errorf("%q: %v, fix %q", arg, c.Err, wrong.Fix)
		}
	}
}

// noFiles is a reader that knows no other file.
type noFiles struct{ text string }

func (n noFiles) ReadFile(path string) ([]byte, error) {
	if path == "/f" {
		return []byte(n.text), nil
	}
	return nil, os.ErrNotExist
}
func (noFiles) ReadDir(string) ([]os.DirEntry, error) { return nil, nil }

func FuzzProfile(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		c := krb5conf.Read(noFiles{text}, "/f")
		var wrong *krb5conf.Error
		if c.Err != nil && !errors.As(c.Err, &wrong) {
			t.Fatal(c.Err)
		}
		if lines := strings.Count(text, "\n") + 1; len(c.Relations) > lines*200 {
			t.Fatalf("%d relations of %d lines", len(c.Relations), lines)
		}
		for _, r := range c.Relations {
			if r.Section == "" && !strings.Contains(text, "[]") || r.Tag == "" && !strings.Contains(text, "*") || !strings.HasPrefix(r.Place, "/f:") {
				t.Fatalf("got %+v", r)
			}
		}
	})
}

func TestRealmOf(t *testing.T) {
	path := "/f"
	c := krb5conf.Read(noFiles{"[domain_realm]\n .core.windows.net = SUFFIX\n file.core.windows.net = DOMAIN\n acct.file.core.windows.net = EXACT\n net = NET\n"}, path)
	for host, want := range map[string]string{
		"acct.file.core.windows.net": "EXACT", "ACCT.file.core.windows.net": "EXACT", "other.file.core.windows.net": "DOMAIN",
		"x.blob.core.windows.net": "SUFFIX", "a.net": "NET", "a.example": "", "net": "NET",
	} {
		if got, _ := c.RealmOf(host); got.Value != want {
			t.Errorf("%s: %q, want %q", host, got.Value, want)
		}
	}
}
