package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

func TestTimeLeft(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", time.Minute: "1m00s", 3599 * time.Second: "59m59s", time.Hour: "1h00m",
		47*time.Hour + 59*time.Minute: "47h59m", 48 * time.Hour: "2d00h", 77 * time.Hour: "3d05h",
		-time.Second: "1s ago", -25 * time.Hour: "25h00m ago",
	} {
		if got := timeLeft(start, start.Add(d)); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestColoured(t *testing.T) {
	for _, test := range []struct {
		terminal bool
		env      map[string]string
		want     bool
	}{
		{true, map[string]string{"TERM": "xterm"}, true},
		{false, map[string]string{"TERM": "xterm"}, false},
		{true, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		{true, map[string]string{"TERM": "dumb"}, false},
		{true, nil, false},
	} {
		if got := coloured(test.terminal, func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestVersionOf(t *testing.T) {
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "GOARCH", Value: "amd64"},
		{Key: "vcs.revision", Value: "0123456789abcdef"},
		{Key: "vcs.time", Value: "2026-11-23T12:00:00Z"},
		{Key: "vcs.modified", Value: "true"},
	}}
	v := versionOf("2.0.0", info)
	if v.Commit != "0123456789abcdef" || v.Date != "2026-11-23T12:00:00Z" || !v.Modified {
		t.Errorf("got %+v", v)
	}
	var b bytes.Buffer
	v.write(&b)
	if want := "azfilesauth 2.0.0 (commit 0123456789ab and changes, 2026-11-23T12:00:00Z, go"; !strings.HasPrefix(b.String(), want) {
		t.Errorf("got %q, want %q", &b, want)
	}
	b.Reset()
	versionOf("2.0.0", nil).write(&b)
	if got := b.String(); !strings.HasPrefix(got, "azfilesauth 2.0.0 (go") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
}

// A cache can hold what no program of ours put there.
func TestDescribeAStrangeTicket(t *testing.T) {
	ticket := tickets.Ticket{Credential: ccache.Credential{
		Server:   ccache.Principal{Realm: "R", Components: []string{"cifs", "a\x1b[2Jb"}},
		Key:      ccache.Key{Etype: 99},
		AuthTime: start.Add(-time.Hour),
	}}
	got := describe(ticket, start, "/cc")
	if got.State != stateExpired || got.ExpiresAt != nil || got.Identity != nil || got.ObtainedAt != nil ||
		*got.StartsAt != "2026-11-23T11:00:00Z" || got.Encryption != "etype 99" || got.Aliases == nil {
		t.Errorf("got %+v", got)
	}
	ticket.EndTime = start.Add(time.Hour)
	if got := describe(ticket, start, "/cc"); got.State != stateUnknown {
		t.Errorf("without a record: %+v", got)
	}
	s := session{App: &App{Host: host.Host{Now: func() time.Time { return start }}}}
	row := s.rows([]listed{describe(ticket, start, "/cc")})[1]
	if row[0] != "a?[2jb" || row[1] != "?" {
		t.Errorf("got %q", row)
	}
}

// Nor are the names that a cache's owner chose proposed to a shell: they name no endpoint.
func TestStrangeTicketsAreNotProposed(t *testing.T) {
	client := ccache.Principal{Realm: "R", Components: []string{ccache.AzureClient}}
	cache := &ccache.Cache{}
	for _, name := range []string{"acct.file.core.windows.net", "a.$(touch pwned)"} {
		cache.Put(ccache.Credential{
			Client: client, Server: ccache.Principal{Realm: "R", Components: []string{"cifs", name}}, EndTime: start, Ticket: secret.FromString("t"),
		}, ccache.Record{})
	}
	h := host.Real().Trusting(os.Geteuid())
	dir := t.TempDir()
	h.Config, h.Mounts = filepath.Join(dir, "config.yaml"), os.DevNull
	for name, text := range map[string]string{"cc": string(cache.Marshal()), "config.yaml": "KRB5_CC_NAME: " + dir + "/cc\nUSER_UID: 0\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := session{App: &App{Host: h}}
	if words, _ := s.fromConfig(s.endpoints); !slices.Equal(words, []string{"acct.file.core.windows.net"}) {
		t.Errorf("%q", words)
	}
}

func TestEncryption(t *testing.T) {
	names := map[string]bool{}
	for _, etype := range []uint16{17, 18, 19, 20, 23, 99} {
		names[encryption(etype)] = true
	}
	if len(names) != 6 {
		t.Errorf("got %v", names)
	}
}

// Whatever is typed as an endpoint, nothing of a URL but its host is repeated.
func FuzzEndpoint(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		e, err := mounts.Named(text, endpoint.Resolver{})
		if (err == nil) == e.IsZero() {
			t.Fatalf("%q: %v, %v", text, e, err)
		}
		if err != nil {
			return
		}
		again, err := mounts.Named(e.Host(), endpoint.Resolver{})
		if err != nil || again.Host() != e.Host() {
			t.Fatalf("%q: %v becomes %v, %v", text, e, again, err)
		}
		url, err := mounts.Named("https://"+e.Host()+"/", endpoint.Resolver{})
		if err != nil || !reflect.DeepEqual(url, again) {
			t.Fatalf("%q: %v becomes %v, %v", text, e, url, err)
		}
	})
}

// A terminal of 80 columns shows a table of 80 at most, with state, endpoint, mount point and time.
func TestStatusFits(t *testing.T) {
	long := control.Endpoint{
		Host: "averylongaccountname1234.privatelink.file.core.windows.net", CRUID: 65534, State: control.Failing, TicketEnd: start.Add(-100 * time.Hour),
		Identity: "user-assigned client_id=" + clientID, Mounts: []control.Mount{{Target: "/srv/a/very/long/way/to/the/place/where/the/share/is"}, {}},
	}
	short := control.Endpoint{Host: host1, State: control.Fresh, TicketEnd: start.Add(time.Hour), Identity: "system", Mounts: []control.Mount{{Target: "/mnt"}}}
	o := overview{Endpoints: []mountedEndpoint{{Endpoint: long}, {Endpoint: short}}}
	for _, width := range []int{0, 400, 132, 80, 60, 40} {
		s := session{App: &App{Host: host.Host{Now: func() time.Time { return start }}, Columns: func() int { return width }}}
		var b bytes.Buffer
		table(&b, s.overviewRows(o))
		for line := range strings.Lines(b.String()) {
			if width > 40 && len(strings.TrimRight(line, " \n")) > width {
				t.Errorf("%d: %d columns: %s", width, len(line), line)
			}
		}
		if text := b.String(); !strings.HasPrefix(text, "STATE ") || !strings.Contains(text, "\nfailing ") || !strings.Contains(text, "1h00m") ||
			strings.Contains(text, "IDENTITY") != (width == 0 || width > 300) {
			t.Errorf("%d:\n%s", width, text)
		}
	}
	o.Endpoints = o.Endpoints[1:]
	s := session{App: &App{Host: host.Host{Now: func() time.Time { return start }}, Columns: func() int { return 80 }}}
	if rows := s.overviewRows(o); len(rows[0]) < 5 {
		t.Errorf("a short one loses %q", rows)
	}
}
