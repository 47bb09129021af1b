package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
