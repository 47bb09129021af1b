package watcher

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

func TestParseArgs(t *testing.T) {
	plain := arguments{Mountinfo: "/proc/self/mountinfo", Socket: "/run/azfilesauth/watch.sock", Config: "/etc/azfilesauth/config.yaml"}
	with := func(change func(*arguments)) arguments { a := plain; change(&a); return a }
	for line, want := range map[string]arguments{
		"":                               plain,
		"--provision":                    with(func(a *arguments) { a.Provision = true }),
		"--version":                      with(func(a *arguments) { a.Version = true }),
		"-V --help":                      with(func(a *arguments) { a.Version, a.Help = true, true }),
		"-h":                             with(func(a *arguments) { a.Help = true }),
		"--mountinfo /proc/1/mountinfo":  with(func(a *arguments) { a.Mountinfo = "/proc/1/mountinfo" }),
		"--socket=/run/s --config /c/./": with(func(a *arguments) { a.Socket, a.Config = "/run/s", "/c" }),
	} {
		if got, err := parseArgs(strings.Fields(line)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
	for _, line := range []string{"x", "--bogus", "-v", "--config", "--config c", "--socket=", "--provision=yes", "--version extra"} {
		if _, err := parseArgs(strings.Fields(line)); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", line, err)
		}
	}
	for _, flag := range []string{"--provision", "--mountinfo", "--socket", "--config", "--version", "--help"} {
		if !strings.Contains(help, flag) {
			t.Errorf("the help lacks %s", flag)
		}
	}
}

func TestReadTunables(t *testing.T) {
	for _, test := range []struct {
		sleep, before string
		want          tunables
		problems      int
	}{
		{"", "", tunables{}, 0},
		{"5", "600", tunables{5 * time.Second, 10 * time.Minute}, 0},
		{" 60 ", "1", tunables{time.Minute, time.Second}, 0},
		{"4", "0", tunables{}, 2},
		{"soon", "-5", tunables{}, 2},
		{"86401", "86400", tunables{0, 24 * time.Hour}, 1},
		{"1e3", "99999999999999999999", tunables{}, 2},
	} {
		env := map[string]string{"AZFILES_REFRESH_SLEEP_SECONDS": test.sleep, "AZFILES_REFRESH_BEFORE_EXPIRY_SECONDS": test.before}
		got, problems := readTunables(func(name string) string { return env[name] })
		if got != test.want || len(problems) != test.problems {
			t.Errorf("%q, %q: %+v, %q", test.sleep, test.before, got, problems)
		}
	}
}

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

func TestPythonLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var stderr shared
	l, _ := openLog(own(), path, &stderr)
	l.Debug("no")
	l.Info("refreshed", "host", "h", "why", "two words")
	l.With("a", 1).WithGroup("g").Warn("evil\n2026-11-23 12:00:00,000 - INFO - forged\x1b[2J", "token", secret.FromString("canary"))
	l.Error("plain", "text", "x\ny")
	want := []string{
		`INFO - refreshed host=h why="two words"`,
		`WARNING - evil\n2026-11-23 12:00:00,000 - INFO - forged\x1b[2J a=1 g.token=REDACTED`,
		`ERROR - plain text="x\ny"`,
	}
	if got := strings.TrimSpace(stderr.String()); got != strings.Join(want, "\n") {
		t.Errorf("stderr: %s", got)
	}
	lines := strings.Split(strings.TrimSpace(string(must(os.ReadFile(path)))), "\n")
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (.*)$`)
	for i, line := range lines {
		if m := stamp.FindStringSubmatch(line); m == nil || i >= len(want) || m[1] != want[i] {
			t.Errorf("line %d: %s", i, line)
		}
	}
	if len(lines) != len(want) || must(os.Stat(path)).Mode().Perm()&^0o640 != 0 {
		t.Errorf("%d lines, mode %v", len(lines), must(os.Stat(path)).Mode())
	}
}

func TestPythonLogIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, reopen := openLog(own(), path, new(shared))
	l.Info("one")
	check(os.Rename(path, path+".1"))
	l.Info("two")
	reopen()
	l.Info("three")
	before := descriptors()
	for range 10 {
		reopen()
	}
	if after := descriptors(); after != before {
		t.Errorf("%d descriptors became %d", before, after)
	}
	old, now := string(must(os.ReadFile(path+".1"))), string(must(os.ReadFile(path)))
	if strings.Count(old, "\n") != 2 || strings.Count(now, "\n") != 1 || !strings.HasSuffix(now, "INFO - three\n") {
		t.Errorf("%q, %q", old, now)
	}
}

func TestPythonLogThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	target, link, fifo := filepath.Join(dir, "target"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	check(os.WriteFile(target, nil, 0o600))
	check(os.Symlink(target, link))
	check(syscall.Mkfifo(fifo, 0o600))
	for _, path := range []string{link, fifo, dir, filepath.Join(dir, "no", "log")} {
		var stderr shared
		l, reopen := openLog(own(), path, &stderr)
		reopen()
		l.Info("said")
		if got := stderr.String(); strings.Count(got, "WARNING") != 1 || !strings.HasSuffix(got, "\nINFO - said\n") {
			t.Errorf("%s: %q", path, got)
		}
	}
	if b := must(os.ReadFile(target)); len(b) != 0 {
		t.Errorf("a link was followed: %q", b)
	}
	// It comes back, and a new failure is told again.
	var stderr shared
	l, reopen := openLog(own(), link, &stderr)
	check(os.Remove(link))
	reopen()
	l.Info("in the file")
	if b := must(os.ReadFile(link)); !strings.HasSuffix(string(b), "INFO - in the file\n") {
		t.Errorf("%q", b)
	}
	check(os.Remove(link))
	check(os.Symlink(target, link))
	reopen()
	if strings.Count(stderr.String(), "WARNING") != 2 {
		t.Errorf("%q", &stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
}

func TestPythonLogByMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, reopen := openLog(own(), path, new(shared))
	var done sync.WaitGroup
	for i := range 8 {
		done.Go(func() {
			for range 50 {
				l.Log(t.Context(), slog.LevelWarn, "m", "i", i)
			}
		})
	}
	for range 20 {
		reopen()
	}
	done.Wait()
	for line := range strings.Lines(string(must(os.ReadFile(path)))) {
		if !regexp.MustCompile(` - WARNING - m i=\d\n$`).MatchString(line) {
			t.Fatalf("%q", line)
		}
	}
}
