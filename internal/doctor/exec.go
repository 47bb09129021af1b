package doctor

import (
	"bytes"
	"context"
	"os/exec"
	"syscall"
	"time"
)

// maxOutput bounds what is kept of a program's output, in bytes.
const maxOutput = 64 << 10

// run is the Command of this machine. The program dies with this process.
func run(ctx context.Context, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	out := &head{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return out.kept.String(), err
}

// head keeps the beginning of what is written to it. It has no other method: os/exec would go by a
// ReadFrom, which knows no bound.
type head struct{ kept bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := maxOutput - h.kept.Len(); room > 0 {
		_, _ = h.kept.Write(p[:min(room, len(p))]) // to memory
	}
	return len(p), nil
}
