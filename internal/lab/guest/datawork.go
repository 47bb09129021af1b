package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// dataWork is the process of the operations of data. It alone has files of the share open. Whoever starts a program waits
// until that has closed what it inherited, and closing a file of a share writes its pages: with the server away, the
// process that is to start the server would wait for the server.
type dataWork struct {
	process *exec.Cmd
	stdin   io.Closer // its end ends the work
	out     bytes.Buffer
}

// startWork starts the operations in a directory, which the server has at another place.
func startWork(dir, server string) (*dataWork, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &dataWork{process: exec.Command(self, "work", dir, server)}
	w.process.Stdout, w.process.Stderr = &w.out, os.Stderr
	if w.stdin, err = w.process.StdinPipe(); err != nil {
		return nil, err
	}
	return w, w.process.Start()
}

// end lets every operation that is under way come to its end, and gives all that they saw.
func (w *dataWork) end() (events []event, err error) {
	if err := errors.Join(w.stdin.Close(), w.process.Wait()); err != nil {
		return nil, fmt.Errorf("the process of the operations: %w", err)
	}
	for lines := json.NewDecoder(&w.out); ; {
		var line eventLine
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return events, nil
		} else if err != nil {
			return nil, err
		}
		events = append(events, event{line.Op, line.Start, line.End, line.Err})
	}
}

// eventLine is an event as runWork prints it: the names of the operations and the errors have white space.
type eventLine struct {
	Op         string
	Start, End time.Time
	Err        string
}

// runWork is the process of the operations: until the end of in it works, and prints every event.
func runWork(dir, server string, in io.Reader, out io.Writer) error {
	ops, err := newDataOps(dir, server)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, in); close(ended) }()
	var mu sync.Mutex
	var errs []error
	lines := json.NewEncoder(out)
	workOn(ops, ended, func(e event) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, lines.Encode(eventLine{e.op, e.start, e.end, e.err}))
	})
	ops.close()
	return errors.Join(errs...)
}

// workOn repeats every operation until the end; one that has failed is done again with the same number.
func workOn(ops *dataOps, ended <-chan struct{}, seen func(event)) {
	var wg sync.WaitGroup
	for name, do := range ops.all() {
		wg.Go(func() {
			runtime.LockOSThread() // the kernel asks for a ticket in the name of a thread
			n := 0
			repeat(name, func(int) error {
				err := do(n)
				if err == nil {
					n++
				}
				return err
			}, dataPause, ended, seen)
		})
	}
	wg.Wait()
}
