package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "unsafe" // for journalSocket

	"github.com/azfilesauth/azfilesauth/internal/host"
)

//go:linkname journalSocket github.com/coreos/go-systemd/v22/journal.journalSocket
var journalSocket string

// TestMain sets the socket once: a sender that was not waited for may still read the variable when its test is over.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	journalSocket = filepath.Join(dir, "socket")
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// journald listens where the library sends entries to.
func journald(t *testing.T) *net.UnixConn {
	t.Helper()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: journalSocket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Close()
		_ = os.Remove(journalSocket)
	})
	return l
}

// entry takes one entry as journald does (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).
func entry(t *testing.T, l *net.UnixConn) map[string]string {
	t.Helper()
	b := make([]byte, 64<<10)
	ok(t, l.SetReadDeadline(time.Now().Add(time.Minute)))
	n, err := l.Read(b)
	ok(t, err)
	fields := map[string]string{}
	for rest := b[:n]; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		name, value, short := strings.Cut(string(line), "=")
		if !short {
			size := binary.LittleEndian.Uint64(after)
			value, after = string(after[8:8+size]), after[8+size+1:]
		}
		if _, twice := fields[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		fields[name], rest = value, after
	}
	return fields
}

func expect(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s=%q, want %q", name, got[name], value)
		}
	}
}

// TestEventHasFields: priority, identifier and what failed where as whom are fields, and a message cannot make more.
func TestEventHasFields(t *testing.T) {
	l := journald(t)
	e := Event{Program: "mount.azfiles", Level: slog.LevelError, Message: "AZF-X: it failed\nPRIORITY=0", Fields: []slog.Attr{
		slog.String("fault", "AZF-X"), slog.String("endpoint", "acct"), slog.String("identity", "system\nMESSAGE=forged"), slog.String("ccache", ""),
	}}
	ok(t, e.Send(System, Patience))
	got := entry(t, l)
	expect(t, got, map[string]string{
		"PRIORITY": "3", "SYSLOG_IDENTIFIER": "mount.azfiles", "SYSLOG_FACILITY": "3", "MESSAGE_ID": messageFault,
		"AZF_FAULT": "AZF-X", "AZF_ENDPOINT": "acct", "AZF_IDENTITY": "system\nMESSAGE=forged", "MESSAGE": `AZF-X: it failed\nPRIORITY=0`,
	})
	if _, there := got["AZF_CCACHE"]; there {
		t.Error("an empty field was sent")
	}
}

// TestDaemonInTheJournal: the message is the line that the drop-in's readers know, once, and its attributes are fields.
func TestDaemonInTheJournal(t *testing.T) {
	l := journald(t)
	path := filepath.Join(t.TempDir(), "log")
	var stderr shared
	d := Dropin(host.Real(), path, &stderr, Settings{}, true)
	d.With("host", "acct").Error("Error refreshing ticket", "fault", "AZF-X", "ends", time.Unix(0, 0))
	d.Info("well")
	flush(d)
	expect(t, entry(t, l), map[string]string{
		"PRIORITY": "3", "SYSLOG_IDENTIFIER": "azfilesrefresh", "AZF_ENDPOINT": "acct", "AZF_FAULT": "AZF-X", "AZF_ENDS": "1970-01-01T00:00:00Z",
	})
	got := entry(t, l)
	expect(t, got, map[string]string{"PRIORITY": "6", "MESSAGE": "[INFO] well", "MESSAGE_ID": ""})
	if stderr.text() != "" {
		t.Errorf("standard error, which is the journal, has it too: %q", stderr.text())
	}
	if text := read(t, path); strings.Count(text, "\n") != 2 || !strings.Contains(text, "[ERROR] Error refreshing ticket host=acct fault=AZF-X") {
		t.Errorf("%q", text)
	}
}

// TestJournalDestination: LOG_DESTINATION: journal has the fields as well.
func TestJournalDestination(t *testing.T) {
	l := journald(t)
	Open(host.Real(), Settings{Destination: Journal}, "prog").Warn("ticket obtained", "server", "cifs/acct")
	expect(t, entry(t, l), map[string]string{
		"PRIORITY": "4", "SYSLOG_IDENTIFIER": "azfilesauth", "SYSLOG_FACILITY": "1", "AZF_ENDPOINT": "acct",
		"MESSAGE": `msg="ticket obtained" server=cifs/acct`,
	})
}

// TestStoppedJournal: nobody waits for a journald that does not read.
func TestStoppedJournal(t *testing.T) {
	journald(t)
	e := Event{Program: "p", Message: strings.Repeat("x", 1000)}
	var err error
	for range 10_000 {
		if err = e.Send(System, time.Millisecond); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrHangs) {
		t.Errorf("%v", err)
	}
}

// TestSettings: the format and the level of files.
func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := Open(host.Real(), Settings{Destination: File, Path: path, Format: JSON, Level: slog.LevelWarn}, "prog")
	l.Info("no")
	l.Warn("yes", "fault", "AZF-X")
	if text := read(t, path); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"msg":"yes"`) || !strings.Contains(text, `"fault":"AZF-X"`) {
		t.Errorf("%q", text)
	}
	var stderr shared
	d := Dropin(host.Real(), path, &stderr, Settings{Level: slog.LevelDebug}, false)
	d.Debug("more")
	flush(d)
	if stderr.text() != "[DEBUG] more\n" {
		t.Errorf("%q", stderr.text())
	}
}
