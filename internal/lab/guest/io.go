package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pause is what an operation waits before it is done again.
const pause = 300 * time.Millisecond

// event is one operation of an application on a share.
type event struct {
	op         string
	start, end time.Time // to the microsecond
	err        string    // the name of the error number; "ok" is none
}

// String is the event as runIO prints it; see parseEvent.
func (e event) String() string {
	return fmt.Sprintf("%s %d %d %s", e.op, e.start.UnixMicro(), e.end.UnixMicro(), e.err)
}

func parseEvent(line string) (event, error) {
	var start, end int64
	var e event
	if _, err := fmt.Sscanf(line, "%s %d %d %s", &e.op, &start, &end, &e.err); err != nil {
		return event{}, fmt.Errorf("%q: %w", line, err)
	}
	e.start, e.end = time.UnixMicro(start), time.UnixMicro(end)
	return e, nil
}

// The operations of runIO.
const (
	opStat    = "stat"
	opCreate  = "create"
	opReaddir = "readdir"
	opStatfs  = "statfs"
	opHeld    = "held" // write and fsync on a file that stays open
)

// runIO does five kinds of operations in a folder, each in a thread of its own, and writes an event
// for each to out. It ends at SIGTERM, when each operation has succeeded once more.
func runIO(dir string, out io.Writer) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() { <-stop; close(ended) }()
	ops, held, err := operations(dir)
	if err != nil {
		return err
	}
	var printing sync.Mutex
	var wg sync.WaitGroup
	for name, do := range ops {
		wg.Go(func() {
			runtime.LockOSThread() // the kernel asks for a ticket in the name of a thread
			repeat(name, do, pause, ended, func(e event) {
				printing.Lock()
				defer printing.Unlock()
				_, _ = fmt.Fprintln(out, e)
			})
		})
	}
	wg.Wait()
	return held.Close()
}

// lastTries is how long an operation is tried after the end, for one that comes as a session ends.
const lastTries = 10 * time.Second

// repeat does something again and again, with a pause between, until the end.
func repeat(name string, do func(n int) error, pause time.Duration, ended <-chan struct{}, done func(event)) {
	var last time.Time
	for n := 0; ; n++ {
		e := event{op: name, start: time.Now()}
		e.err = errnoName(do(n))
		e.end = time.Now()
		done(e)
		select {
		case <-ended:
			if last.IsZero() {
				last = e.end.Add(lastTries)
			}
			if e.err == "ok" || e.end.After(last) {
				return
			}
			time.Sleep(pause)
		case <-time.After(pause):
		}
	}
}

// errnoName names the error numbers of an error, each once, and gives the text of another error in quotes.
func errnoName(err error) string {
	var several interface{ Unwrap() []error }
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &several):
		var names []string
		for _, one := range several.Unwrap() {
			names = append(names, errnoName(one))
		}
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, `"`) }) {
			return strconv.Quote(err.Error())
		}
		slices.Sort(names)
		return strings.Join(slices.Compact(names), errnoSep)
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return strconv.Quote(err.Error())
}

// errnoSep is between the names of error numbers: one operation can fail with several, such as a write and the unlock after it.
const errnoSep = "+"

// operations makes the files that they need.
func operations(dir string) (ops map[string]func(n int) error, held *os.File, err error) {
	base := filepath.Join(dir, "io-"+strconv.Itoa(os.Getpid()))
	if err := os.WriteFile(base, []byte("x"), 0o644); err != nil {
		return nil, nil, err
	}
	held, err = os.Create(base + ".held")
	return map[string]func(n int) error{
		opStat:    func(int) error { _, err := os.Stat(base); return err },
		opCreate:  func(n int) error { return create(fmt.Sprintf("%s.%d", base, n)) },
		opReaddir: func(int) error { _, err := os.ReadDir(dir); return err },
		opStatfs:  func(int) error { return unix.Statfs(dir, new(unix.Statfs_t)) },
		opHeld: func(n int) error {
			if _, err := held.WriteAt([]byte("a line\n"), int64(n)*7); err != nil {
				return err
			}
			return held.Sync()
		},
	}, held, err
}

// create makes a file and removes it again.
func create(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString("data\n")
	return errors.Join(err, f.Close(), os.Remove(name))
}
