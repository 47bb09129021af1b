package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// hung is an error of something that waits in the kernel. A process with such a thread may never end, and the guest's logs would not
// leave it: the error has what is known.
type hung struct{ error }

// within does something that may wait in the kernel for good. After the patience its error says what waits where.
func within(patience time.Duration, what string, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		return hung{fmt.Errorf("%s: nothing comes back within %v\n%s", what, patience, whatWaits("/proc", logFiles["syslog"]))}
	}
}

// powerOff ends the guest although a process of it cannot end.
func powerOff() { _ = os.WriteFile("/proc/sysrq-trigger", []byte("o"), 0o200) }

// whatWaits tells of each thread that waits uninterruptibly with its stack, of the connections, of the keys for logins, and
// what the handler has said last. proc is /proc.
func whatWaits(proc, syslog string) string {
	var b strings.Builder
	tasks, _ := filepath.Glob(filepath.Join(proc, "[0-9]*/task/[0-9]*"))
	for _, task := range tasks {
		stat := readOrNone(filepath.Join(task, "stat"))
		if name := bytes.LastIndexByte(stat, ')'); bytes.HasPrefix(stat[name+1:], []byte(" D ")) {
			fmt.Fprintf(&b, "thread %s waits in\n%s", stat[:name+1], readOrNone(filepath.Join(task, "stack")))
		}
	}
	for line := range bytes.Lines(readOrNone(filepath.Join(proc, "keys"))) {
		if bytes.Contains(line, []byte("cifs")) {
			fmt.Fprintf(&b, "key %s", line)
		}
	}
	fmt.Fprintf(&b, "the kernel's connections:\n%s", readOrNone(filepath.Join(proc, "fs/cifs/DebugData")))
	const last = 3000 // bytes
	text := readOrNone(syslog)
	fmt.Fprintf(&b, "the end of %s:\n%s", syslog, text[max(0, len(text)-last):])
	return b.String()
}

// readOrNone reads a file; one that cannot be read has nothing to tell.
func readOrNone(name string) []byte {
	text, _ := os.ReadFile(name)
	return text
}
