package log

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// shared is a stderr that several goroutines write to.
type shared struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(p)
}

func (s *shared) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.String()
}

// flush waits for as long as it takes.
func flush(d *daemon) { d.Flush(time.Hour) }

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ok(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestDropin(t *testing.T) {
	old := syscall.Umask(0o077) // as the unit has it
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "log")
	var stderr shared
	l := Dropin(host.Real(), path, &stderr, Settings{}, false)
	l.Debug("no")
	l.Info("Ticket for h refreshed", "host", "h", "why", "two words")
	l.With("a", 1).WithGroup("g").Warn("evil\n2026-11-23 12:00:00,000 [INFO] forged\x1b[2J", "token", secret.FromString("canary"))
	l.Error("plain", "text", "x\ny")
	flush(l)
	want := []string{
		`[INFO] Ticket for h refreshed host=h why="two words"`,
		`[WARNING] evil\n2026-11-23 12:00:00,000 [INFO] forged\x1b[2J a=1 g.token=REDACTED`,
		`[ERROR] plain text="x\ny"`,
	}
	if got := strings.TrimSpace(stderr.text()); got != strings.Join(want, "\n") {
		t.Errorf("stderr: %s", got)
	}
	lines := strings.Split(strings.TrimSpace(read(t, path)), "\n")
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (.*)$`)
	for i, line := range lines {
		if m := stamp.FindStringSubmatch(line); m == nil || i >= len(want) || m[1] != want[i] {
			t.Errorf("line %d: %s", i, line)
		}
	}
	info, err := os.Stat(path)
	ok(t, err)
	if len(lines) != len(want) || info.Mode().Perm() != 0o644 {
		t.Errorf("%d lines, mode %v", len(lines), info.Mode())
	}
}

func TestDropinIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := Dropin(host.Real(), path, io.Discard, Settings{}, false)
	l.Info("one")
	flush(l)
	ok(t, os.Rename(path, path+".1"))
	l.Info("two")
	flush(l)
	l.Reopen()
	l.Info("three")
	flush(l)
	descriptors := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		ok(t, err)
		return len(names)
	}
	before := descriptors()
	for range 10 {
		l.Reopen()
		l.Info("more")
		flush(l)
	}
	if after := descriptors(); after != before {
		t.Errorf("%d descriptors became %d", before, after)
	}
	older, now := read(t, path+".1"), read(t, path)
	if strings.Count(older, "\n") != 2 || strings.Count(now, "\n") != 11 || !strings.Contains(now, "[INFO] three\n") {
		t.Errorf("%q, %q", older, now)
	}
}

func TestDropinThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	target, link, fifo := filepath.Join(dir, "target"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	ok(t, os.WriteFile(target, nil, 0o600), os.Symlink(target, link), syscall.Mkfifo(fifo, 0o600))
	twice := func(l *daemon, text string) {
		l.Info(text)
		flush(l)
		flush(l) // what the file's goroutine told stderr's
	}
	for _, path := range []string{link, fifo, dir, filepath.Join(dir, "no", "log")} {
		var stderr shared
		l := Dropin(host.Real(), path, &stderr, Settings{}, false)
		twice(l, "said")
		l.Reopen()
		twice(l, "said again")
		if got := stderr.text(); strings.Count(got, "WARNING") != 1 || !strings.HasSuffix(got, "[INFO] said again\n") {
			t.Errorf("%s: %q", path, got)
		}
	}
	if text := read(t, target); text != "" {
		t.Errorf("a link was followed: %q", text)
	}
	// It comes back, and a new failure is told again.
	var stderr shared
	l := Dropin(host.Real(), link, &stderr, Settings{}, false)
	twice(l, "not in the file")
	ok(t, os.Remove(link))
	l.Reopen()
	twice(l, "in the file")
	if text := read(t, link); !strings.HasSuffix(text, "[INFO] in the file\n") {
		t.Errorf("%q", text)
	}
	ok(t, os.Remove(link), os.Symlink(target, link))
	l.Reopen()
	twice(l, "not in the file")
	if strings.Count(stderr.text(), "WARNING") != 2 {
		t.Errorf("%q", stderr.text())
	}
	if _, err := os.Stat(filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
}

func TestDropinByMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := Dropin(host.Real(), path, io.Discard, Settings{}, false)
	var done sync.WaitGroup
	for i := range 8 {
		done.Go(func() {
			for range 50 {
				l.Warn("m", "i", i)
			}
		})
	}
	for range 20 {
		l.Reopen()
	}
	done.Wait()
	flush(l)
	text := read(t, path)
	for line := range strings.Lines(text) {
		if !regexp.MustCompile(` \[WARNING\] m i=\d\n$`).MatchString(line) {
			t.Fatalf("%q", line)
		}
	}
	if n := strings.Count(text, "\n"); n != 400 {
		t.Errorf("%d lines", n)
	}
}

// hanging is a writer that hangs until it is freed, as a frozen file system or a pipe that nobody reads.
type hanging struct {
	free chan struct{}
	shared
}

func (h *hanging) Write(p []byte) (int, error) {
	<-h.free
	return h.shared.Write(p)
}

// TestNobodyWaitsForALogThatHangs: neither who logs nor the other log, and what was lost is counted.
func TestNobodyWaitsForALogThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &hanging{free: make(chan struct{})}
		var well shared
		l := newDaemon(Dated(stuck, false, slog.LevelInfo), Dated(&well, false, slog.LevelInfo))
		begun := time.Now()
		const more = 88
		l.Info("the one that hangs")
		synctest.Wait()
		for range queueLength + more {
			l.Info("x")
			synctest.Wait()
		}
		if n := strings.Count(well.text(), "\n"); n != 1+queueLength+more || time.Since(begun) != 0 {
			t.Errorf("the other log has %d lines after %s", n, time.Since(begun))
		}
		l.Flush(time.Second)
		if time.Since(begun) != time.Second {
			t.Errorf("the end was waited for %s", time.Since(begun))
		}
		close(stuck.free)
		flush(l)
		lines := strings.Split(strings.TrimSpace(stuck.text()), "\n")
		if len(lines) != 1+queueLength+1 || lines[1] != "[WARNING] 88 lines lost" {
			t.Errorf("%d lines, %q", len(lines), lines[1])
		}
		for _, q := range l.queues {
			close(q.records) // a bubble has to end
		}
	})
}

// TestAProgramThatEndsWaitsABit is about those that log a line or two.
func TestAProgramThatEndsWaitsABit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &hanging{free: make(chan struct{})}
		l := slog.New(&patient{Dated(stuck, false, slog.LevelInfo), new(hung)}).With("k", 1)
		begun := time.Now()
		for range 5 {
			l.Info("x")
		}
		if took := time.Since(begun); took != Patience {
			t.Errorf("it waited %s", took)
		}
		close(stuck.free)
		synctest.Wait()
		if got := stuck.text(); got != "[INFO] x k=1\n" {
			t.Errorf("%q", got)
		}
	})
}
