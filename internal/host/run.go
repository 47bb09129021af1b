package host

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// MaxOutput bounds what is kept of a program's output, in bytes.
const MaxOutput = 64 << 10

// Runner runs a program by its absolute path without a shell, with an empty standard input and the fixed
// environment, and gives what it printed on both outputs, at most MaxOutput. The error is that of os/exec.
type Runner func(ctx context.Context, program string, args ...string) (output string, err error)

// Environ is all of the environment that programs get. The language is fixed because their messages are
// read.
func Environ() []string { return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"} }

// run is the Runner of this machine. The program dies with this process.
func run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	out := &head{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = Environ()
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second // for a process that it leaves behind with our pipe
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // it ended well, and what it left behind is not asked for
		err = nil
	}
	return out.kept.String(), err
}

// head keeps the beginning of what is written to it. It has no other method: os/exec would go by a
// ReadFrom, which knows no bound.
type head struct{ kept bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := MaxOutput - h.kept.Len(); room > 0 {
		_, _ = h.kept.Write(p[:min(room, len(p))]) // to memory
	}
	return len(p), nil
}

// Program finds a program of the system in Programs. The error is fs.ErrNotExist.
func (h Host) Program(name string) (path string, err error) {
	for _, dir := range h.Programs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(h.Path(path)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
}
