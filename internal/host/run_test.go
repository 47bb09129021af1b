package host

import (
	"context"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A program that has ended well has run, whatever it left behind with its output.
func TestRunOfAProgramThatLeavesAProcess(t *testing.T) {
	out, err := run(context.Background(), "/bin/sh", "-c", "sleep 60 & echo $!")
	pid, problem := strconv.Atoi(strings.TrimSpace(out))
	if problem != nil {
		t.Fatalf("%q, %v", out, err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if err != nil {
		t.Errorf("it is told as a failure: %v", err)
	}
	if out, err := run(context.Background(), "/bin/sh", "-c", "echo why; exit 3"); err == nil || out != "why\n" {
		t.Errorf("a failure is told as %q, %v", out, err)
	}
}
