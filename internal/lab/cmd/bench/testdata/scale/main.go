// Command scale runs a program to its end and weighs it there, together with others.
//
//	scale DIRECTORY N PROGRAM NAME [ARGUMENT...]
//
// The program is held where it is about to end, until N of them are; its share of the memory, in KiB, goes into
// pss.PID in the directory.
package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 5 {
		fail("usage: scale DIRECTORY N PROGRAM NAME [ARGUMENT...]")
	}
	dir := os.Args[1]
	n, err := strconv.Atoi(os.Args[2])
	check(err)
	runtime.LockOSThread() // which traces
	pid, err := syscall.ForkExec(os.Args[3], os.Args[4:], &syscall.ProcAttr{
		Env: syscall.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	check(err)
	if status := wait(pid); !status.Stopped() {
		fail("it did not start")
	}
	const exitKill = 0x100000 // PTRACE_O_EXITKILL
	check(syscall.PtraceSetOptions(pid, syscall.PTRACE_O_TRACEEXIT|exitKill))
	toTheEnd(pid)
	check(os.WriteFile(filepath.Join(dir, "there."+strconv.Itoa(pid)), nil, 0o600))
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		there, _ := filepath.Glob(filepath.Join(dir, "there.*"))
		if len(there) >= n {
			break
		}
		if time.Now().After(end) {
			fail("the others do not come")
		}
	}
	check(os.WriteFile(filepath.Join(dir, "pss."+strconv.Itoa(pid)), []byte(pss(pid)), 0o600))
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if done, _ := filepath.Glob(filepath.Join(dir, "pss.*")); len(done) >= n {
			break
		}
	}
	check(syscall.PtraceDetach(pid))
}

// toTheEnd lets the program run until its last thread is about to end.
func toTheEnd(pid int) {
	sig := 0
	for {
		check(syscall.PtraceCont(pid, sig))
		status := wait(pid)
		if !status.Stopped() {
			fail("it ended unseen")
		}
		if status.TrapCause() == 6 { // PTRACE_EVENT_EXIT
			return
		}
		if sig = int(status.StopSignal()); sig == int(syscall.SIGTRAP) {
			sig = 0
		}
	}
}

func wait(pid int) (status syscall.WaitStatus) {
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if err != syscall.EINTR {
			check(err)
			return status
		}
	}
}

// pss is read before the memory goes.
func pss(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	check(err)
	_, rest, _ := strings.Cut(string(text), "\nPss:")
	size, _, _ := strings.Cut(rest, " kB")
	return strings.TrimSpace(size)
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(text string) {
	_, _ = os.Stderr.WriteString("scale: " + text + "\n")
	os.Exit(1)
}
