package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// The text ends with the first broken link and its fix, and nothing drives the terminal.
func TestText(t *testing.T) {
	checks := []Check{
		fixed("late", Warned("mend late", "odd")),
		fixed("worse", Broken("rm '\x1b[31mx'", "line\none\x1b[2J").And("more").By("folders")),
		fixed("fine", Good("fine")),
	}
	checks[0].Severity = Latent
	s := subjectOf(t)
	r := Run(context.Background(), s, checks)
	text := show(r)
	if strings.ContainsAny(text, "\x1b") || !strings.Contains(text, "line one") {
		t.Errorf("got %q", text)
	}
	last := lastLine(text)
	if last != "A mount would fail now: worse: line one?[2J; fix: rm '?[31mx'" {
		t.Errorf("last line %q", last)
	}
	if !strings.Contains(text, "doctor --fix") || !slices.Equal(r.Actions(), []string{"folders"}) {
		t.Errorf("actions %v in\n%s", r.Actions(), text)
	}
	if got := lastLine(show(Run(context.Background(), s, checks[:1]))); got != "It works, but: late: odd; fix: mend late" {
		t.Errorf("last line %q", got)
	}
	many := []Check{fixed("late", Warned("", "odd")), fixed("dns", Broken("fix dns", "no name")), fixed("links", Broken("setup", "missing")), fixed("handler", Broken("setup", "missing"))}
	if got := lastLine(show(Run(context.Background(), s, many))); got != "A mount would fail now: links: missing; fix: setup; and 2 more: dns, handler" {
		t.Errorf("last line %q", got)
	}
	two := worst(Warned("add _netdev", "one"), Warned("mkdir -p /mnt/x", "two"), Warned("add _netdev", "three"), Broken("", "four"), Good("five"))
	if got := worst(Warned("add _netdev", "one"), Warned("mkdir -p /mnt/x", "two"), Warned("add _netdev", "three")).Fix; got != "add _netdev; mkdir -p /mnt/x" || two.Fix != "" {
		t.Errorf("fix of two findings: %q; %+v", got, two)
	}
	s.EUID = 1000
	got := lastLine(show(Run(context.Background(), s, []Check{fixed("x", NotChecked("root only"))})))
	if !strings.Contains(got, "1 checks were not made; as root more can be seen") {
		t.Errorf("last line %q", got)
	}
	var b bytes.Buffer
	r.Write(&b, func(st Status, text string) string { return "<" + string(st) + ">" + text })
	if !strings.Contains(b.String(), "<problem>A mount would fail now: ") || !strings.Contains(b.String(), "  <ok>ok     ") {
		t.Errorf("colours: %s", &b)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return lines[len(lines)-1]
}

// The JSON form is promised: a change here is a key that joins.
func TestSchema(t *testing.T) {
	check := fixed("dns", Failed(fault.DNSFailed.New("acct")).By("folders"))
	check.PerEndpoint = true
	s := subjectOf(t, "acct.file.core.windows.net")
	s.Root = "/image"
	r := Run(context.Background(), s, []Check{check})
	got, err := json.Marshal(r)
	must(t, err)
	finding := `{"id":"dns","group":"machine","title":"title of dns","endpoint":"acct.file.core.windows.net","severity":"fails","status":"problem",` +
		`"evidence":["` + r.First.Evidence[0] + `"],"why":"because","fix":` + quoted(t, r.First.Fix) + `,"action":"folders","fault":"AZF-DNS-FAILED"}`
	want := `{"version":"2.0.0","milliseconds":0,"root":"/image","live":false,"euid":0,"upcall_mode":"native",` +
		`"endpoints":["acct.file.core.windows.net"],"exit":2,"problems":1,"skipped":0,"first":` + finding + `,"checks":[` + finding + `]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func quoted(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	must(t, err)
	return string(b)
}
