package lastfault_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
)

const lastHost = "acct.file.core.windows.net"

// machine is one whose trusted user is the caller, with the directory of the failures as this process sees it.
func machine(t *testing.T) (h host.Host, dir string) {
	root := t.TempDir()
	if err := errors.Join(os.Chmod(root, 0o755), os.Mkdir(filepath.Join(root, "run"), 0o755)); err != nil {
		t.Fatal(err)
	}
	h = host.Beneath(root).Trusting(os.Geteuid())
	at := time.Date(2026, 11, 23, 12, 0, 0, 7, time.UTC)
	h.Now = func() time.Time { return at }
	return h, filepath.Join(root, lastfault.Dir(h))
}

func TestLast(t *testing.T) {
	h, dir := machine(t)
	if _, ok := lastfault.Load(h, lastHost); ok || lastfault.Clear(h, lastHost) {
		t.Error("something is there already")
	}
	f := fault.AzureBusy.New(lastHost).Because(errors.New("503\nServerBusy"))
	if err := lastfault.Save(h, lastHost, f); err != nil {
		t.Fatal(err)
	}
	last, ok := lastfault.Load(h, lastHost)
	if !ok || last.ID != fault.AzureBusy.ID || last.Text != f.What()+" (503 ServerBusy)" || last.Fix != f.Fix() ||
		!last.At.Equal(h.Now()) {
		t.Errorf("%+v, %v", last, ok)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, lastHost): 0o600, filepath.Dir(dir): 0o711} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if err := lastfault.Save(h, lastHost, fault.RoleMissing.New("", "", "")); err != nil {
		t.Fatal(err)
	}
	if last, _ := lastfault.Load(h, lastHost); last.ID != fault.RoleMissing.ID {
		t.Errorf("%+v", last)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("%v", names)
	}
	if !lastfault.Clear(h, lastHost) || lastfault.Clear(h, lastHost) {
		t.Error("it is cleared once")
	}
	if _, ok := lastfault.Load(h, lastHost); ok {
		t.Error("it is still there")
	}
}

func TestLastRefusesNamesThatAreNoHost(t *testing.T) {
	h, dir := machine(t)
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".tmp-1", "A", "a b", "a\n", "a\x00", strings.Repeat("a", 254)} {
		if err := lastfault.Save(h, name, fault.Internal.New()); err == nil {
			t.Errorf("%q was saved", name)
		}
		if _, ok := lastfault.Load(h, name); ok || lastfault.Clear(h, name) {
			t.Errorf("%q is there", name)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder was made")
	}
}

func TestLastThatCannotBeTrusted(t *testing.T) {
	h, dir := machine(t)
	good := "2026-11-23T12:00:00Z\nAZF-X\ntext\nfix\n"
	if err := lastfault.Save(h, lastHost, fault.Internal.New()); err != nil {
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
		if last, ok := lastfault.Load(h, lastHost); ok != want {
			t.Errorf("%.60q: %+v", text, last)
		}
	}
	if err := os.WriteFile(path, []byte("2026-11-23T12:00:00Z\nAZF-X\nte\x1b[2Jxt\nfix\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if last, ok := lastfault.Load(h, lastHost); !ok || strings.Contains(last.Text, "\x1b") {
		t.Errorf("%+v", last)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, ok := lastfault.Load(h, lastHost); ok {
		t.Error("a folder that others can change is believed")
	}
	if err := lastfault.Save(h, lastHost, fault.Internal.New()); err == nil {
		t.Error("a folder that others can change is written to")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), dir); err != nil {
		t.Fatal(err)
	}
	if err := lastfault.Save(h, lastHost, fault.Internal.New()); err == nil {
		t.Error("a link is followed")
	}
}

// What is kept of mounts has a bound, and what is damaged, or somebody else's, is not there.
func TestAttempts(t *testing.T) {
	h, dir := machine(t)
	if all, err := lastfault.Attempts(h); len(all) != 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	at := h.Now()
	for i := range 70 {
		h.Now = func() time.Time { return at.Add(time.Duration(i) * time.Second) }
		if err := lastfault.SaveAttempt(h, lastfault.Attempt{Source: "//h/s\x1b[1m", Target: fmt.Sprint("/mnt/", i)}, fault.CIFSModule.New()); err != nil {
			t.Fatal(err)
		}
	}
	all, err := lastfault.Attempts(h)
	if err != nil || len(all) != 64 || all[63].Target != "/mnt/69" || all[0].Target != "/mnt/6" || all[0].ID != fault.CIFSModule.ID || strings.Contains(all[0].Source, "\x1b") {
		t.Errorf("%d, %+v, %v", len(all), all, err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "last-mount", "*"))
	if err != nil || len(files) != 64 {
		t.Fatal(files, err)
	}
	if err := errors.Join(os.WriteFile(files[0], []byte("{"), 0o600), os.WriteFile(files[1], []byte(`{"Target":"/elsewhere"}`), 0o600), os.Chmod(files[2], 0o666)); err != nil {
		t.Fatal(err)
	}
	if all, err = lastfault.Attempts(h); err != nil || len(all) != 61 {
		t.Errorf("%d, %v", len(all), err)
	}
}
