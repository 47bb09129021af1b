package ccache_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
)

func TestOneWatcherPerCache(t *testing.T) {
	dir := t.TempDir()
	open := func(name string) *ccache.Store {
		t.Helper()
		s, err := openIn(filepath.Join(dir, "run"), filepath.Join(dir, name), owner)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	lock := func(s *ccache.Store) (func(), machine.Holder) {
		t.Helper()
		unlock, holder, err := s.LockWatcher()
		if err != nil {
			t.Fatal(err)
		}
		return unlock, holder
	}
	unlock, _ := lock(open("one"))
	if unlock == nil {
		t.Fatal("nobody holds the lock, and it is refused")
	}
	second, holder := lock(open("one"))
	name, _ := os.Hostname()
	if second != nil || holder.PID != os.Getpid() || holder.Machine != name {
		t.Errorf("a second watcher: locked %v, holder %q", second != nil, holder)
	}
	other, _ := lock(open("other"))
	if other == nil {
		t.Fatal("the caches share a watcher")
	}
	other()
	// The watcher must not stand in the way of those who write tickets.
	free, err := open("one").LockEndpoint(t.Context(), "acct.file.core.windows.net")
	if err != nil {
		t.Fatal(err)
	}
	free()
	unlock()
	if again, holder := lock(open("one")); again == nil {
		t.Errorf("still held, by %q", holder)
	} else {
		again()
	}
}

func TestWatcherLockOfAForeignFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, ".one.watcher")); err != nil {
		t.Fatal(err)
	}
	s, err := openIn(filepath.Join(dir, "run"), filepath.Join(dir, "one"), owner)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.LockWatcher(); !fault.Is(err, fault.CCacheIO) {
		t.Errorf("a link in the lock's place: %v", err)
	}
}
