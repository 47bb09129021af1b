package metrics

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

var status = control.Status{
	Version: `2.0.0 "x"`, Active: true, Started: time.Unix(1_700_000_000, 5e8),
	Endpoints: []control.Endpoint{
		{Host: "a.file.core.windows.net", TicketEnd: time.Unix(1_700_003_600, 0), NextRefresh: time.Unix(1_700_002_000, 0), Mounts: make([]control.Mount, 2)},
		{Host: "b.file.core.windows.net", CRUID: 1001, Failures: 3},
		{Host: "b.file.core.windows.net", CRUID: 1001, Failures: 4}, // once is enough for Prometheus
	},
}

func written(t *testing.T, s *Set, upcalls map[string]Upcall) string {
	t.Helper()
	var b bytes.Buffer
	s.Write(&b, status, upcalls)
	return b.String()
}

// upcalls are some that were answered at once, and some that failed after four seconds.
func upcalls(answered, late int) map[string]Upcall {
	all := map[string]Upcall{}
	for result, n := range map[string]int{Answered: answered, "AZF-TIMEOUT": late} {
		u := Upcall{Count: uint64(n), took: newHistogram(upcallBounds)} //nolint:gosec // it is small
		for range n {
			u.took.add(upcallBounds, map[string]time.Duration{Answered: 5 * time.Millisecond, "AZF-TIMEOUT": 4 * time.Second}[result])
		}
		if n > 0 {
			all[result] = u
		}
	}
	return all
}

// counted is a Set after three refreshes.
func counted() *Set {
	s := New()
	s.Refreshed("a.file.core.windows.net", "", 40*time.Millisecond)
	s.Refreshed("a.file.core.windows.net", "", 700*time.Millisecond)
	s.Refreshed("b.file.core.windows.net", "AZF-ROLE-MISSING", time.Minute)
	return s
}

func TestWrite(t *testing.T) {
	got := written(t, counted(), upcalls(7, 1))
	for _, line := range []string{
		`azfilesauth_build_info{version="2.0.0 \"x\""} 1`,
		`azfilesauth_active 1`,
		`azfilesauth_start_timestamp_seconds 1700000000`,
		`azfilesauth_ticket_expiry_timestamp_seconds{endpoint="a.file.core.windows.net",uid="0"} 1700003600`,
		`azfilesauth_ticket_expiry_timestamp_seconds{endpoint="b.file.core.windows.net",uid="1001"} 0`,
		`azfilesauth_next_refresh_timestamp_seconds{endpoint="a.file.core.windows.net",uid="0"} 1700002000`,
		`azfilesauth_mounts{endpoint="a.file.core.windows.net",uid="0"} 2`,
		`azfilesauth_refresh_failures{endpoint="b.file.core.windows.net",uid="1001"} 4`,
		`azfilesauth_refreshes_total{endpoint="a.file.core.windows.net",result="ok",fault=""} 2`,
		`azfilesauth_refreshes_total{endpoint="b.file.core.windows.net",result="failed",fault="AZF-ROLE-MISSING"} 1`,
		`azfilesauth_refresh_duration_seconds_bucket{le="0.05"} 1`,
		`azfilesauth_refresh_duration_seconds_bucket{le="1"} 2`,
		`azfilesauth_refresh_duration_seconds_bucket{le="+Inf"} 3`,
		`azfilesauth_refresh_duration_seconds_count 3`,
		`azfilesauth_upcalls_total{result="answered"} 7`,
		`azfilesauth_upcalls_total{result="AZF-TIMEOUT"} 1`,
		`azfilesauth_upcall_duration_seconds_bucket{result="answered",le="0.005"} 7`,
		`azfilesauth_upcall_duration_seconds_bucket{result="AZF-TIMEOUT",le="2.5"} 0`,
		`azfilesauth_upcall_duration_seconds_bucket{result="AZF-TIMEOUT",le="5"} 1`,
		`azfilesauth_upcall_duration_seconds_sum{result="answered"} 0.035`,
		`azfilesauth_upcall_duration_seconds_count{result="AZF-TIMEOUT"} 1`,
	} {
		if n := strings.Count(got, "\n"+line+"\n"); n != 1 {
			t.Errorf("%d times %s", n, line)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestIdentitiesOfOneEndpointAreOneSeries(t *testing.T) {
	soon, late := time.Unix(1700000100, 0), time.Unix(1700000900, 0)
	for _, rows := range [][]control.Endpoint{
		{
			{Host: "a", Identity: "system", TicketEnd: late, NextRefresh: soon, Mounts: make([]control.Mount, 2)},
			{Host: "a", Identity: "user-assigned", TicketEnd: soon, NextRefresh: late, Mounts: make([]control.Mount, 1), Failures: 3, LastFault: &control.Fault{ID: "AZF-IDENTITY-UNKNOWN"}},
			{Host: "a", CRUID: 7, Identity: "arc"},
		},
		{
			{Host: "a", Identity: "arc", TicketEnd: soon, Failures: 3, Mounts: make([]control.Mount, 3), LastFault: &control.Fault{ID: "AZF-IDENTITY-UNKNOWN"}},
			{Host: "a", Identity: "system", TicketEnd: late, NextRefresh: soon, LastFault: &control.Fault{ID: "AZF-ROLE-MISSING"}},
			{Host: "a", CRUID: 7, LastFault: &control.Fault{ID: "AZF-ROLE-MISSING"}},
		},
	} {
		var b strings.Builder
		New().Write(&b, control.Status{Endpoints: rows}, nil)
		for _, line := range []string{
			`azfilesauth_ticket_expiry_timestamp_seconds{endpoint="a",uid="0"} 1700000100`,
			`azfilesauth_next_refresh_timestamp_seconds{endpoint="a",uid="0"} 1700000100`,
			`azfilesauth_mounts{endpoint="a",uid="0"} 3`,
			`azfilesauth_refresh_failures{endpoint="a",uid="0"} 3`,
			`azfilesauth_identity_unknown{endpoint="a",uid="0"} 1`,
			`azfilesauth_identity_unknown{endpoint="a",uid="7"} 0`,
			`azfilesauth_ticket_expiry_timestamp_seconds{endpoint="a",uid="7"} 0`,
		} {
			if strings.Count(b.String(), line+"\n") != 1 {
				t.Errorf("not once %s in\n%s", line, b.String())
			}
		}
	}
}

// TestPromtool asks Prometheus' own tool whether it can read and likes the text.
func TestPromtool(t *testing.T) {
	for name, s := range map[string]*Set{"new": New(), "counted": counted()} {
		cmd := exec.Command("promtool", "check", "metrics")
		cmd.Stdin = strings.NewReader(written(t, s, upcalls(7, 0)))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v (promtool is in Debian's package prometheus)\n%s", name, err, out)
		}
	}
}

// machine is one whose run directory is new and whose trusted user is the caller.
func machine(t *testing.T) host.Host {
	h := host.Real().Trusting(os.Geteuid())
	h.Run = t.TempDir()
	return h
}

func TestUpcalls(t *testing.T) {
	h := machine(t)
	dir := h.Run
	if got := Upcalls(h); len(got) != 0 {
		t.Errorf("nothing was counted, and there is %v", got)
	}
	const each = 50
	done := make(chan error)
	for range 8 {
		go func() {
			for range each {
				if err := CountUpcall(t.Context(), h, Answered, 20*time.Millisecond); err != nil {
					done <- err
					return
				}
			}
			done <- CountUpcall(t.Context(), h, "AZF-TIMEOUT", 4*time.Second)
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := Upcalls(h); got[Answered].Count != 8*each || got["AZF-TIMEOUT"].Count != 8 || len(got) != 2 ||
		got[Answered].took.within[2] != 8*each || got[Answered].took.sum != 8*each*20*time.Millisecond || got["AZF-TIMEOUT"].took.within[9] != 8 {
		t.Errorf("counted %v", got)
	}
	if info, err := os.Stat(filepath.Join(dir, counters)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
}

func TestUpcallsInOtherFiles(t *testing.T) {
	h := machine(t)
	path := filepath.Join(h.Run, counters)
	if err := os.WriteFile(path, []byte("answered 3\nAZF-X 1 2\nAZF-Y 1 2 3 4 5 6 7 8 9 10 11 12 13 -14\nanswered{x=\"\"} 4\nx\nanswered -1\n\nAZF-TIMEOUT 99999999999999999999\n"+strings.Repeat("x", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CountUpcall(t.Context(), h, Answered, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "answered 4 20000 0 0 1 0 0 0 0 0 0 0 0 0\n" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.Rename(path, path+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path+".real", path); err != nil {
		t.Fatal(err)
	}
	if err := CountUpcall(t.Context(), h, Answered, 20*time.Millisecond); err == nil {
		t.Error("a link was followed")
	}
	h.Run += "/none"
	if err := CountUpcall(t.Context(), h, Answered, 20*time.Millisecond); err == nil {
		t.Error("no error without a folder")
	}
}

const rules = "../../packaging/prometheus/azfilesauth.rules"

func TestAlertRules(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", rules + ".yml"}, {"test", "rules", rules + ".test.yml"}} {
		if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v (it is in Debian's package prometheus)\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestNamesOfMetrics: rules, dashboard and manual speak of metrics that the daemon exposes, by labels that they have, and
// the manual and the dashboard of all. A panel or a rule for another one would be empty for ever.
func TestNamesOfMetrics(t *testing.T) {
	s := New()
	s.Refreshed("a.file.core.windows.net", "AZF-TEST", time.Second)
	var exposed strings.Builder
	s.Write(&exposed, control.Status{Version: "2.0.0", Endpoints: []control.Endpoint{{Host: "a.file.core.windows.net"}}}, upcalls(1, 0))
	names, labels := map[string]bool{}, map[string]bool{"instance": true} // which Prometheus adds
	for line := range strings.Lines(exposed.String()) {
		name, rest, _ := strings.Cut(line, "{")
		if strings.HasPrefix(line, "#") {
			continue
		}
		names[strings.Fields(name)[0]] = true
		for _, m := range regexp.MustCompile(`([a-z]+)="`).FindAllStringSubmatch(rest, -1) {
			labels[m[1]] = true
		}
	}
	for _, file := range []string{rules + ".yml", dashboard, "../../docs/daemon.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`azfilesauth_[a-z_]+`).FindAllString(string(text), -1) {
			if !names[m] && !names[m+"_bucket"] {
				t.Errorf("%s speaks of %s, which the daemon does not expose", file, m)
			}
		}
		for _, m := range regexp.MustCompile(`(?:by \(|[{,])\s*([a-z]+)(?:\)|=~?\\?"|!=\\?")`).FindAllStringSubmatch(string(text), -1) {
			if !labels[m[1]] {
				t.Errorf("%s speaks of the label %s, which no metric has", file, m[1])
			}
		}
		if file == rules+".yml" {
			continue
		}
		for _, h := range help {
			if !strings.Contains(string(text), h.name) {
				t.Errorf("%s does not have %s", file, h.name)
			}
		}
	}
}

const dashboard = "../../packaging/prometheus/azfilesauth.dashboard.json"

// TestRunbooks: each alert links to its own chapter.
func TestRunbooks(t *testing.T) {
	text, err := os.ReadFile(rules + ".yml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(text), -1)
	if len(alerts) == 0 {
		t.Error("there are no alerts")
	}
	for _, m := range alerts {
		if !strings.Contains(string(text), "runbook_url: https://azfilesauth.github.io/azfilesauth/alerts/#"+strings.ToLower(m[1])+"\n") {
			t.Errorf("%s links to no runbook", m[1])
		}
		if !strings.Contains(string(page), "\n## "+m[1]+"\n") {
			t.Errorf("docs/alerts.md has no chapter %s", m[1])
		}
	}
}
