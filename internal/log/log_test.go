package log

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const evil = "a\nNov 23 root: forged\x1b[2J"

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for range 2 { // a second process appends
		l := Open(host.Real(), Settings{Destination: File, Path: path}, "prog")
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
		Open(host.Real(), Settings{Destination: File, Path: path}, "prog").Info("dropped")
	}
	if b, _ := os.ReadFile(target); len(b) != 0 {
		t.Errorf("a link was followed: %q", b)
	}
}

// listen is a syslog daemon, whose lines it gives; a stopped one does not read.
func listen(t *testing.T) (*net.UnixConn, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, path
}

// received takes lines without what differs from run to run.
func received(t *testing.T, l *net.UnixConn, n int) (lines []string) {
	t.Helper()
	stamp := regexp.MustCompile(`^(<\d+>)\w{3} [ \d]\d \d\d:\d\d:\d\d (.*)\[\d+\]: `)
	for range n {
		b := make([]byte, 4096)
		size, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, stamp.ReplaceAllString(string(b[:size]), "$1$2 "))
	}
	return lines
}

// TestSyslog: facility user and one identifier for all, as the readers of the drop-in's lines know them.
func TestSyslog(t *testing.T) {
	daemon, path := listen(t)
	s, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	l := slog.New(newSyslogHandler(s, slog.LevelInfo))
	l.Debug("no")
	l.Info("a", "host", evil)
	l.With("k", 1).WithGroup("g").Warn("b", "level", 2)
	l.Error("c", "token", secret.FromString("canary"))
	want := []string{
		`<14>azfilesauth msg=a host="a\nNov 23 root: forged\x1b[2J"`,
		`<12>azfilesauth msg=b k=1 g.level=2`,
		`<11>azfilesauth msg=c token=REDACTED`,
	}
	got := received(t, daemon, 3)
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
		if err := Record(host.Real(), Settings{Destination: File, Path: path}, "prog", slog.LevelError, evil, "token", secret.FromString("canary")); err != nil {
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
	if err := Record(host.Real(), Settings{Destination: File, Path: filepath.Join(dir, "no", "folder")}, "prog", slog.LevelError, "dropped"); err == nil {
		t.Error("a log that is not there took a record")
	}
}

// TestSyslogIsConnectedToAgain: a syslog daemon that is started anew gets the next line.
func TestSyslogIsConnectedToAgain(t *testing.T) {
	first, path := listen(t)
	s, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	_ = os.Remove(path)
	second, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	slog.New(newSyslogHandler(s, slog.LevelInfo)).Info("a")
	if got := received(t, second, 1); got[0] != "<14>azfilesauth msg=a" {
		t.Errorf("%q", got)
	}
}

// fill sends to the socket at path until it takes no more, without a limit of time, which a busy machine would reach first.
func fill(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	for range 10_000 {
		if err = unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: path}); err != nil {
			break
		}
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("the socket takes everything: %v", err)
	}
}

// TestSendIsBounded: nobody waits for a syslog daemon that is stopped.
func TestSendIsBounded(t *testing.T) {
	_, path := listen(t)
	s, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fill(t, path)
	if err := s.send(time.Millisecond, slog.LevelInfo, facilityUser, "x", "x"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one more: %v", err)
	}
	if err := (Event{Program: "x", Message: "y"}).Send(path, time.Millisecond); !errors.Is(err, ErrHangs) {
		t.Errorf("another's: %v", err)
	}
}
