package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
)

const (
	shownLifetime = "12s"            // of a ticket in the demo
	shownTickets  = 3                // that follow each other
	shownLimit    = 90 * time.Second // for all of them, on a machine that has other things to do
)

// showRefresh shows how the daemon replaces the ticket of the mounted share while a file is written.
func showRefresh(m *machine) (err error) {
	if err := m.azure.order(`{"target":"storage","lifetime":"` + shownLifetime + `"}`); err != nil {
		return err
	}
	fmt.Printf("\n# The daemon keeps the ticket fresh. Here it lasts %s instead of hours, and a program writes to the share.\n$ azfilesrefresh &\n", shownLifetime)
	daemon := exec.Command("azfilesrefresh")
	if err := daemon.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, daemon.Process.Signal(syscall.SIGTERM), daemon.Wait()) }()
	if err := until("the daemon", func() bool { _, err := os.Stat(control.DefaultPath); return err == nil }); err != nil {
		return err
	}
	if err := showStep("", "azfilesauth refresh"); err != nil {
		return err
	}
	stop := make(chan struct{})
	written := make(chan writing, 1)
	go func() { written <- write("/mnt/share/log", stop) }()
	err = showStatus()
	close(stop)
	w := <-written
	if err = errors.Join(err, w.err); err == nil {
		fmt.Printf("(meanwhile %d lines were written, each at once to the server, and none failed)\n", w.lines)
	}
	return err
}

// writing is what came of write.
type writing struct {
	lines int
	err   error
}

// write appends lines to a file, each of which goes to the server at once, until stop is closed.
func write(path string, stop <-chan struct{}) (w writing) {
	f, err := os.Create(path)
	if err != nil {
		return writing{err: err}
	}
	defer func() { w.err = errors.Join(w.err, f.Close()) }()
	for {
		if _, err := fmt.Fprintf(f, "line %d\n", w.lines); err != nil {
			return writing{w.lines, err}
		}
		if err := f.Sync(); err != nil {
			return writing{w.lines, err}
		}
		w.lines++
		select {
		case <-stop:
			return w
		case <-time.After(pause):
		}
	}
}

// showStatus prints what status --watch does until it has shown the tickets.
func showStatus() error {
	fmt.Println("$ azfilesauth status --watch")
	status := exec.Command("azfilesauth", "status", "--watch")
	out, err := status.StdoutPipe()
	if err != nil {
		return err
	}
	if err := status.Start(); err != nil {
		return err
	}
	tooLong := time.AfterFunc(shownLimit, func() { _ = status.Process.Kill() })
	defer tooLong.Stop()
	tickets := 0
	for lines := bufio.NewScanner(out); tickets < shownTickets && lines.Scan(); {
		fmt.Println(lines.Text())
		if strings.Contains(lines.Text(), ", ticket until ") {
			tickets++
		}
	}
	_ = status.Process.Signal(os.Interrupt) // it may have ended
	if err := status.Wait(); err != nil {
		return fmt.Errorf("status --watch: %w", err)
	}
	if tickets < shownTickets {
		return fmt.Errorf("status --watch has shown %d tickets", tickets)
	}
	return nil
}
