package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
)

// daemon is a running azfilesrefresh.
type daemon struct {
	cmd    *exec.Cmd
	said   *os.File // its standard error
	client *control.Client
	ended  chan struct{}
}

const saidFile = "/run/daemon.err"

func startDaemon(binary string) (*daemon, error) {
	said, err := os.Create(saidFile)
	if err != nil {
		return nil, err
	}
	d := &daemon{cmd: exec.Command(binary), said: said, client: control.NewClient(control.DefaultPath), ended: make(chan struct{})}
	d.cmd.Args = []string{"azfilesrefresh", "--mountinfo", mountTable}
	d.cmd.Stderr = said
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = d.cmd.Wait(); close(d.ended) }()
	return d, nil
}

func (d *daemon) alive() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// status asks the daemon; a loop that does not answer within seconds stands still.
func (d *daemon) status() (control.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return d.client.Status(ctx)
}

// weight is what the daemon takes of the machine.
type weight struct {
	RSS         int // in KiB
	Descriptors int
	Threads     int
}

func (d *daemon) weigh() (w weight, err error) {
	pid := d.cmd.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return w, err
	}
	for pattern, into := range map[string]*int{`VmRSS:\s+(\d+)`: &w.RSS, `Threads:\s+(\d+)`: &w.Threads} {
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			return w, fmt.Errorf("no %s", pattern)
		}
		if *into, err = strconv.Atoi(string(m[1])); err != nil {
			return w, err
		}
	}
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	w.Descriptors = len(open)
	return w, err
}

// logged is how many bytes it has written, to its log and to standard error.
func (d *daemon) logged() (n int64) {
	for _, name := range []string{daemonLog, saidFile} {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// goroutines ends the daemon by SIGQUIT, at which a program in Go writes all of them, and counts.
func (d *daemon) goroutines() (int, error) {
	if err := d.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return 0, err
	}
	select {
	case <-d.ended:
	case <-time.After(10 * time.Second):
		_ = d.cmd.Process.Kill()
		return 0, errors.New("the daemon did not end within 10 s of SIGQUIT")
	}
	text, err := os.ReadFile(saidFile)
	return bytes.Count(text, []byte("\ngoroutine ")), err
}
