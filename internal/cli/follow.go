package cli

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os/signal"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// What a terminal is told (ECMA-48, 8.3.21, 8.3.39 and 8.3.41; xterm's private mode 7).
const (
	wrapOff   = "\x1b[?7l" // long lines are cut
	wrapOn    = "\x1b[?7h"
	toTop     = "\x1b[H"
	lineEnd   = "\x1b[K" // clears what was behind
	screenEnd = "\x1b[J" // clears what was below
)

// follow shows the overview again and again until a signal: on a terminal all of it in one place,
// elsewhere what has changed. To be interrupted is its normal end.
func (s *session) follow(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	show := s.changesOnly()
	if s.Rows != nil && !s.json {
		show = s.redraw
		defer func() { _, _ = fmt.Fprint(s.Stdout, wrapOn) }()
	}
	again := time.NewTicker(s.Interval)
	defer again.Stop()
	for {
		o, err := s.overview(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = show(o)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// redraw writes over what the terminal shows, line by line, so that nothing flickers.
func (s *session) redraw(o overview) error {
	var b bytes.Buffer
	s.writeOverview(&b, o)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	lines = append([]string{localTime(s.Now())}, lines...)
	if rows := s.Rows(); rows > 1 && len(lines) > rows {
		more := len(lines) - rows + 1
		lines = append(lines[:rows-1], fmt.Sprintf("and %d more lines", more))
	}
	return s.print([]byte(wrapOff + toTop + strings.Join(lines, lineEnd+"\n") + lineEnd + screenEnd))
}

// changesOnly gives a function that prints what is new since it was called last.
func (s *session) changesOnly() func(overview) error {
	var before map[string]string
	return func(o overview) error {
		now := s.summarizeLines(o)
		lines := changedLines(before, now)
		before = now
		if len(lines) == 0 {
			return nil
		}
		if s.json {
			return s.printCompact(o)
		}
		stamp := localTime(s.Now())
		return s.print([]byte(stamp + "  " + strings.Join(lines, "\n"+stamp+"  ") + "\n"))
	}
}

// summarizeLines is what a change is a change of: a line for the daemon ("") and for each endpoint, without how far
// away the times are.
func (s *session) summarizeLines(o overview) map[string]string {
	facts := map[string]string{"": "daemon: not running; start it: " + o.Start}
	if o.Problem != "" {
		facts[""] = "daemon: no answer (" + o.Problem + ")"
	} else if o.Running && o.Active {
		facts[""] = fmt.Sprintf("daemon: running, pid %d", o.PID)
	} else if o.Running {
		facts[""] = fmt.Sprintf("daemon: waiting, pid %d", o.PID)
	}
	for _, e := range o.Endpoints {
		text := fmt.Sprintf("%s: %s", nameOf(e), e.State)
		if !e.TicketEnd.IsZero() {
			text += ", ticket until " + localTime(e.TicketEnd)
		}
		if e.Identity != "" {
			text += ", identity " + e.Identity
		}
		text += ", mounted on " + targets(e.Mounts)
		if e.LastFault != nil {
			text += ", refresh failed: " + e.LastFault.ID + ": " + e.LastFault.What
		}
		if e.LoginFault != nil {
			text += ", login failed: " + e.LoginFault.ID + ": " + e.LoginFault.What
		}
		facts[nameOf(e)] = legible.Line(text)
	}
	return facts
}

// changedLines gives the facts that are new, and tells of those that are gone.
func changedLines(before, now map[string]string) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if before[name] != now[name] {
			lines = append(lines, now[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, there := now[name]; !there {
			lines = append(lines, legible.Line(name)+": no longer mounted")
		}
	}
	return lines
}
