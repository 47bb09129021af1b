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

	"github.com/azfilesauth/azfilesauth/internal/host"
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
func Open(h host.Host, destination, path, program string) *slog.Logger {
	l, _, err := open(h, destination, path, program)
	if err != nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

// Record writes one record to the log that Open would give and lets go of that log. It is for code in
// other people's processes, where nothing may stay open. The error says that there is no such log.
func Record(h host.Host, destination, path, program string, level slog.Level, message string, values ...any) error {
	l, log, err := open(h, destination, path, program)
	if err != nil {
		return err
	}
	l.Log(context.Background(), level, message, values...)
	return log.Close()
}

// open gives a log and what it holds open.
func open(h host.Host, destination, path, program string) (*slog.Logger, io.Closer, error) {
	if destination == File {
		f, err := h.OpenLog(path, fileMode)
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

// priorities is what a syslog connection offers.
type priorities interface {
	Err(string) error
	Warning(string) error
	Info(string) error
}

// syslogHandler turns slog's levels into syslog's priorities (RFC 5424, 6.2.1): a handler of lines for each.
type syslogHandler struct{ info, warning, err slog.Handler }

// line is where a handler puts its lines, one in each call.
type line func(string) error

func (l line) Write(text []byte) (int, error) { return len(text), l(string(bytes.TrimSpace(text))) }

func newSyslogHandler(out priorities) syslogHandler {
	handler := func(l line) slog.Handler {
		return slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: withoutStamp})
	}
	return syslogHandler{handler(out.Info), handler(out.Warning), handler(out.Err)}
}

// withoutStamp leaves out what syslog adds itself.
func withoutStamp(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}

func (h syslogHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (h syslogHandler) Handle(ctx context.Context, r slog.Record) error {
	to := h.info
	if r.Level >= slog.LevelError {
		to = h.err
	} else if r.Level >= slog.LevelWarn {
		to = h.warning
	}
	return to.Handle(ctx, r)
}

func (h syslogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return syslogHandler{h.info.WithAttrs(attrs), h.warning.WithAttrs(attrs), h.err.WithAttrs(attrs)}
}

func (h syslogHandler) WithGroup(name string) slog.Handler {
	return syslogHandler{h.info.WithGroup(name), h.warning.WithGroup(name), h.err.WithGroup(name)}
}
