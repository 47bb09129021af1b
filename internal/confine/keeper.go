package confine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The keeper's own exit statuses, those of env(1).
const (
	exitKeeper   = 125 // something cannot be given up, and the program was not started
	exitNotBegun = 126
)

// NotStarted begins the keeper's line on standard error that says why it did not start the program.
const NotStarted = "the program was not started:"

// keep is the keeper: it gives the exit status of the program, or dies of the signal that the program
// died of.
func keep(user string, command []string) int {
	// Keyrings, authority and no_new_privs belong to the thread that starts the program.
	runtime.LockOSThread()
	credential, err := credential(user)
	if err == nil {
		err = giveUp()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, NotStarted, err)
		return exitKeeper
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // files, so that Wait waits for the program alone
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitNotBegun
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the caller closes it, or is gone
		_ = cmd.Process.Kill()
	}()
	err = cmd.Wait()
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	endChildren(time.Now().Add(endTime))
	return status(err)
}

// giveUp takes from this thread, and what it starts, all that is not the program's.
func giveUp() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_DUMPABLE: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_CHILD_SUBREAPER: %w", err)
	}
	if !profiled() {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("PR_SET_NO_NEW_PRIVS: %w", err)
		}
	}
	if err := closeOnExec(); err != nil {
		return fmt.Errorf("descriptors: %w", err)
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_ASSUME_AUTHORITY, 0, 0, 0, 0); !harmless(err) {
		return fmt.Errorf("KEYCTL_ASSUME_AUTHORITY: %w", err)
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); !harmless(err) {
		return fmt.Errorf("KEYCTL_JOIN_SESSION_KEYRING: %w", err)
	}
	return nil
}

// profiled reports whether a profile of AppArmor is enforced, which says itself what the program may
// become: under no_new_privs the program could not leave that of its caller, and not run.
func profiled() bool {
	profile, _ := os.ReadFile("/proc/self/attr/current") // without a security module: nothing
	return bytes.Contains(profile, []byte("(enforce)"))
}

// harmless reports whether a call for keys has succeeded, or there is nothing to give up: a kernel without
// keyrings, or a container that forbids them.
func harmless(err error) bool {
	return err == nil || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM)
}

// closeOnExec keeps all descriptors but the standard ones from the program. Kernels before 5.11 cannot do
// it in one call.
func closeOnExec() error {
	if unix.CloseRange(3, ^uint(0)>>1&0x7fffffff, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // only read
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		var fd int
		if _, bad := fmt.Sscan(name, &fd); bad == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return err
}

// endChildren ends everything that descends from the program: what has lost its parent has become the
// keeper's child, and so on until there is none.
func endChildren(until time.Time) {
	for time.Now().Before(until) {
		for _, pid := range children() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if errors.Is(err, unix.ECHILD) {
			return
		}
		if pid == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// status makes the program's end this process's.
func status(err error) int {
	if err == nil {
		return 0
	}
	ended, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return exitKeeper
	}
	if s, ok := ended.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		signal.Reset()
		_ = unix.Kill(os.Getpid(), s.Signal())
		return 128 + int(s.Signal())
	}
	return ended.ExitCode()
}
