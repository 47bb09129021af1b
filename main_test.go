package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// TestMain makes the test binary play the program.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// A file that may not grow is told of, not died of.
func TestFileLimit(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", `ulimit -f 0; exec "$0" version > "$1"`, self, filepath.Join(t.TempDir(), "out"))
	cmd.Env = append(os.Environ(), "TEST_MAIN=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Run()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), "AZF-FILE-LIMIT") {
		t.Errorf("%v\n%s", err, stderr.String())
	}
}

// With a set-user-id bit, as mount.cifs has one, whoever calls the program gets nothing of root's: neither by a face, which
// the name selects, nor by the name under which the program starts others.
func TestSetUID(t *testing.T) {
	needs.Root(t)
	self, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	program, err := os.ReadFile(self)
	must(t, err)
	copied := filepath.Join(dir, "mount.azfiles")
	must(t, os.WriteFile(copied, program, 0o755))
	must(t, os.Chmod(copied, 0o755|os.ModeSetuid))
	for _, args := range [][]string{{"mount.azfiles", "--version"}, {"azfilesauth-keeper", "-", "/usr/bin/id"}} {
		cmd := exec.Command(copied)
		cmd.Args, cmd.Dir, cmd.Env = args, "/", []string{"TEST_MAIN=1"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "AZF-NOT-ROOT") || !strings.Contains(string(out), "chmod ug-s") {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
