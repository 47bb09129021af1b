// Package needs says what a test cannot do without, and skips it with that reason where it is missing.
//
// A test asks for the least that it needs, at its beginning. With AZFILESAUTH_NO_SKIPS=1, which
// "make test-unit" sets for root, what is missing fails the test instead: a suite that decides must
// not be green because it did less.
package needs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// NoSkips is the environment variable that makes a missing need a failure.
const NoSkips = "AZFILESAUTH_NO_SKIPS"

// Root needs the effective uid 0: the test gives files to other users, switches to them or writes
// where only root may.
func Root(t testing.TB) {
	t.Helper()
	if err := root(); err != nil {
		missing(t, err.Error())
	}
}

func root() error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("needs root (uid is %d)", uid)
	}
	return nil
}

// capabilities are those that a test may need, by the names that capabilities(7) has for them.
var capabilities = map[string]int{
	"CAP_CHOWN": unix.CAP_CHOWN, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN,
	"CAP_SYS_PTRACE": unix.CAP_SYS_PTRACE, "CAP_SYS_TIME": unix.CAP_SYS_TIME,
}

// Capability needs every one of the named capabilities to be effective.
func Capability(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		n, known := capabilities[name]
		if !known {
			t.Fatalf("needs: add %s to the table of capabilities", name)
		}
		if !capable(n) {
			missing(t, "needs "+name)
		}
	}
}

func capable(n int) bool {
	var data [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	return err == nil && data[n/32].Effective&(1<<(n%32)) != 0
}

// Program needs a program in PATH or in the directories of system programs, and returns its path. The
// Debian package that has it is named in the reason.
func Program(t testing.TB, name, debianPackage string) string {
	t.Helper()
	if path := find(name); path != "" {
		return path
	}
	missing(t, fmt.Sprintf("needs the program %s (apt-get install %s)", name, debianPackage))
	return ""
}

func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

// Missing returns what this machine lacks of everything that the tests need, one line for each; it is
// the preflight of the whole suite.
func Missing() []string {
	var lines []string
	if err := root(); err != nil {
		lines = append(lines, err.Error())
	}
	for name, n := range capabilities {
		if !capable(n) {
			lines = append(lines, "needs "+name)
		}
	}
	if err := requestKey(); err != nil {
		lines = append(lines, err.Error())
	}
	return lines
}

func missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(NoSkips) == "1" {
		t.Fatalf("%s; %s=1 forbids to skip", reason, NoSkips)
	}
	t.Skip(reason)
}
