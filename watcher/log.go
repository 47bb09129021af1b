package watcher

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// What is special about azfilesrefresh: it takes the place of a program of that name, whose log file
// people read and whose two variables they set.

// dropinLog is the log file of azfilesrefresh. It is always written, whatever LOG_DESTINATION says.
const dropinLog = "/var/log/azfilesrefresh.log"

const (
	dropinLogMode = 0o640
	// pythonTime is how Python's logging writes asctime, with a comma before the milliseconds.
	pythonTime = "2006-01-02 15:04:05,000"
)

// The variables that azfilesrefresh heeds, all others come from the configuration.
const (
	sleepVariable  = "AZFILES_REFRESH_SLEEP_SECONDS"
	beforeVariable = "AZFILES_REFRESH_BEFORE_EXPIRY_SECONDS"
)

// The bounds of the variables, in seconds.
const (
	minSleep = 5
	maxSleep = 24 * 60 * 60
)

// tunables are what the variables set; 0 is not set.
type tunables struct {
	// Look is the longest time between two looks when nothing happens. The program before this one
	// looked only as often; here events come first, and this is for what no event tells.
	Look time.Duration
	// BeforeExpiry takes the place of refresh: before_expiry in the configuration.
	BeforeExpiry time.Duration
}

// readTunables reads the variables. A value that cannot be used is not set, and told in problems.
func readTunables(getenv func(string) string) (t tunables, problems []string) {
	for _, v := range []struct {
		name  string
		least int
		to    *time.Duration
	}{{sleepVariable, minSleep, &t.Look}, {beforeVariable, 1, &t.BeforeExpiry}} {
		text := strings.TrimSpace(getenv(v.name))
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < v.least || n > maxSleep {
			problems = append(problems, fmt.Sprintf("%s must be a number of seconds from %d to %d; the default is used", v.name, v.least, maxSleep))
			continue
		}
		*v.to = time.Duration(n) * time.Second
	}
	return t, problems
}

// openLog gives the log of azfilesrefresh: lines "time - LEVEL - message key=value" as Python's logging
// writes them, appended to the file at path, and without the time to stderr, where the journal or the
// container's log adds one. reopen is for SIGHUP, after the file was renamed. A file that cannot be
// opened is told once on stderr, which then is all there is until a reopen finds it well.
func openLog(h host.Host, path string, stderr io.Writer) (l *slog.Logger, reopen func()) {
	out := &logFile{host: h, path: path, stderr: stderr}
	out.reopen()
	attrs := slog.NewTextHandler(&out.attrs, &slog.HandlerOptions{ReplaceAttr: onlyAttrs})
	return slog.New(&pythonHandler{out, attrs}), out.reopen
}

// logFile is where the lines go.
type logFile struct {
	host   host.Host
	path   string
	stderr io.Writer

	mu     sync.Mutex
	file   *os.File     // nil: it could not be opened
	failed bool         // and that was said
	attrs  bytes.Buffer // where the text handler puts those of one line
}

func (f *logFile) reopen() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		_ = f.file.Close()
	}
	var err error
	f.file, err = f.host.OpenLog(f.path, dropinLogMode)
	if err != nil && !f.failed {
		_, _ = fmt.Fprintf(f.stderr, "WARNING - only this is logged, the log file cannot be opened: %s\n", oneLine(err.Error()))
	}
	f.failed = err != nil
}

// pythonHandler writes records. The attributes are in the form of slog's text handler, which quotes
// what could be taken for something else.
type pythonHandler struct {
	out   *logFile
	attrs slog.Handler
}

// onlyAttrs leaves out what stands in front of the attributes.
func onlyAttrs(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}
	return a
}

// Enabled is for slog.Handler.
func (h *pythonHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// Handle is for slog.Handler. A log that cannot be written stops nobody.
func (h *pythonHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.attrs.Reset()
	if err := h.attrs.Handle(ctx, r); err != nil {
		return err
	}
	line := levelName(r.Level) + " - " + oneLine(r.Message)
	if attrs := strings.TrimSpace(h.out.attrs.String()); attrs != "" {
		line += " " + attrs
	}
	_, _ = io.WriteString(h.out.stderr, line+"\n")
	if h.out.file != nil {
		_, _ = h.out.file.WriteString(r.Time.Format(pythonTime) + " - " + line + "\n")
	}
	return nil
}

// WithAttrs is for slog.Handler.
func (h *pythonHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &pythonHandler{h.out, h.attrs.WithAttrs(attrs)}
}

// WithGroup is for slog.Handler.
func (h *pythonHandler) WithGroup(name string) slog.Handler {
	return &pythonHandler{h.out, h.attrs.WithGroup(name)}
}

// levelName is what Python calls a level.
func levelName(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "ERROR"
	case l >= slog.LevelWarn:
		return "WARNING"
	}
	return "INFO"
}

// oneLine escapes what could end a line or steer a terminal.
func oneLine(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}
