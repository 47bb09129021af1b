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

	told := true // on a busy machine of what was made, late; but not again and again
	for tries := 0; told && tries < 5; tries++ {
		settle(t, changed)
		write(t, path+".other")
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
			told = false
		}
	}
	if told {
		t.Error("told of another file")
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
	f := follow(w, filepath.Join(t.TempDir(), "krb5cc_0"))
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

// TestWatchOfADirectoryThatChurns counts the work that somebody can make who writes to the directory: however
// much happens there, a bounded number of events is taken in each second of the clock, and a change of the cache is
// told of all the same.
func TestWatchOfADirectoryThatChurns(t *testing.T) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "krb5cc_0")
	f := follow(w, path)
	clock, rests, asked := time.Unix(0, 0), make(chan time.Time), make(chan struct{})
	taken := 0 // by f's goroutine, looked at while it rests
	f.now = func() time.Time { taken++; return clock }
	f.after = func(time.Duration) <-chan time.Time {
		asked <- struct{}{}
		return rests
	}
	if err := f.attach(); err != nil {
		t.Fatal(err)
	}
	go f.run(t.Context())
	for round := range 3 {
		stop, churned := make(chan struct{}), make(chan int)
		go func() { // until the follower has had enough, and then as much again
			n := 0
			for enough := stop; n < 10*mostEvents || enough != nil; n++ {
				select {
				case <-enough:
					enough, n = nil, 0
				default:
				}
				name := filepath.Join(dir, "other")
				_ = os.WriteFile(name, nil, 0o600)
				_ = os.Remove(name)
			}
			churned <- n
		}()
		<-asked
		close(stop)
		<-churned
		if taken > mostEvents+8 { // what was on its way
			t.Fatalf("round %d: %d events taken, %d are the bound", round, taken, mostEvents)
		}
		if len(w.WatchList()) != 0 {
			t.Fatal("it is watched still")
		}
		replace(t, path)
		taken = 0
		clock = clock.Add(restTime)
		rests <- clock
		expect(t, f.changed, "replaced while nothing was watched")
	}
	replace(t, path)
	expect(t, f.changed, "replaced when all is quiet again")
}
