package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is what the verifier starts from its own program as well: the process of the operations, and the one with a mapping.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "map" || os.Args[1] == "work") {
		if err := run(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// The process that restarts the server has no file of the share open, whatever the operations have; what they saw comes to it.
func TestDataWork(t *testing.T) {
	dir := t.TempDir()
	w, err := startWork(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range own {
		if name, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(name, dir) {
			t.Errorf("%s is open", name)
		}
	}
	events, err := w.end() // each operation is done once at least
	if err != nil {
		t.Fatal(err)
	}
	if p := judgeData(events); len(p) > 0 || len(byOp(events)) != len(dataOrder) {
		t.Errorf("of %d kinds of operations: %q", len(byOp(events)), p)
	}
	for _, e := range events {
		if e.start.IsZero() || e.end.Before(e.start) {
			t.Errorf("%+v", e)
		}
	}
}

// The operations of data see bytes that were lost or changed behind them.
func TestDataOpsSeeCorruption(t *testing.T) {
	dir := t.TempDir() // the client's and the server's
	o, err := newDataOps(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	for n := range 3 {
		for name, do := range o.all() {
			if err := do(n); err != nil {
				t.Fatalf("%s, number %d: %v", name, n, err)
			}
		}
	}
	if problems := o.same(dir); len(problems) > 0 {
		t.Error(problems)
	}
	other := t.TempDir()
	if problems := o.same(other); len(problems) != 4 {
		t.Errorf("of an empty mount: %q", problems)
	}
	for name, do := range map[string]struct {
		change func(name string) error
		see    func() error
	}{
		"log":    {func(f string) error { return os.Truncate(f, recordSize) }, func() error { return o.logHas(2) }},
		"name":   {func(f string) error { return os.WriteFile(f, recordOf("other", 2), 0o600) }, o.readByName},
		"locked": {os.Remove, o.list},
	} {
		if err := do.change(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := do.see(); !errors.As(err, new(corrupt)) {
			t.Errorf("%s was changed and nobody saw it: %v", name, err)
		}
	}
}

// The file that is replaced may be missing from a list only while the rename over it is to be repeated.
func TestDataListBesideARename(t *testing.T) {
	dir := t.TempDir()
	o, err := newDataOps(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	name := filepath.Join(dir, "name")
	inTheWay := filepath.Join(name, "in the way") // of the rename: it fails
	if err := errors.Join(os.Remove(name), os.MkdirAll(inTheWay, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := o.replace(1); err == nil {
		t.Fatal("the rename succeeded")
	}
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
	if err := o.list(); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("while the rename is to be repeated: %v", err)
	}
	if err := errors.Join(o.replace(1), o.list(), os.Remove(name)); err != nil {
		t.Fatal(err)
	}
	if err := o.list(); !errors.As(err, new(corrupt)) {
		t.Errorf("after the rename: %v", err)
	}
}

func TestJudgeData(t *testing.T) {
	at := time.Unix(1000, 0)
	events := []event{
		{opAppend, at, at.Add(time.Second), "ok"},
		{opAppend, at.Add(time.Second), at.Add(2 * time.Second), "EAGAIN"},
		{opAppend, at.Add(2 * time.Second), at.Add(4 * time.Second), "ok"},
	}
	if p := judgeData(events); len(p) > 0 {
		t.Errorf("an error after which all is well: %q", p)
	}
	if table := dataTable([]column{{"a", false, events}, {"b", false, events[:1]}}); !strings.Contains(table, "| "+opAppend+" | EAGAIN 1 of 3; 3.0 s | none of 1; 1.0 s |\n") {
		t.Error(table)
	}
	if p := judgeData(events[:2]); len(p) != 1 {
		t.Errorf("an operation that does not come back: %q", p)
	}
	events[1].err = `"record 1 of 2"`
	if p := judgeData(events); len(p) != 1 {
		t.Errorf("corruption: %q", p)
	}
}

// An error of a kind of its own is no application's to repeat; one that a password has under the same restarts is the server's.
func TestJudgeKinds(t *testing.T) {
	at := time.Unix(1000, 0)
	with := func(baseline bool, errs ...string) column {
		c := column{title: "title", baseline: baseline}
		for _, e := range errs {
			c.events = append(c.events, event{opRead, at, at, e})
		}
		return c
	}
	for _, c := range []struct {
		columns []column
		want    []string
	}{
		{[]column{with(false, "ok", "EAGAIN", "EBADF")}, nil},
		{[]column{with(true, "ok"), with(false, "EIO", "ok", "EIO", "EINVAL")}, []string{"title: " + opRead + ": EIO, 2 times"}},
		{[]column{{title: "title", events: []event{{opLock, at, at, "EINVAL"}, {opAppend, at, at, "EINVAL"}}}}, []string{"title: " + opAppend + ": EINVAL, 1 times"}},
		{[]column{with(true, "ok", "EACCES"), with(false, "EACCES", "ok")}, nil},
		{[]column{with(true, errnoName(errors.Join(syscall.EHOSTDOWN, syscall.EIO))), with(false, "EIO", "ok")}, nil},
		{[]column{with(true, "ok"), with(false, errnoName(errors.Join(nil, &os.PathError{Err: syscall.EIO}, syscall.EAGAIN)))}, []string{"title: " + opRead + ": EIO, 1 times"}},
	} {
		if got := judgeKinds(c.columns); !slices.Equal(got, c.want) {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}
