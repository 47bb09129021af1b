package mounthelper

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// noTarget is the file that remembers, until the next boot, that the kernel does not know the option.
const noTarget = "no-upcall-target"

// wantsTarget reports whether to try the option.
func (h *Helper) wantsTarget(j *job) bool {
	_, given := j.opts.Rest.Get(mounts.UpcallTarget)
	return !given && !j.opts.Remount && !h.targetUnknown()
}

func (h *Helper) targetUnknown() bool {
	boot, err := os.ReadFile(h.BootID)
	if err != nil {
		return false
	}
	content, _, err := h.Host.ReadFile(filepath.Join(h.Host.Run, noTarget), len(boot), host.NoLink|host.Owned)
	return err == nil && bytes.Equal(content, boot)
}

// rememberNoTarget leaves the file. Without it the next mount tries once more.
func (h *Helper) rememberNoTarget() {
	boot, err := os.ReadFile(h.BootID)
	if err != nil {
		return
	}
	if run, err := h.Host.OwnDir(h.Host.Run); err == nil {
		defer run.Close()
		_ = run.Replace(noTarget, h.Host.Own(0o600), host.Content(boot))
	}
}

// runMount runs mount.cifs, and once more if the kernel may have refused our own option. What the
// first run said is shown only when it was the last.
func (h *Helper) runMount(ctx context.Context, j *job) (ending, error) {
	if !j.tryTarget {
		return h.runOnce(ctx, j, h.Stderr)
	}
	var said bytes.Buffer
	end, err := h.runOnce(ctx, j, &said)
	if err != nil || end.signaled || ctx.Err() != nil || errnoOf(end.said) != unix.EINVAL {
		_, _ = io.Copy(h.Stderr, &said)
		return end, err
	}
	h.step(j, "the kernel refused the options; trying without %s", mounts.UpcallTarget)
	j.tryTarget = false
	end, err = h.runOnce(ctx, j, h.Stderr)
	if err == nil && errnoOf(end.said) != unix.EINVAL {
		h.rememberNoTarget()
	}
	return end, err
}

func (h *Helper) runOnce(ctx context.Context, j *job, stderr io.Writer) (ending, error) {
	args := j.args()
	h.step(j, "running %s %s", j.mountCIFS, strings.Join(args, " "))
	return run(ctx, j.mountCIFS, args, h.Stdout, stderr)
}
