package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// guestEnd begins the guest's last line; the exit status of its program follows.
const guestEnd = "guest: exit "

// processor is the guest's. Without cmpxchg16b, because QEMU 7.2 emulates it wrongly: Linux 6.12 of Debian 12's backports allocates
// memory by it, and panics sooner or later.
const processor = "max,cx16=off"

// arguments are those of the guest's kernel. One whose processors are stuck for two minutes stops, so that a suite fails instead of
// waiting: QEMU's threads can emulate a program in such a way that it waits for itself.
const arguments = "console=ttyS0 quiet panic=-1 watchdog_thresh=60 softlockup_panic=1 mitigations=off random.trust_cpu=on"

// boot runs the guest to its end. The console goes to line and to console.txt in the folder logs, the
// guest's own logs come there over a second serial port.
func (l *Lab) boot(ctx context.Context, img image, logs string, line func(string), mode string) error {
	if err := os.RemoveAll(logs); err != nil {
		return err
	}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	tarball := filepath.Join(logs, "logs.tar")
	clock := []string{"-accel", "tcg,thread=multi", "-smp", "2"}
	if l.Counted {
		clock = []string{"-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=0,sleep=off"}
	}
	if l.Counted && img.disk { // whose answers take time of this machine, which the guest's clock must not outrun
		clock[len(clock)-1] = "shift=0,sleep=on"
	}
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64", slices.Concat(clock, []string{
		"-cpu", processor, "-machine", "q35",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
		"-kernel", img.kernel,
		"-append", arguments + " lab.mode=" + mode + " " + img.options,
		"-serial", "stdio", "-serial", "file:" + tarball,
	}, img.args)...)
	qemu.WaitDelay = 5 * time.Second
	var stderr strings.Builder
	qemu.Stderr = &stderr
	console, err := qemu.StdoutPipe()
	if err != nil {
		return err
	}
	var seen io.Reader = console
	if l.Terminal != nil {
		qemu.Stdin, seen, line = os.Stdin, io.TeeReader(console, l.Terminal), func(string) {}
	}
	l.say("booting the guest (Debian %s)", l.Suite)
	if err := qemu.Start(); err != nil {
		return err
	}
	status, panicked, readErr := watch(seen, filepath.Join(logs, "console.txt"), line)
	err = errors.Join(readErr, qemu.Wait())
	if unpackErr := exec.Command("tar", "-xf", tarball, "-C", logs).Run(); unpackErr == nil {
		_ = os.Remove(tarball)
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the guest did not end in time: %w", ctx.Err())
	case err != nil:
		return fmt.Errorf("qemu: %w: %s", err, stderr.String())
	case panicked != "":
		return errors.New("the guest's kernel stopped: " + panicked)
	case status == "":
		return errors.New("the guest stopped before its program ended")
	case status != "0":
		return fmt.Errorf("the guest's program ended with status %s", status)
	}
	return nil
}

// watch copies the console to the file name and, line by line, to line. It returns the status of
// the guest's program, "" when the console ended without one, and why the kernel panicked, "" if it did not.
func watch(console io.Reader, name string, line func(string)) (status, panicked string, err error) {
	f, err := os.Create(name)
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sc := bufio.NewScanner(io.TeeReader(console, f))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		text := strings.TrimRight(sc.Text(), "\r")
		if s, ok := strings.CutPrefix(text, guestEnd); ok {
			status = s
		}
		if _, why, ok := strings.Cut(text, "Kernel panic - not syncing: "); ok {
			panicked = why
		}
		if status == "" { // what comes later is the kernel's good-bye
			line(text)
		}
	}
	return status, panicked, sc.Err()
}
