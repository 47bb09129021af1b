package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// What people see:
//
//   - The result goes to stdout. All else goes to stderr, in lines that begin with the program's
//     name, in lower case and without a full stop.
//   - A failure is its fault's id and sentence, then the fix. Warnings say "warning:".
//   - With --json, stdout has exactly one JSON value, also after a failure, and stderr nothing but
//     what -v asked for, unless stdout cannot be written to.
//   - A time is shown as the time left and as a local time; in JSON it is RFC 3339 in UTC.
//   - Colours are on a terminal only, and add nothing that the words do not say.

func (s *session) say(format string, a ...any) {
	_, _ = fmt.Fprintf(s.Stderr, program+": "+format+"\n", a...)
}

func (s *session) print(text []byte) error {
	if _, err := s.Stdout.Write(text); err != nil {
		return fault.OutputFailed.New().Because(err)
	}
	return nil
}

// result prints v, an object, as JSON or what human writes.
func (s *session) result(v any, human func(w io.Writer)) error {
	if s.json {
		return s.printJSON(v)
	}
	for _, w := range s.warnings {
		s.say("warning: %s", legible.Line(w))
	}
	var b bytes.Buffer
	human(&b)
	return s.print(b.Bytes())
}

// progress is where the diffs of a setup go before its first change, whatever happens then.
func (s *session) progress() io.Writer {
	if s.json {
		return io.Discard
	}
	return s.Stdout
}

// fail tells what happened and how to fix it.
func (s *session) fail(f *fault.Fault, exit int) {
	if s.json {
		s.failure = failureOf(f, exit)
		if s.printJSON(nil) == nil {
			return
		}
	}
	s.say("%s: %s", f.ID(), f.Sentence())
	s.say("fix: %s", f.Fix())
	if cause := f.Unwrap(); cause != nil && s.verbose {
		s.say("cause: %s", fault.Line(cause.Error()))
	}
	for _, note := range s.notes {
		s.say("%s", note)
	}
}

// table writes rows in aligned columns. A colour may only be in the last column, whose width does
// not matter, or in all cells of one.
func table(w io.Writer, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // to memory
}

// The colours that are used (ECMA-48, 8.3.117).
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	plain  = "39" // that of the terminal; a number of two digits as the others
)

func (s *session) colour(code, text string) string {
	if !s.Coloured {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// coloured decides whether to use colours: on a terminal that can, unless NO_COLOR is set to
// anything (no-color.org).
func coloured(terminal bool, getenv func(string) string) bool {
	return terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && getenv("TERM") != ""
}

// rows gives how to find out the height of the terminal, nil when there is none that can be drawn on.
func rows(terminal bool, getenv func(string) string) func() int {
	if !terminal || getenv("TERM") == "dumb" || getenv("TERM") == "" {
		return nil
	}
	return func() int { return int(size().Row) }
}

// columns gives how to find out the width of the terminal, nil when there is none.
func columns(terminal bool) func() int {
	if !terminal {
		return nil
	}
	return func() int { return int(size().Col) }
}

// size is that of the terminal, zero when it is not known.
func size() unix.Winsize {
	found, err := unix.IoctlGetWinsize(unix.Stdout, unix.TIOCGWINSZ)
	if err != nil {
		return unix.Winsize{}
	}
	return *found
}

// timeLeft is the time from now to t in two units.
func timeLeft(now, t time.Time) string {
	if d := t.Sub(now); d < 0 {
		return span(-d) + " ago"
	}
	return span(t.Sub(now))
}

func span(d time.Duration) string {
	s := int(d / time.Second)
	if s < 60 {
		return fmt.Sprintf("%ds", s)
	}
	if s < 60*60 {
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	if s < 48*60*60 {
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// formatTime is a time as programs read it, null for none.
func formatTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(time.RFC3339)
	return &text
}
