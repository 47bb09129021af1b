package keyring_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// A test starts its own binary again to be another process: one in a new session, of another user, in
// a container, or the handler of an upcall.
const roleEnv = "AZFILESAUTH_KEYRING_TEST_ROLE"

// noExitSleep spares a process built with the race detector the second that it waits at its end.
const noExitSleep = "GORACE=atexit_sleep_ms=0"

// patience bounds everything that a test waits for.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	name := os.Getenv(roleEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	role, known := roles()[name]
	if !known {
		fmt.Fprintln(os.Stderr, "no such role:", name)
		os.Exit(2)
	}
	// The kernel waits for a handler without a limit.
	time.AfterFunc(patience, func() { os.Exit(3) })
	if err := role(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func roles() map[string]func(args []string) error {
	return map[string]func([]string) error{
		"ring":      ringRole,
		"session":   sessionRole,
		"filter":    filterRole,
		"possessor": possessorRole,
		"handler":   handlerRole,
	}
}

// actor is this binary in a role. /proc/self/exe also works for a user who cannot reach its folder.
func actor(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, noExitSleep)
	return cmd
}

// act runs an actor and returns its only line of output.
func act(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	needs.Root(t)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, err, errs.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}
