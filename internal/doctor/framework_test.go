package doctor

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// fixed is a check with a fixed result.
func fixed(id ID, r Result, needs ...ID) Check {
	return Check{
		ID: id, Group: Machine, Title: "title of " + string(id), Severity: Fails, Offline: true, Needs: needs, Why: "because",
		Run: func(context.Context, *Subject) Result { return r },
	}
}

// subjectOf is a subject with endpoints under test.
func subjectOf(t testing.TB, hosts ...string) *Subject {
	t.Helper()
	s, err := New(Options{Host: machine(t.TempDir()), Version: "2.0.0"})
	must(t, err)
	for _, h := range hosts {
		e, err := s.Config.Resolver.Resolve(h)
		must(t, err)
		s.Targets = append(s.Targets, Target{Endpoint: e, From: []Origin{{Argument: true, Host: h}}})
	}
	return s
}

func TestNeeds(t *testing.T) {
	checks := []Check{
		fixed("e", Good("fine"), "d"),
		fixed("a", Broken("mend a", "a is broken")),
		fixed("b", Good("fine"), "a"),
		fixed("c", Warned("mend c", "c is odd")),
		fixed("d", Good("fine"), "b", "c"),
		fixed("f", Good("fine"), "c"),
	}
	r := Run(context.Background(), subjectOf(t), checks)
	var got []string
	for _, f := range r.Checks {
		got = append(got, string(f.ID)+" "+string(f.Status)+" "+strings.Join(f.Evidence, ";"))
	}
	want := []string{
		"e skipped because d was not checked", "a problem a is broken", "b skipped because of a", "c warning c is odd",
		"d skipped because b was not checked", "f ok fine",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if r.First == nil || r.First.ID != "a" || r.Exit != Failing || r.Problems != 1 || r.Warnings != 1 || r.Skipped != 3 {
		t.Errorf("got %+v", r)
	}
}

// What fails for one endpoint does not keep another from being looked at.
func TestNeedsOfAnEndpoint(t *testing.T) {
	const bad, good = "bad.file.core.windows.net", "good.file.core.windows.net"
	dns := fixed("dns", Result{})
	dns.PerEndpoint = true
	dns.Run = func(_ context.Context, s *Subject) Result {
		if s.Target.Endpoint.Host() == bad {
			return Broken("", "no address")
		}
		return Good("fine")
	}
	login := fixed("login", Good("fine"), "dns")
	login.PerEndpoint = true
	machine := fixed("machine", Good("fine"), "dns")
	r := Run(context.Background(), subjectOf(t, bad, good), []Check{dns, login, machine})
	var got []string
	for _, f := range r.Checks {
		got = append(got, string(f.ID)+" "+strings.TrimSuffix(f.Endpoint, ".file.core.windows.net")+" "+string(f.Status))
	}
	want := []string{"dns bad problem", "dns good ok", "login bad skipped", "login good ok", "machine  skipped"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestCaps(t *testing.T) {
	tests := []struct {
		severity  Severity
		delegates bool
		in, want  Status
	}{
		{Fails, false, Problem, Problem},
		{CIFSMode, false, Problem, Warning},
		{CIFSMode, true, Problem, Problem},
		{CIFSMode, false, Warning, Warning},
		{Latent, true, Problem, Warning},
		{Tells, true, Problem, Info},
		{Tells, true, Warning, Info},
		{Tells, true, Skipped, Skipped},
		{Latent, false, OK, OK},
	}
	for _, test := range tests {
		if got := (Check{Severity: test.severity}).capSeverity(Result{Status: test.in}, test.delegates); got.Status != test.want {
			t.Errorf("%+v: %s", test, got.Status)
		}
	}
}

func TestPanic(t *testing.T) {
	bad := fixed("bad", Result{})
	bad.Run = func(context.Context, *Subject) Result { panic("oh") }
	r := Run(context.Background(), subjectOf(t), []Check{bad, fixed("good", Good("fine"))})
	if r.Checks[0].Status != Skipped || !strings.Contains(r.Checks[0].Evidence[0], "oh") || r.Checks[1].Status != OK {
		t.Errorf("got %+v", r.Checks)
	}
}

// A check that hangs costs its own bound; one that ends by it speaks for itself.
func TestHang(t *testing.T) {
	s := subjectOf(t)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		deaf := fixed("deaf", Result{})
		deaf.Run = func(context.Context, *Subject) Result { <-release; return Good("too late") }
		heeds := fixed("heeds", Result{})
		heeds.Timeout = time.Second
		heeds.Run = func(ctx context.Context, _ *Subject) Result { <-ctx.Done(); return Broken("x", "the server hangs") }
		began := time.Now()
		r := Run(context.Background(), s, []Check{deaf, heeds, fixed("good", Good("fine"))})
		if took := time.Since(began); took > 2*DefaultTimeout {
			t.Errorf("it took %s", took)
		}
		if r.Checks[0].Status != Skipped || r.Checks[0].Evidence[0] != "there was no result within 5s" || r.Checks[1].Status != Problem || r.Checks[2].Status != OK {
			t.Errorf("got %+v", r.Checks)
		}
	})
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	first := fixed("first", Result{})
	first.Run = func(ctx context.Context, _ *Subject) Result { cancel(); <-ctx.Done(); return NotChecked("interrupted") }
	r := Run(ctx, subjectOf(t), []Check{first, fixed("second", Good("fine"), "first")})
	if got := ids(r, Skipped); len(got) != 2 {
		t.Errorf("got %+v", r.Checks)
	}
}

// What needs this machine is left out with another root and offline.
func TestLive(t *testing.T) {
	live := fixed("live", Good("asked"))
	live.Offline = false
	for _, o := range []Options{{Host: machine(t.TempDir())}, {Host: machine(t.TempDir()), asLive: true, Offline: true}} {
		s, err := New(o)
		must(t, err)
		if r := Run(context.Background(), s, []Check{live}); r.Checks[0].Status != Skipped || r.Live {
			t.Errorf("%+v: %+v", o, r.Checks)
		}
	}
	if !slices.ContainsFunc(All(), func(c Check) bool { return c.Offline }) {
		t.Error("no check is offline")
	}
}

// Every check says what it is, and what it needs comes before it in the chain.
func TestAllChecks(t *testing.T) {
	seen := map[ID]bool{}
	group := 0
	for _, c := range All() {
		if g := slices.Index(groups(), c.Group); g < group {
			t.Errorf("%s: its group is not in order", c.ID)
		} else {
			group = g
		}
		if seen[c.ID] || c.ID == "" || c.Title == "" || c.Run == nil || strings.Trim(string(c.ID), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%q is not complete, or there twice", c.ID)
		}
		for _, text := range []string{c.Proves, c.Why, c.Fix} {
			if !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q is not a sentence", c.ID, text)
			}
		}
		if !slices.Contains([]Severity{Fails, CIFSMode, Latent, Tells}, c.Severity) {
			t.Errorf("%s: severity %q", c.ID, c.Severity)
		}
		for _, need := range c.Needs {
			if !seen[need] {
				t.Errorf("%s needs %s, which does not come before it", c.ID, need)
			}
		}
		seen[c.ID] = true
	}
}

func TestFailed(t *testing.T) {
	f := fault.DNSFailed.New("acct").Because(errors.New("no such host"))
	r := Failed(f)
	if r.Status != Problem || r.Fault != fault.DNSFailed.ID || r.Fix != f.Fix() || len(r.Evidence) != 2 || r.Evidence[1] != "no such host" {
		t.Errorf("got %+v", r)
	}
}

func TestParseRecord(t *testing.T) {
	got := parseRecord("6,1234,7200000001,-;CIFS: VFS: text; more\n SUBSYSTEM=x\n")
	if got != (LogLine{7200000001 * time.Microsecond, "CIFS: VFS: text; more"}) {
		t.Errorf("got %+v", got)
	}
	if got := parseRecord("garbage"); got != (LogLine{}) {
		t.Errorf("got %+v", got)
	}
}

// The real kernel answers in the form that is expected.
func TestRealKernel(t *testing.T) {
	if err := (kernel{}).AddKey("user", "azfilesauth-test"); err != nil {
		t.Errorf("adding a key: %v", err)
	}
	if d, err := (kernel{}).Describe(0x7ffffff0); err == nil {
		t.Errorf("a key that there is not: %v", d)
	}
	if lines, err := (kernel{}).Log(); err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

// groups are the links of the chain in their order.
func groups() []Group {
	return []Group{Configuration, Identity, Network, Exchange, Cache, Machine, Upcall, Kerberos, Surroundings}
}
