package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// What comes back does so with its own error; of what does not, nobody waits for more than the patience.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := within(time.Minute, "a mount", func() error { return fs.ErrInvalid }); !errors.Is(err, fs.ErrInvalid) {
			t.Error(err)
		}
		end := make(chan struct{})
		start := time.Now()
		err := within(time.Minute, "a mount", func() error { <-end; return nil })
		if !errors.As(err, new(hung)) || !strings.HasPrefix(err.Error(), "a mount: nothing comes back within 1m0s\n") {
			t.Error(err)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("waited for %v", waited)
		}
		close(end)
	})
}

func TestWhatWaits(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"7/task/7/stat":     "7 (guest) S 1 7",
		"7/task/7/stack":    "[<0>] futex_wait\n",
		"7/task/9/stat":     "9 (a (b) c) D 1 7",
		"7/task/9/stack":    "[<0>] wait_for_response\n",
		"keys":              "1 I-Q 1 perm 0 0 0 keyring _ses: 1\n2 I--Q 1 59s 0 0 0 cifs.spne ver=0x2\n",
		"fs/cifs/DebugData": "TCP status: 3\n",
		"syslog":            strings.Repeat("old\n", 1000) + "cifs.upcall: said\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text := whatWaits(dir, filepath.Join(dir, "syslog"))
	for _, want := range []string{"thread 9 (a (b) c) waits in\n[<0>] wait_for_response\n", "key 2 I--Q", "TCP status: 3\n", "cifs.upcall: said\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "futex") || strings.Contains(text, "_ses") || len(text) > 4000 {
		t.Errorf("tells of more than what waits: %s", text)
	}
}

// While a write to mapped memory waits, the collector of the program that has ordered it goes on: it restarts the server
// that the write waits for.
func TestMappingWaitsAlone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mapped")
	if err := os.WriteFile(name, make([]byte, recordSize), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := mapFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.write(1); err != nil {
		t.Fatal(err)
	}
	if err := m.process.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() { written <- m.write(2) }()
	runtime.GC()
	select {
	case err := <-written:
		t.Errorf("a write by a stopped process: %v", err)
	default:
	}
	if err := m.process.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := numberOf("mapped", text); n != 2 || err != nil {
		t.Errorf("the file has number %d: %v", n, err)
	}
	if err := m.close(); err != nil {
		t.Error(err)
	}
}
