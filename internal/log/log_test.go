package log

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const evil = "a\nNov 23 root: forged\x1b[2J"

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for range 2 { // a second process appends
		l := Open(host.Real(), File, path, "prog")
		l.Info("ticket", "host", evil, "token", secret.FromString("canary"))
		l.Error(evil)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if strings.Count(text, "\n") != 4 || strings.Contains(text, "\x1b") || strings.Contains(text, "canary") ||
		!strings.Contains(text, "token=REDACTED") || !strings.Contains(text, "program=prog") {
		t.Errorf("%q", text)
	}
	if info, _ := os.Stat(path); info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestNoLogStopsNobody(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, fifo, dir, filepath.Join(dir, "no", "folder")} {
		Open(host.Real(), File, path, "prog").Info("dropped")
	}
	if b, _ := os.ReadFile(target); len(b) != 0 {
		t.Errorf("a link was followed: %q", b)
	}
}

type recorder []string

func (r *recorder) Err(s string) error     { *r = append(*r, "err "+s); return nil }
func (r *recorder) Warning(s string) error { *r = append(*r, "warning "+s); return nil }
func (r *recorder) Info(s string) error    { *r = append(*r, "info "+s); return nil }

func TestSyslog(t *testing.T) {
	var got recorder
	l := slog.New(newSyslogHandler(&got))
	l.Debug("no")
	l.Info("a", "host", evil)
	l.With("k", 1).WithGroup("g").Warn("b", "level", 2)
	l.Error("c", "token", secret.FromString("canary"))
	want := []string{
		`info msg=a host="a\nNov 23 root: forged\x1b[2J"`,
		`warning msg=b k=1 g.level=2`,
		`err msg=c token=REDACTED`,
	}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

// TestRecordLetsGo has more records than a process could have logs open at once.
func TestRecordLetsGo(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := open()
	for range 100 {
		if err := Record(host.Real(), File, path, "prog", slog.LevelError, evil, "token", secret.FromString("canary")); err != nil {
			t.Fatal(err)
		}
	}
	if after := open(); after > before+5 { // the runtime may have opened some of its own
		t.Errorf("%d descriptors became %d", before, after)
	}
	b, err := os.ReadFile(path)
	if text := string(b); err != nil || strings.Count(text, "\n") != 100 || strings.Contains(text, "canary") || !strings.Contains(text, "level=ERROR") {
		t.Errorf("%v %q", err, text)
	}
	if err := Record(host.Real(), File, filepath.Join(dir, "no", "folder"), "prog", slog.LevelError, "dropped"); err == nil {
		t.Error("a log that is not there took a record")
	}
}
