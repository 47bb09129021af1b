package log

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// lines is a handler that makes one line of a record and hands it to put. What stands in the line beside
// the attributes depends on the handler; those are in the form of slog's text handler, which quotes what
// could be taken for something else.
type lines struct {
	*line
	attrs slog.Handler
	with  []slog.Attr // of this handler, without its groups
}

// line is what the handlers of one log share.
type line struct {
	mu    sync.Mutex
	least slog.Level
	text  bytes.Buffer // where the text handler puts one line
	put   func(r slog.Record, text string, with []slog.Attr)
}

// newLines gives a handler of records from level least on, whose lines lack the built-in keys in without.
func newLines(least slog.Level, without []string, put func(r slog.Record, text string, with []slog.Attr)) slog.Handler {
	l := &line{least: least, put: put}
	return &lines{line: l, attrs: slog.NewTextHandler(&l.text, &slog.HandlerOptions{
		Level: least,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && slices.Contains(without, a.Key) {
				return slog.Attr{}
			}
			return a
		},
	})}
}

// Dated gives a handler of lines as the readers of azfilesrefresh.log know them:
//
//	2026-11-27 00:42:40,742 [INFO] message key=value
//
// The levels are Python's, INFO, WARNING and ERROR. Without stamp there is no time in front, for a
// journal or a container's log that adds one.
func Dated(w io.Writer, stamp bool, least slog.Level) slog.Handler {
	const asctime = "2006-01-02 15:04:05,000 " // a comma before the milliseconds
	return newLines(least, datedForm.without, func(r slog.Record, attrs string, _ []slog.Attr) {
		text := datedForm.line(r, attrs)
		if stamp {
			text = r.Time.Format(asctime) + text
		}
		_, _ = w.Write([]byte(text + "\n")) // a log that cannot be written stops nobody
	})
}

// Enabled is for slog.Handler.
func (h *lines) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least }

// Handle is for slog.Handler.
func (h *lines) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Reset()
	if err := h.attrs.Handle(ctx, r); err != nil {
		return err
	}
	h.put(r, strings.TrimSpace(h.text.String()), h.with)
	return nil
}

// WithAttrs is for slog.Handler.
func (h *lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lines{h.line, h.attrs.WithAttrs(attrs), append(slices.Clip(h.with), attrs...)}
}

// WithGroup is for slog.Handler.
func (h *lines) WithGroup(name string) slog.Handler {
	return &lines{h.line, h.attrs.WithGroup(name), h.with}
}

// ranks are what others call the levels from one on, Python by a name and RFC 5424 by a number (6.2.1).
var ranks = []rank{{slog.LevelError, "ERROR", 3}, {slog.LevelWarn, "WARNING", 4}, {slog.LevelInfo, "INFO", 6}, {math.MinInt, "DEBUG", 7}}

type rank struct {
	least    slog.Level
	name     string
	severity int
}

func rankOf(l slog.Level) rank {
	return ranks[slices.IndexFunc(ranks, func(r rank) bool { return l >= r.least })]
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
