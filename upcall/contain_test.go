package upcall

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAnswersAreReadContained: what reads Azure's answers, were it somebody else's, changes nothing beyond caches and our own
// directory, in this process or in one that it starts; the login works.
func TestAnswersAreReadContained(t *testing.T) {
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 {
		t.Skip("needs Landlock in the kernel: ", errno)
	}
	w := newWorld(t)
	w.Attack = filepath.Join(w.dir, "attacked")
	check(os.Mkdir(w.Attack, 0o755))
	check(os.WriteFile(filepath.Join(w.Attack, "old"), []byte("old"), 0o600))
	w.good(describe(host), host)
	got := string(must(os.ReadFile(filepath.Join(w.Run, "attacked"))))
	// CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, SYS_ADMIN (capabilities(7))
	if want := "CapPrm: 000000000020000f\nNoNewPrivs: 1"; got != want {
		t.Errorf("what was possible: %q", strings.Split(got, "\n"))
	}
	if names := must(os.ReadDir(w.Attack)); len(names) != 1 {
		t.Errorf("left: %v", names)
	}
	if text := must(os.ReadFile(filepath.Join(w.Attack, "old"))); string(text) != "old" {
		t.Errorf("written: %q", text)
	}
	w.silent()
}
