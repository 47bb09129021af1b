package mounthelper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// noTarget is the file that remembers, until the next boot, that the kernel does not know the option.
const noTarget = "no-upcall-target"

func (h *Helper) wantsTarget(j *job) bool {
	_, given := j.opts.Rest.Get(mounts.UpcallTarget)
	if given || j.opts.Remount {
		return false
	}
	if h.Target != nil {
		if known, told := h.Target(); told {
			return known
		}
	}
	return !h.targetUnknown()
}

// mountAPI is the kernel whose SMB client first takes its options one by one (fs/cifs/fs_context.c); an older one has no
// upcall_target and would take any option that it is only told of.
const mountAPI = "5.11"

// knowsTarget asks the kernel whether it knows the option, without a mount and without a line in its log: a context of
// fsopen(2) has a log of its own. told is false where it cannot be asked.
func knowsTarget(h host.Host) (known, told bool) {
	release := h.KernelRelease()
	if release != "" && !mounts.AtLeast(release, mountAPI) {
		return false, true
	}
	fd, err := unix.Fsopen("cifs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false, false
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.FsconfigSetString(fd, mounts.UpcallTarget, "mount")
	return err == nil, err == nil || errors.Is(err, unix.EINVAL)
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
	j.waiting.Until(time.Time{}) // the kernel's own bound is not known
	j.waiting.For("the server " + j.Endpoint.Host() + ", port 445")
	defer j.waiting.Done()
	return run(ctx, j.mountCIFS, args, h.Stdout, stderr)
}
