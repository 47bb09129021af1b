package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/lab"
)

// faultFlags are those of endure faults.
type faultFlags struct {
	beside int
	only   string
	out    string
}

func (f *faultFlags) add(flags *flag.FlagSet) {
	flags.IntVar(&f.beside, "j", 6, "cells beside each other")
	flags.StringVar(&f.only, "only", "", "only the cells whose names have this text, as in \"DNS hang, mount\"")
	flags.StringVar(&f.out, "doc", "", "put the table into this page as well, in the place of the one of before")
}

// run runs the cells and prints the table.
func (f *faultFlags) run(ctx context.Context, binary string) error {
	dir, err := os.MkdirTemp("", "azfilesauth-endure-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	handler, err := buildHandler(ctx, dir)
	if err != nil {
		return err
	}
	remove, err := addRule(handler)
	if err != nil {
		return err
	}
	defer remove()
	socket := filepath.Join(dir, "knock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	go answerKnocks(l)
	began := time.Now()
	outcomes := f.all(ctx, binary, socket)
	failed := 0
	for _, o := range outcomes {
		if len(o.Problems) > 0 {
			failed++
			fmt.Printf("FAIL %s: %s; last: %s\n", o.cell, strings.Join(o.Problems, "; "), o.Said)
		}
	}
	text := table(outcomes, time.Since(began))
	fmt.Print(text)
	if f.out != "" {
		if err := lab.ReplacePart(f.out, "faults", text); err != nil {
			return err
		}
	}
	if failed > 0 || ctx.Err() != nil {
		return fmt.Errorf("%d of %d cells failed", failed, len(outcomes))
	}
	return nil
}

// buildHandler makes azfiles.upcall for keys of the type user.
func buildHandler(ctx context.Context, dir string) (string, error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	setup, err := json.Marshal(map[string]any{
		"Config": configFile, "Run": "/run/azfilesauth", "MountTable": mountTable, "RulesFolder": "/run/rules",
		"RulesFile": "/run/rules.conf", "Helper": "/usr/sbin/cifs.upcall", "Syslog": "/run/log", "Kmsg": "/run/kmsg", "Deadline": 5 * time.Second,
	})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(in("setup.json"), setup, 0o600); err != nil {
		return "", err
	}
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "upcalltest", "-ldflags", "-s -w -X "+module+"upcall.testFile="+in("setup.json"),
		"-o", in("azfiles.upcall"), module+"upcall/testdata/handler")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	return in("azfiles.upcall"), c.Run()
}

// all runs the cells that are wanted.
func (f *faultFlags) all(ctx context.Context, binary, socket string) []outcome {
	var wanted []cell
	for _, c := range cells() {
		if strings.Contains(c.String(), f.only) {
			wanted = append(wanted, c)
		}
	}
	outcomes := make([]outcome, len(wanted))
	next := make(chan int)
	var all sync.WaitGroup
	for range f.beside {
		all.Go(func() {
			for i := range next {
				outcomes[i] = enter(ctx, binary, socket, wanted[i])
				fmt.Fprintf(os.Stderr, "%d of %d: %s: %.1f s %q\n", i+1, len(wanted), wanted[i], outcomes[i].Recovery, outcomes[i].Problems)
			}
		})
	}
	for i := range wanted {
		if ctx.Err() == nil {
			next <- i
		}
	}
	close(next)
	all.Wait()
	return outcomes
}

// enter runs a cell in namespaces of its own.
func enter(ctx context.Context, binary, socket string, c cell) outcome {
	o := outcome{cell: c}
	text, err := json.Marshal(c)
	if err != nil {
		o.problem("%v", err)
		return o
	}
	var out, said bytes.Buffer
	again := namespaced(ctx, "cell", binary, socket, string(text))
	again.Stdout, again.Stderr = &out, &said
	if err := again.Run(); err != nil {
		o.problem("%v: %s", err, said.String())
		return o
	}
	if err := json.Unmarshal(out.Bytes(), &o); err != nil {
		o.problem("%v: %s", err, out.String())
	}
	return o
}

// namespaced is this program again, in a network and a mount namespace of its own. It ends when its standard input does,
// which it never does before this process: a signal for the parent's death (prctl(2)) comes at that of a thread.
func namespaced(ctx context.Context, args ...string) *exec.Cmd {
	again := exec.CommandContext(ctx, "/proc/self/exe", args...)
	_, _ = again.StdinPipe() // fails only when it was asked for before
	// Go makes the mounts of a process with CLONE_NEWNS private when it is asked to unshare.
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	return again
}
