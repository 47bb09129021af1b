package main

import (
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// story makes events from lines "op start end err", in seconds after a fixed moment.
func story(t *testing.T, lines ...string) []event {
	t.Helper()
	var events []event
	for _, line := range lines {
		f := strings.Fields(line)
		start, err := time.ParseDuration(f[1])
		if err != nil {
			t.Fatal(err)
		}
		end, err := time.ParseDuration(f[2])
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event{f[0], at(start), at(end), f[3]})
	}
	return events
}

func at(d time.Duration) time.Time { return time.Unix(1_700_000_000, 0).Add(d) }

func TestJudgeHealing(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string // in the only problem; "" is none
	}{
		{"a stall", []string{"stat 1s 1.1s ok", "stat 2s 4s ok"}, ""},
		{"the kernel's own, at two ends", []string{"statfs 1s 1s EAGAIN", "statfs 2s 2s ok", "statfs 26s 26s EHOSTDOWN", "statfs 27s 27s ok"}, ""},
		{"a listing under way", []string{"readdir 1s 1s ENOENT", "readdir 2s 2s ok"}, ""},
		{"a folder that was open", []string{"statfs 1s 1s EBADF", "statfs 2s 2s ok"}, ""},
		{"a file that is not there", []string{"stat 1s 1s ENOENT", "stat 2s 2s ok"}, "no such error"},
		{"no ticket", []string{"stat 1s 1s ENOKEY", "stat 2s 2s ok"}, "no such error"},
		{"lost file", []string{"held 1s 1s EBADF", "held 2s 2s ok"}, "no such error"},
		{"twice at one end", []string{"stat 1s 1s EAGAIN", "stat 1.3s 1.3s EHOSTDOWN", "stat 2s 2s ok"}, "second error"},
		{"not good again", []string{"stat 1s 1s EAGAIN", "stat 2s 4.1s ok"}, "not good again"},
		{"never good again", []string{"stat 1s 1s EAGAIN"}, "not good again"},
		{"another operation is", []string{"stat 1s 1s EAGAIN", "held 2s 2s ok"}, "not good again"},
		{"too long a stall", []string{"stat 1s 11.1s ok"}, "it took"},
	} {
		got := judgeHealing(story(t, c.lines...), limits{recovery: recovery, patience: patience, apart: 15 * time.Second})
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestJudgeStreaks(t *testing.T) {
	slow := limits{recovery: time.Minute, patience: time.Minute, apart: 15 * time.Second, streaks: true}
	for lines, good := range map[string]bool{
		"stat 1s 8s EHOSTDOWN;stat 9s 16s EAGAIN;stat 17s 30s ok":                    true,
		"stat 1s 8s EHOSTDOWN;stat 9s 10s ok;stat 11s 12s EAGAIN;stat 13s 14s ok":    false,
		"stat 1s 8s EHOSTDOWN;stat 9s 16s ENOKEY;stat 17s 30s ok":                    false,
		"stat 1s 8s EHOSTDOWN;stat 9s 16s EAGAIN":                                    false,
		"stat 1s 8s EHOSTDOWN;stat 9s 10s ok;stat 30s 31s EHOSTDOWN;stat 32s 33s ok": true,
		"stat 1s 8s EHOSTDOWN;stat 9s 10s ok;stat 30s 91s EHOSTDOWN;stat 92s 93s ok": false,
		"held 1s 60s ok;held 61s 62s EAGAIN;held 63s 64s ok":                         true,
	} {
		if got := judgeHealing(story(t, strings.Split(lines, ";")...), slow); good != (len(got) == 0) {
			t.Errorf("%s: %q", lines, got)
		}
	}
}

func TestJudgeTickets(t *testing.T) {
	ticket := func(after time.Duration, identity string) azurefake.Request {
		return azurefake.Request{Host: "acct", Time: at(after), Identity: identity}
	}
	for _, c := range []struct {
		list []azurefake.Request
		want string
	}{
		{[]azurefake.Request{ticket(0, "system"), ticket(18*time.Second, "system")}, ""},
		{[]azurefake.Request{ticket(0, "system"), ticket(18*time.Second, "other")}, "to other, not to system"},
		{[]azurefake.Request{ticket(0, "system"), ticket(40*time.Second, "system")}, "40s after the last one"},
	} {
		got := judgeTickets(c.list, "system", 40*time.Second)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%v: %q, want %q", c.list, got, c.want)
		}
	}
}

func TestLineTime(t *testing.T) {
	log := "2026-11-24 00:00:01,250 [INFO] AZ Files Refresh Daemon started.\n2026-11-24 00:00:02,500 [INFO] watched host=a cruid=0\n"
	want := time.Date(2026, 11, 24, 0, 0, 2, 500e6, time.Local)
	if got := lineTime([]byte(log), " [INFO] watched host=a "); !got.Equal(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := lineTime([]byte(log), " [INFO] watched host=b "); !got.IsZero() {
		t.Errorf("%v for no such line", got)
	}
}

func TestJudgeLogins(t *testing.T) {
	for _, c := range []struct{ lines, want string }{
		{"create 1s 1s ENOENT;create 2s 2s ok", ""},
		{"create 1s 1s ENOKEY;create 2s 2s ok", "a login failed"},
		{"create 1s 1s EAGAIN", "not good in the end"},
	} {
		got := judgeLogins(story(t, strings.Split(c.lines, ";")...))
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.lines, got, c.want)
		}
	}
}

func TestJudgeOutage(t *testing.T) {
	const refused, fine = "stat 12s 12s ENOKEY", "stat 61s 62s ok"
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"as it must be", []string{"stat 1s 1s ok", refused, fine}, ""},
		{"what is held open waits", []string{refused, fine, "held 13s 64s ok"}, ""},
		{"an error while all comes back", []string{refused, "stat 60.1s 60.2s ENOKEY", fine}, ""},
		{"no outage", []string{"stat 1s 1s ok", fine}, "was none"},
		{"too early", []string{"stat 1s 1s EAGAIN", refused, fine}, "before the outage"},
		{"too late", []string{refused, fine, "stat 76s 76s EAGAIN", "stat 77s 77s ok"}, "long after"},
		{"another error", []string{refused, "stat 13s 13s EIO", fine}, "no such error"},
		{"slow to fail", []string{refused, "stat 13s 33.1s ENOKEY", fine}, "did not fail at once"},
		{"slow to come back", []string{refused, "stat 61s 76s ok"}, "not good again"},
		{"never back", []string{refused}, "not good again"},
	} {
		got := judgeOutage(story(t, c.lines...), at(10*time.Second), at(60*time.Second))
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAskLimit(t *testing.T) {
	events := story(t, "stat 1s 1s ENOKEY", "stat 20s 20s ENOKEY")
	if got := askLimit(events, at(10*time.Second), at(30*time.Second)); got != 4*threads {
		t.Errorf("%d, want %d", got, 4*threads)
	}
}

func TestEventsAreReadAsWritten(t *testing.T) {
	want := story(t, "held 1.000001s 2.5s EAGAIN", "stat 0s 0s ok")
	got, err := readEvents(strings.NewReader(want[0].String() + "\n" + want[1].String() + "\n"))
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if _, err := readEvents(strings.NewReader("panic: of some kind\n")); err == nil {
		t.Error("what is no event was read as one")
	}
}
