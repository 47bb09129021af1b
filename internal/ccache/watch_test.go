package ccache

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// soon is how long a test waits for what must happen.
const soon = 10 * time.Second

func watch(t *testing.T, path string) <-chan struct{} {
	t.Helper()
	changed, err := Watch(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func expect(t *testing.T, changed <-chan struct{}, why string) {
	t.Helper()
	select {
	case _, ok := <-changed:
		if !ok {
			t.Fatalf("%s: the channel was closed", why)
		}
	case <-time.After(soon):
		t.Fatalf("%s: nothing was told", why)
	}
}

// settle takes the events that one change can still bring.
func settle(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	for {
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond):
			return
		}
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, path string) {
	t.Helper()
	write(t, path+".new")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestWatchTellsOfTheFileOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "krb5cc_0")
	changed := watch(t, path)
	write(t, path)
	expect(t, changed, "made")
	settle(t, changed)

	write(t, path+".other")
	select {
	case <-changed:
		t.Error("told of another file")
	case <-time.After(100 * time.Millisecond):
	}
	if err := os.Chmod(path, 0o600); err != nil { // which can repair
		t.Fatal(err)
	}
	expect(t, changed, "a mode")
	settle(t, changed)

	replace(t, path)
	expect(t, changed, "replaced")
	settle(t, changed)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect(t, changed, "removed")
}

func TestWatchFollowsTheFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(folder, "krb5cc_0")
	changed := watch(t, path) // neither a nor b is there
	for round, remove := range []func() error{
		func() error { return os.RemoveAll(folder) },
		func() error { return os.Rename(folder, folder+".old") },
		func() error { return os.RemoveAll(filepath.Dir(folder)) },
		func() error { return nil },
	} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		replace(t, path)
		expect(t, changed, "made with its folder")
		settle(t, changed)
		replace(t, path)
		expect(t, changed, "replaced in a new folder")
		settle(t, changed)
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		if round < 3 {
			expect(t, changed, "folder gone")
		}
	}
}

func TestWatchCountsLostEventsAsOne(t *testing.T) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{notify: w, path: filepath.Join(t.TempDir(), "krb5cc_0"), changed: make(chan struct{}, 1)}
	if err := f.attach(); err != nil {
		t.Fatal(err)
	}
	go f.run(t.Context())
	w.Errors <- fsnotify.ErrEventOverflow
	expect(t, f.changed, "overflow")
}

func TestWatchEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	changed, err := Watch(ctx, filepath.Join(t.TempDir(), "krb5cc_0"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range changed { // until it is closed
	}
}

func TestWatchOfFolderThatIsAFile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder")
	write(t, folder)
	path := filepath.Join(folder, "krb5cc_0")
	changed := watch(t, path)
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	expect(t, changed, "the file went")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	replace(t, path)
	expect(t, changed, "a folder came")
}
