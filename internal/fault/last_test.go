package fault

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const lastHost = "acct.file.core.windows.net"

func TestLast(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "last-fault")
	if _, ok := LoadLast(dir, lastHost); ok || ClearLast(dir, lastHost) {
		t.Error("something is there already")
	}
	before := time.Now()
	f := AzureBusy.New(lastHost).Because(errors.New("503\nServerBusy"))
	if err := SaveLast(dir, lastHost, f); err != nil {
		t.Fatal(err)
	}
	last, ok := LoadLast(dir, lastHost)
	if !ok || last.ID != AzureBusy.ID || last.Text != f.What()+" (503 ServerBusy)" || last.Fix != f.Fix() ||
		last.At.Before(before) || last.At.After(time.Now()) {
		t.Errorf("%+v, %v", last, ok)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, lastHost): 0o600, filepath.Dir(dir): 0o711} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if err := SaveLast(dir, lastHost, RoleMissing.New("", "", "")); err != nil {
		t.Fatal(err)
	}
	if last, _ := LoadLast(dir, lastHost); last.ID != RoleMissing.ID {
		t.Errorf("%+v", last)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("%v", names)
	}
	if !ClearLast(dir, lastHost) || ClearLast(dir, lastHost) {
		t.Error("it is cleared once")
	}
	if _, ok := LoadLast(dir, lastHost); ok {
		t.Error("it is still there")
	}
}

func TestLastRefusesNamesThatAreNoHost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "last-fault")
	for _, host := range []string{"", ".", "..", "../x", "a/b", ".tmp-1", "A", "a b", "a\n", "a\x00", strings.Repeat("a", 254)} {
		if err := SaveLast(dir, host, Internal.New()); err == nil {
			t.Errorf("%q was saved", host)
		}
		if _, ok := LoadLast(dir, host); ok || ClearLast(dir, host) {
			t.Errorf("%q is there", host)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder was made")
	}
}

func TestLastThatCannotBeTrusted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "last-fault")
	good := "2026-11-23T12:00:00Z\nAZF-X\ntext\nfix\n"
	if err := SaveLast(dir, lastHost, Internal.New()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, lastHost)
	for text, want := range map[string]bool{
		good: true, "": false, "2026-11-23T12:00:00Z\nAZF-X\ntext\n": false, "yesterday\nAZF-X\ntext\nfix\n": false,
		good + "more\n": false, good[:len(good)-2] + strings.Repeat("\n", 9000): false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if last, ok := LoadLast(dir, lastHost); ok != want {
			t.Errorf("%.60q: %+v", text, last)
		}
	}
	if err := os.WriteFile(path, []byte("2026-11-23T12:00:00Z\nAZF-X\nte\x1b[2Jxt\nfix\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if last, ok := LoadLast(dir, lastHost); !ok || strings.Contains(last.Text, "\x1b") {
		t.Errorf("%+v", last)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, ok := LoadLast(dir, lastHost); ok {
		t.Error("a folder that others can change is believed")
	}
	if err := SaveLast(dir, lastHost, Internal.New()); err == nil {
		t.Error("a folder that others can change is written to")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), dir); err != nil {
		t.Fatal(err)
	}
	if err := SaveLast(dir, lastHost, Internal.New()); err == nil {
		t.Error("a link is followed")
	}
}
