// Command peak runs a program and writes its peak memory, in KiB, to a file.
//
//	peak FILE PROGRAM NAME [ARGUMENT...]
//
// The kernel counts the memory of whoever calls execve as the new program's, so a program's peak is
// only known when something small has started it.
package main

import (
	"os"
	"strconv"
	"syscall"
)

func main() {
	if len(os.Args) < 4 {
		fail("usage: peak FILE PROGRAM NAME [ARGUMENT...]")
	}
	pid, err := syscall.ForkExec(os.Args[2], os.Args[3:], &syscall.ProcAttr{Env: syscall.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		fail(os.Args[2] + ": " + err.Error())
	}
	var status syscall.WaitStatus
	var used syscall.Rusage
	if _, err := syscall.Wait4(pid, &status, 0, &used); err != nil {
		fail(err.Error())
	}
	if err := os.WriteFile(os.Args[1], strconv.AppendInt(nil, used.Maxrss, 10), 0o600); err != nil {
		fail(err.Error())
	}
	if status.ExitStatus() != 0 {
		os.Exit(1)
	}
}

func fail(text string) {
	_, _ = os.Stderr.WriteString("peak: " + text + "\n")
	os.Exit(1)
}
