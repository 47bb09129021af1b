package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// played is a daemon whose part can be changed while it runs.
type played struct {
	atomic.Pointer[playedDaemon]
	end func()
}

func (p *played) Status() control.Status { return p.Load().Told }

func (p *played) WriteMetrics(io.Writer) {}

func (p *played) Refresh(ctx context.Context, host string) ([]control.Outcome, error) {
	return p.Load().Refresh(ctx, host)
}

// playedDaemon says what a file of a script says.
type playedDaemon struct {
	Told     control.Status    `json:"status"`
	Outcomes []control.Outcome `json:"outcomes"`
	Refuses  fault.ID          `json:"refuses"`
	Slow     bool              `json:"slow"` // a refresh ends with its context

	asked string // where the refreshed host is noted
}

func (d *playedDaemon) Refresh(ctx context.Context, host string) ([]control.Outcome, error) {
	if err := os.WriteFile(d.asked, []byte("["+host+"]\n"), 0o600); err != nil {
		return nil, err
	}
	if d.Slow {
		<-ctx.Done()
	}
	switch d.Refuses {
	case fault.HostUnknown.ID:
		return nil, fault.HostUnknown.New(host, "p")
	case fault.TicketUnknown.ID:
		return nil, fault.TicketUnknown.New(host, "/cc")
	}
	return d.Outcomes, nil
}

// daemon FILE has a daemon answer on the socket as the file says, in the place of an earlier one;
// "! daemon" ends it.
func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg != (len(args) == 0) || len(args) > 1 {
		ts.Fatalf("usage: daemon FILE, or ! daemon")
	}
	running := ts.Value("daemon").(*played)
	if neg {
		running.stop()
		return
	}
	d := &playedDaemon{asked: ts.MkAbs("refreshed")}
	ts.Check(json.Unmarshal([]byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), d))
	running.Store(d)
	if running.end != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	socket := ts.MkAbs("run/watch.sock")
	go func() { result <- control.Serve(ctx, testHost(ts.MkAbs("run")), socket, running) }()
	running.end = func() { cancel(); <-result }
	for {
		if _, err := control.NewClient(socket).Status(ctx); err == nil {
			return
		}
		select {
		case err := <-result:
			result <- err // for the end
			ts.Fatalf("the daemon: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
}

func (p *played) stop() {
	if p.end != nil {
		p.end()
		p.end = nil
	}
}

// until FILE REGEXP waits until a line of the file matches.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: until FILE REGEXP")
	}
	want := regexp.MustCompile("(?m)" + args[1])
	var text []byte
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if text, _ = os.ReadFile(ts.MkAbs(args[0])); want.Match(text) {
			return
		}
	}
	ts.Fatalf("no line of %s matches:\n%s", args[0], text)
}

// playWatch is the daemon of "azfilesauth watch" in the scripts.
func playWatch(h host.Host, socket string) int {
	fmt.Printf("{Config:%s Mountinfo:%s Socket:%s}\n", h.Config, h.Mounts, socket)
	return 3
}

func TestRedraw(t *testing.T) {
	var b bytes.Buffer
	s := session{App: &App{Stdout: &b, Host: host.Host{Now: func() time.Time { return start }}, Rows: func() int { return 4 }}}
	o := overview{Running: true, Status: control.Status{Active: true, PID: 7, Version: "2.0.0", Started: start}}
	for range 3 {
		o.Endpoints = append(o.Endpoints, mountedEndpoint{Endpoint: control.Endpoint{Host: "a\x1b[2J", State: control.Fresh}})
	}
	if err := s.redraw(o); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	lines := strings.Split(strings.TrimSuffix(got, screenEnd), lineEnd+"\n")
	if !strings.HasPrefix(got, wrapOff+toTop) || !strings.HasSuffix(got, lineEnd+screenEnd) || len(lines) != 4 {
		t.Fatalf("%d lines: %q", len(lines), got)
	}
	if !strings.Contains(lines[3], "and 4 more lines") || strings.Contains(got, "\x1b[2J") {
		t.Errorf("%q", got)
	}
	b.Reset()
	s.Rows = func() int { return 0 }
	if err := s.redraw(o); err != nil || strings.Contains(b.String(), "more lines") {
		t.Errorf("%v: %q", err, &b)
	}
}

// On a terminal it is drawn until a signal ends it, and the terminal is left as it was.
func TestFollowOnATerminal(t *testing.T) {
	dir := t.TempDir()
	mountTable := dir + "/mountinfo"
	if err := os.WriteFile(mountTable, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	drawn := &counting{at: 3, reached: cancel}
	machine := host.Beneath(dir)
	machine.Mounts = mountTable
	s := session{App: &App{
		Stdout: drawn, Host: machine, Socket: dir + "/s",
		Rows: func() int { return 24 }, Interval: time.Millisecond,
	}}
	if err := s.follow(ctx); err != nil {
		t.Fatal(err)
	}
	got := drawn.String()
	if strings.Count(got, toTop) != 3 || !strings.HasSuffix(got, wrapOn) || strings.Count(got, "no share of Azure Files is mounted") != 3 {
		t.Errorf("%q", got)
	}
	s.Stdout = failing{errors.New("gone")}
	if err := s.follow(t.Context()); !fault.Is(err, fault.OutputFailed) {
		t.Errorf("no reader: %v", err)
	}
}

// counting calls reached at its at-th write.
type counting struct {
	bytes.Buffer
	at      int
	reached func()
}

func (c *counting) Write(p []byte) (int, error) {
	if c.at--; c.at == 0 {
		c.reached()
	}
	return c.Buffer.Write(p)
}

func TestChangedLines(t *testing.T) {
	for _, test := range []struct {
		before, now map[string]string
		want        string
	}{
		{nil, map[string]string{"": "d", "a": "A"}, "d|A"},
		{map[string]string{"": "d", "a": "A"}, map[string]string{"": "d", "a": "A"}, ""},
		{map[string]string{"": "d", "a": "A"}, map[string]string{"": "d", "a": "B", "b": "C"}, "B|C"},
		{map[string]string{"": "d", "a": "A"}, map[string]string{"": "d"}, "a: no longer mounted"},
	} {
		if got := strings.Join(changedLines(test.before, test.now), "|"); got != test.want {
			t.Errorf("%v to %v: %q", test.before, test.now, got)
		}
	}
}

func TestRows(t *testing.T) {
	env := func(term string) func(string) string { return func(string) string { return term } }
	if rows(false, env("xterm")) != nil || rows(true, env("dumb")) != nil || rows(true, env("")) != nil {
		t.Error("drawn where it cannot be")
	}
	if r := rows(true, env("xterm")); r == nil || r() < 0 {
		t.Error("not drawn")
	}
}
