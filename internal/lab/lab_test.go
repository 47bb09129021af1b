//go:build lab

package lab

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"
)

// bootLimit bounds a run: the emulated guest needs about ten seconds to boot and a few per story.
const bootLimit = 25 * time.Minute

// TestStories runs the stories in one boot of the guest of the suite $SUITE. It has the build tag
// lab because it takes minutes.
func TestStories(t *testing.T) {
	l, err := New(os.Getenv("SUITE"), testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	names, err := l.Stories()
	if err != nil || len(names) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	runStories(t, l, names)
}

// core are the stories that most mistakes fail: every way from a line of fstab to a login, under both
// handlers, and the wrong answers that people meet most.
var core = []string{
	"stock/mount", "stock/credential-uid", "stock/csi",
	"native/mount", "native/credential-uid", "native/two-accounts", "native/token-file", "native/fault-role", "native/fault-down",
	"native/unknown-identity", "native/forged", "native/container",
}

// TestCoreStories runs the core of the stories: what "make test" has time for.
func TestCoreStories(t *testing.T) {
	l, err := New(os.Getenv("SUITE"), testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	runStories(t, l, core, core...)
}

// runStories runs what args select and fails when one of names does not come to its end. All stories are
// selected by nothing: their names are longer than the kernel's command line.
func runStories(t *testing.T, l *Lab, names []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	missing := slices.Clone(names)
	results := Results{Done: func(r Result) {
		missing = slices.DeleteFunc(missing, func(n string) bool { return n == r.Name })
		t.Run(r.Name, func(t *testing.T) {
			t.Log("in the guest:", r.Time)
			if !r.OK {
				t.Error(r.Log)
			}
		})
	}}
	if err := l.Run(ctx, results.Line, "stories", args...); err != nil {
		t.Error(err)
	}
	if len(missing) > 0 {
		t.Errorf("these stories did not come to their end: %q", missing)
	}
	if t.Failed() {
		t.Log("console and logs of the guest:", l.Logs())
	}
}

// testLog writes what the build has to say to the test's log.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}
