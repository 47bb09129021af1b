package mounts

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// soon is how long a test waits for what must happen.
const soon = 10 * time.Second

// ownTable moves the calling goroutine into a mount namespace of its own, which ends with the
// goroutine, and gives the path of its mount table.
func ownTable(t *testing.T) string {
	t.Helper()
	needs.Capability(t, "CAP_SYS_ADMIN")
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	return "/proc/thread-self/mountinfo"
}

func mountTmpfs(t *testing.T, target string) {
	t.Helper()
	if err := unix.Mount("tmpfs", target, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
}

func unmount(t *testing.T, target string) {
	t.Helper()
	if err := unix.Unmount(target, 0); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case _, ok := <-changed:
		if !ok {
			t.Fatal("the channel was closed")
		}
	case <-time.After(soon):
		t.Fatal("nothing was told")
	}
}

func TestWatchTellsOfEachChange(t *testing.T) {
	changed, err := Watch(t.Context(), ownTable(t))
	if err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	for range 50 { // Go's own poller would take most of them
		mountTmpfs(t, target)
		expect(t, changed)
		unmount(t, target)
		expect(t, changed)
	}
	select {
	case <-changed:
		t.Error("told of a change, and there was none")
	default:
	}
}

func TestWatchMergesWhatNobodyLookedAt(t *testing.T) {
	changed, err := Watch(t.Context(), ownTable(t))
	if err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	for range 500 {
		mountTmpfs(t, target)
		unmount(t, target)
	}
	expect(t, changed)
	if len(changed) > 1 {
		t.Errorf("%d events wait", len(changed))
	}
}

func TestWatchEnds(t *testing.T) {
	path := ownTable(t)
	before := descriptors(t)
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		changed, err := Watch(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		for range changed { // until it is closed
		}
	}
	// The descriptors are closed just after the channel.
	for deadline := time.Now().Add(soon); descriptors(t) > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, %d before", descriptors(t), before)
		}
	}
}

func TestWatchOfMissingTable(t *testing.T) {
	if _, err := Watch(t.Context(), "/proc/self/no-such-table"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
