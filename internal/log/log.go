// Package log writes what the program did to where the configuration says: syslog, the journal or a file.
//
// It is for operators who look later; what the user in front of the terminal needs is said on
// standard error by the faces. A record is one line of text, in which control characters of messages and
// values are escaped, so that nothing a peer sends can forge a line.
//
// Invariants: secrets print as REDACTED, because they are secret.Values; a log that cannot be written
// stops nobody, and one that hangs is waited for Patience at most by a program that ends soon, and by a
// daemon not at all (see Queue).
package log

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// The values of LOG_DESTINATION.
const (
	Syslog  = "syslog"
	Journal = "journal" // where journald does not run, as Syslog
	File    = "file"
)

// The values of LOG_FORMAT. Only files and standard error have a format: the journal has fields.
const (
	Text = "text"
	JSON = "json"
)

// Settings is what the configuration says of logs.
type Settings struct {
	Destination string
	Path        string // of the destination File
	Format      string
	Level       slog.Level // the least that is logged
}

// handler writes records to a file in the format; text makes the handler of the form Text.
func (s Settings) handler(w io.Writer, text func(w io.Writer) slog.Handler) slog.Handler {
	if s.Format == JSON {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: s.Level})
	}
	return text(w)
}

// plain is slog's own text form.
func (s Settings) plain(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: s.Level})
}

// Patience bounds the wait for a log, which may itself wait for a disk that is frozen or a reader that is
// stopped.
const Patience = 500 * time.Millisecond

// fileMode is that of a log file that is made: what machines an account has is nobody else's business.
const fileMode = 0o640

// ErrHangs says that a log was not waited for any longer.
var ErrHangs = errors.New("the log hangs")

// Open gives the log of a program. Without a log to write to it gives one that drops everything.
// The destination File is a regular file, not a link, to which lines are appended. A record
// that a log does not take within Patience is lost, and so are all that follow it.
func Open(h host.Host, s Settings, program string) *slog.Logger {
	var handler slog.Handler
	err := within(Patience, func() (err error) {
		handler, _, err = openHandler(h, s, program)
		return err
	})
	if err != nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(&patient{handler, new(hung)})
}

// Record writes one record to the log that Open would give and lets go of that log. It is for code in
// other people's processes, where nothing may stay open. The error says that there is no such log, or that
// it hangs.
func Record(h host.Host, s Settings, program string, level slog.Level, message string, values ...any) error {
	return within(Patience, func() error {
		handler, file, err := openHandler(h, s, program)
		if err != nil {
			return err
		}
		slog.New(handler).Log(context.Background(), level, message, values...)
		return file.Close()
	})
}

// openHandler gives the handler of a log and what it holds open.
func openHandler(h host.Host, s Settings, program string) (slog.Handler, io.Closer, error) {
	if s.Destination == File {
		f, err := h.OpenLog(s.Path, fileMode)
		if err != nil {
			return nil, nil, err
		}
		return s.handler(f, s.plain).WithAttrs(processAttrs(program)), f, nil
	}
	if isSystem() || s.Destination == Journal && journal.Enabled() {
		return newJournal(ident, facilityUser, s.Level, syslogForm), io.NopCloser(nil), nil
	}
	l, err := dial(System)
	if err != nil {
		return nil, nil, err
	}
	return newSyslogHandler(l, s.Level), l, nil
}

// processAttrs says in a file which process wrote a line.
func processAttrs(program string) []slog.Attr {
	return []slog.Attr{slog.String("program", program), slog.Int("pid", os.Getpid())}
}

// within calls f and gives its error, or ErrHangs when f takes longer than limit; then f is left to itself.
func within(limit time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return ErrHangs
	}
}

// patient is a handler that waits for another one no longer than Patience, and never again after that.
type patient struct {
	slog.Handler
	*hung
}

// hung is shared by the handlers of one log.
type hung struct {
	mu  sync.Mutex
	yes bool
}

// Handle is for slog.Handler.
func (p *patient) Handle(ctx context.Context, r slog.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.yes {
		return ErrHangs
	}
	err := within(Patience, func() error { return p.Handler.Handle(ctx, r.Clone()) })
	p.yes = errors.Is(err, ErrHangs)
	return err
}

// WithAttrs is for slog.Handler.
func (p *patient) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &patient{p.Handler.WithAttrs(attrs), p.hung}
}

// WithGroup is for slog.Handler.
func (p *patient) WithGroup(name string) slog.Handler {
	return &patient{p.Handler.WithGroup(name), p.hung}
}
