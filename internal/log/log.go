// Package log writes what the program did to where the configuration says: syslog, the journal or a file.
//
// It is for operators who look later; what the user in front of the terminal needs is said on
// standard error by the faces. A record is one line of slog's text form, in which control characters
// of messages and values are escaped, so that nothing a peer sends can forge a line.
//
// Invariants: secrets print as REDACTED, because they are secret.Values; a log that cannot be
// written stops nobody.
package log

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// The values of LOG_DESTINATION.
const (
	Syslog  = "syslog"
	Journal = "journal" // by way of /dev/log, where journald listens as well
	File    = "file"
)

// fileMode is that of a log file that is made: what machines an account has is nobody else's business.
const fileMode = 0o640

// Open gives the log of a program. Without a log to write to it gives one that drops everything.
// path is used for the destination File: a regular file, not a link, to which lines are appended.
func Open(destination, path, program string) *slog.Logger {
	l, _, err := open(destination, path, program)
	if err != nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

// Record writes one record to the log that Open would give and lets go of that log. It is for code in
// other people's processes, where nothing may stay open. The error says that there is no such log.
func Record(destination, path, program string, level slog.Level, message string, values ...any) error {
	l, log, err := open(destination, path, program)
	if err != nil {
		return err
	}
	l.Log(context.Background(), level, message, values...)
	return log.Close()
}

// open gives a log and what it holds open.
func open(destination, path, program string) (*slog.Logger, io.Closer, error) {
	if destination == File {
		f, err := openFile(path)
		if err != nil {
			return nil, nil, err
		}
		return slog.New(slog.NewTextHandler(f, nil)).With("program", program, "pid", os.Getpid()), f, nil
	}
	w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, program)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(newSyslogHandler(w)), w, nil
}

// openFile opens a log file. The folder is root's business, the last component must be no link.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, fileMode)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, os.ErrInvalid
	}
	return f, nil
}

// priorities is what a syslog connection offers.
type priorities interface {
	Err(string) error
	Warning(string) error
	Info(string) error
}

// syslogHandler turns slog's levels into syslog's priorities (RFC 5424, 6.2.1).
type syslogHandler struct {
	out  priorities
	text slog.Handler
	line *lineBuffer
}

// lineBuffer is where the text handler puts one line.
type lineBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func newSyslogHandler(out priorities) *syslogHandler {
	line := new(lineBuffer)
	text := slog.NewTextHandler(io.Writer(&line.Buffer), &slog.HandlerOptions{ReplaceAttr: withoutStamp})
	return &syslogHandler{out: out, text: text, line: line}
}

// withoutStamp leaves out what syslog adds itself.
func withoutStamp(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}

func (h *syslogHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (h *syslogHandler) Handle(ctx context.Context, r slog.Record) error {
	h.line.Lock()
	defer h.line.Unlock()
	h.line.Reset()
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	line := string(bytes.TrimSpace(h.line.Bytes()))
	switch {
	case r.Level >= slog.LevelError:
		return h.out.Err(line)
	case r.Level >= slog.LevelWarn:
		return h.out.Warning(line)
	}
	return h.out.Info(line)
}

func (h *syslogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &syslogHandler{h.out, h.text.WithAttrs(attrs), h.line}
}

func (h *syslogHandler) WithGroup(name string) slog.Handler {
	return &syslogHandler{h.out, h.text.WithGroup(name), h.line}
}
