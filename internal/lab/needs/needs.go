// Package needs says what a test cannot do without, and skips it with that reason where it is missing.
//
// A test asks for the least that it needs, at its beginning. With AZFILESAUTH_NO_SKIPS=1, which
// "make test-unit" sets for root, what is missing fails the test instead: a suite that decides must
// not be green because it did less.
package needs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

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

// RequestKey needs the kernel to run this machine's request-key(8) with the rules that the test sees.
// In a container it does not: the kernel starts the program outside all namespaces, and a test would
// wait for an answer that nobody gives.
func RequestKey(t testing.TB) {
	t.Helper()
	if err := requestKey(); err != nil {
		missing(t, err.Error())
	}
}

// answerTime bounds the probe; request-key answers in milliseconds where it is asked at all.
const answerTime = 10 * time.Second

// requestKey asks for a key that only a rule written here rejects in that way, once for each process.
var requestKey = sync.OnceValue(func() error {
	if err := root(); err != nil {
		return fmt.Errorf("%w, to write a rule of request-key", err)
	}
	keyctl := find("keyctl")
	if keyctl == "" || find("request-key") == "" {
		return errors.New("needs the program request-key (apt-get install keyutils)")
	}
	description := fmt.Sprintf("azfneeds:%d", os.Getpid())
	rule := fmt.Sprintf("/etc/request-key.d/azfilesauth-test-needs-%d.conf", os.Getpid())
	if err := os.WriteFile(rule, []byte("create user "+description+" * "+keyctl+" reject %k 1 rejected %S\n"), 0o600); err != nil {
		return fmt.Errorf("needs to write a rule of request-key: %w", err)
	}
	defer func() { _ = os.Remove(rule) }()
	answer := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread's keyring goes with it
		_, err := unix.RequestKey("user", description, "callout", unix.KEY_SPEC_THREAD_KEYRING)
		answer <- err
	}()
	select {
	case err := <-answer:
		if errors.Is(err, unix.EKEYREJECTED) {
			return nil
		}
		return fmt.Errorf("needs request-key in the first mount namespace: the kernel did not ask ours (%w)", err)
	case <-time.After(answerTime):
		return fmt.Errorf("needs request-key in the first mount namespace: no answer within %s", answerTime)
	}
})

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
