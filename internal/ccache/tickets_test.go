package ccache_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const (
	private = "acct.privatelink.file.core.windows.net"
	other   = "other.file.core.windows.net"
)

// labels lists every service ticket's server with the number that ticket() gave it.
func labels(c *ccache.Cache) []string {
	var list []string
	for _, cred := range c.Credentials {
		if cred.Server.Realm != "X-CACHECONF:" {
			der := cred.Ticket.Reveal()
			list = append(list, fmt.Sprintf("%s %d", cred.Server, der[len(der)-1]))
		}
	}
	return list
}

func wantLabels(t *testing.T, c *ccache.Cache, want ...string) {
	t.Helper()
	if got := labels(c); !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func withAliases(aliases ...string) ccache.Record {
	r := record
	r.Aliases = aliases
	return r
}

func TestPutIntoAnEmptyCache(t *testing.T) {
	var c ccache.Cache
	cred := ticket(host, realm, 1)
	c.Put(cred, withAliases(private))
	back := parse(t, c.Marshal())
	if !back.Principal.Equal(cred.Client) {
		t.Errorf("the default principal is %s", back.Principal)
	}
	wantLabels(t, back, spn+"@"+realm+" 1", "cifs/"+private+"@"+realm+" 1")
	got, ok := back.Ticket(spn)
	if !ok || !got.Ticket.Equal(cred.Ticket) || !got.Key.Value.Equal(cred.Key.Value) || got.Flags != cred.Flags {
		t.Errorf("the ticket did not come back: %+v", got)
	}
	if _, ok := back.Ticket("cifs/" + private); !ok {
		t.Error("the alias is not found")
	}
	if _, ok := back.Ticket("cifs/" + other); ok {
		t.Error("a ticket that was never put is found")
	}
	if got := hosts(back.Tickets()); !slices.Equal(got, []string{host + "@" + realm}) {
		t.Errorf("Tickets: %v", got)
	}
	rec, ok := back.Record(spn)
	if !ok || rec.Identity != "system" || !rec.ObtainedAt.Equal(issuedAt) || !rec.Refreshable || !slices.Equal(rec.Aliases, []string{private}) {
		t.Errorf("Record: %+v, %v", rec, ok)
	}
	if _, ok := back.Record("cifs/" + private); ok {
		t.Error("the alias has a record of its own")
	}
}

// The entry must be where krb5_cc_get_config looks for it.
func TestRecordIsAConfigurationEntry(t *testing.T) {
	var c ccache.Cache
	c.Put(ticket(host, realm, 1), record)
	conf := c.Credentials[len(c.Credentials)-1]
	want := "krb5_ccache_conf_data/azfilesauth/cifs\\/" + host + "\\@" + realm + "@X-CACHECONF:"
	if got := conf.Server.String(); got != want || !conf.Client.Equal(c.Principal) || !conf.EndTime.IsZero() || !conf.AuthTime.IsZero() {
		t.Errorf("got %s of %s, ends %v; want %s", got, conf.Client, conf.EndTime, want)
	}
	if got, want := conf.Ticket.RevealString(), "v1;obtained=2026-11-23T15:48:24Z;refreshable=yes;identity=system"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPutReplaces(t *testing.T) {
	var c ccache.Cache
	c.Put(ticket(host, realm, 1), withAliases(private))
	c.Put(ticket(other, realm, 2), record)
	rec := record
	rec.Identity, rec.Refreshable = "token token_file=/etc/a;b c", false
	c.Put(ticket(host, realm, 3), rec)
	wantLabels(t, &c, spn+"@"+realm+" 3", "cifs/"+private+"@"+realm+" 3", "cifs/"+other+"@"+realm+" 2")
	if got, ok := c.Record(spn); !ok || got.Identity != rec.Identity || got.Refreshable || !slices.Equal(got.Aliases, []string{private}) {
		t.Errorf("Record: %+v, %v", got, ok)
	}
	if _, ok := c.Record("cifs/" + other); !ok {
		t.Error("the other endpoint lost its record")
	}
	if len(c.Credentials) != 5 {
		t.Errorf("%d entries, want 5", len(c.Credentials))
	}
}

func TestPutFollowsARealm(t *testing.T) {
	var c ccache.Cache
	c.Put(ticket(host, "OLD", 1), withAliases(private))
	c.Put(ticket(host, realm, 2), record)
	wantLabels(t, &c, spn+"@"+realm+" 2", "cifs/"+private+"@"+realm+" 2")
	if _, ok := c.Record(spn); !ok || len(c.Credentials) != 3 {
		t.Errorf("%d entries, want 3", len(c.Credentials))
	}
}

// Without a mapping in krb5.conf libkrb5 looks in the client's realm.
func TestLabelInTheClientsRealm(t *testing.T) {
	var c ccache.Cache
	for n := range uint64(2) {
		c.Put(of(ticket(host, realm, n), "client", "TENANT"), withAliases(private))
	}
	wantLabels(t, &c, spn+"@"+realm+" 1", spn+"@TENANT 1", "cifs/"+private+"@"+realm+" 1", "cifs/"+private+"@TENANT 1")
	if got := hosts(c.Tickets()); !slices.Equal(got, []string{host + "@" + realm}) {
		t.Errorf("Tickets: %v", got)
	}
	if rec, _ := c.Record(spn); !slices.Equal(rec.Aliases, []string{private}) {
		t.Errorf("aliases %v", rec.Aliases)
	}
	if !c.Remove(spn) || len(c.Credentials) != 0 {
		t.Errorf("Remove leaves %v", labels(&c))
	}
}

// Other tools store tickets under what the user typed.
func TestOldLabelsInUpperCase(t *testing.T) {
	c := parse(t, vector(t, "ccupper"))
	if _, ok := c.Ticket(spn); !ok || len(c.Tickets()) != 1 {
		t.Error("CIFS/... is not found")
	}
	c.Put(ticket("ACCT.file.core.windows.net", realm, 1), withAliases("ACCT.privatelink.file.core.windows.net"))
	wantLabels(t, c, spn+"@"+realm+" 1", "cifs/"+private+"@"+realm+" 1")
}

func TestMITAliasesAreHidden(t *testing.T) {
	for _, name := range []string{"ccalias", "ccempty"} {
		if got := hosts(parse(t, vector(t, name)).Tickets()); !slices.Equal(got, []string{host + "@" + realm}) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := hosts(parse(t, vector(t, "full")).Tickets()); !slices.Equal(got, []string{host + "@" + realm}) {
		t.Errorf("a ticket-granting ticket or a configuration entry is listed: %v", got)
	}
}

// No two real tickets are alike, but a host with a record is an endpoint whatever its ticket.
func TestHostWithARecordIsNoAlias(t *testing.T) {
	cred := ticket(host, realm, 1)
	var c ccache.Cache
	c.Put(cred, record)
	cred.Server.Components = []string{"cifs", other}
	c.Put(cred, record)
	if got := hosts(c.Tickets()); len(got) != 2 {
		t.Errorf("Tickets: %v", got)
	}
	if c.Remove(spn); len(c.Credentials) != 2 {
		t.Error("Remove took the other endpoint's ticket")
	}
}

func TestAliasBecomesAnEndpoint(t *testing.T) {
	var c ccache.Cache
	c.Put(ticket(host, realm, 1), withAliases(private))
	c.Put(ticket(private, realm, 2), record)
	wantLabels(t, &c, spn+"@"+realm+" 1", "cifs/"+private+"@"+realm+" 2")
	if rec, _ := c.Record(spn); len(rec.Aliases) != 0 {
		t.Errorf("still an alias: %v", rec.Aliases)
	}
	c.Put(ticket(host, realm, 3), record)
	wantLabels(t, &c, spn+"@"+realm+" 3", "cifs/"+private+"@"+realm+" 2")
	c.Put(ticket(host, realm, 4), withAliases(private))
	wantLabels(t, &c, spn+"@"+realm+" 4", "cifs/"+private+"@"+realm+" 4")
	if _, ok := c.Record("cifs/" + private); ok {
		t.Error("an alias kept the record of the endpoint that it was")
	}
}

func TestTicketPicksAsLibkrb5Does(t *testing.T) {
	c := &ccache.Cache{}
	c.Put(ticket(other, realm, 0), record)
	longest := ticket(host, "B", 2)
	stranger := of(ticket(host, "C", 3), "mallory", "EVIL")
	user := ticket(host, "D", 4)
	user.IsSKey = true
	c.Credentials = append(c.Credentials, ticket(host, "A", 1), longest, ticket(host, "A", 2), stranger, user)
	if got, ok := c.Ticket("CIFS/" + strings.ToUpper(host)); !ok || got.Server.Realm != "B" {
		t.Errorf("got %v, %v", got.Server, ok)
	}
	if got := hosts(c.Tickets()); !slices.Equal(got, []string{other + "@" + realm, host + "@B"}) {
		t.Errorf("Tickets: %v", got)
	}
	for _, spn := range []string{"", "host/" + host, "cifs", "cifs/"} {
		if _, ok := c.Ticket(spn); ok || c.Remove(spn) {
			t.Errorf("%q names a ticket", spn)
		}
	}
}

func TestAnotherClientsCacheStaysAsItIs(t *testing.T) {
	for _, name := range []string{"full", "svconly"} { // even if it holds nothing but the same service's ticket
		c := parse(t, vector(t, name))
		c.Put(of(ticket(host, realm, 1), "AzureFileClient", realm), record)
		if !bytes.Equal(c.Marshal(), vector(t, name)) {
			t.Errorf("%s: the cache of alice was changed", name)
		}
	}
}

func TestClientChangesItsRealm(t *testing.T) {
	var c ccache.Cache
	c.Put(of(ticket(host, "OLD", 1), "AzureFileClient", "OLD"), record)
	c.Credentials = append(c.Credentials, parse(t, vector(t, "full")).Credentials[0]) // an entry of libkrb5's about the old client
	c.Put(of(ticket(host, "NEW", 2), "AzureFileClient", "NEW"), record)
	if c.Principal.Realm != "NEW" || len(c.Credentials) != 2 {
		t.Errorf("client %s, %v", c.Principal, labels(&c))
	}
	c.Put(of(ticket(other, "NEW", 3), "AzureFileClient", "NEW"), record)
	before := c.Marshal()
	c.Put(of(ticket(host, "OTHER", 4), "AzureFileClient", "OTHER"), record)
	if !bytes.Equal(c.Marshal(), before) {
		t.Error("another endpoint's ticket was lost or hidden")
	}
}

// TestProxyOfARecord: what older records do not have is optional, and what newer ones have is passed over.
func TestProxyOfARecord(t *testing.T) {
	const begin = "v1;obtained=2026-11-23T15:48:24Z;refreshable=yes;"
	for text, want := range map[string]ccache.Record{
		begin + "identity=system":                                            {Identity: "system"},
		begin + "identity=system;proxy=http://p:1":                           {Identity: "system;proxy=http://p:1"},
		begin + "proxy=http://p:1;identity=system":                           {Identity: "system", Proxy: "http://p:1"},
		begin + "later=x;noproxy=a,b;proxy=http://p:1;more;;identity=system": {Identity: "system", Proxy: "http://p:1", NoProxy: "a,b"},
	} {
		var c ccache.Cache
		c.Put(ticket(host, realm, 1), record)
		c.Credentials[len(c.Credentials)-1].Ticket = secret.FromString(text)
		rec, ok := parse(t, c.Marshal()).Record(spn)
		if !ok || rec.Identity != want.Identity || rec.Proxy != want.Proxy || rec.NoProxy != want.NoProxy || !rec.Refreshable {
			t.Errorf("%s: %+v, %v", text, rec, ok)
		}
	}
	for _, rec := range []ccache.Record{
		{Identity: "system", Proxy: "http://p:3128", NoProxy: ".a,b:443,10.0.0.0/8"},
		{Identity: "system", Proxy: "http://p:3128"},
	} {
		var c ccache.Cache
		c.Put(ticket(host, realm, 2), rec)
		if got, ok := parse(t, c.Marshal()).Record(spn); !ok || got.Proxy != rec.Proxy || got.NoProxy != rec.NoProxy || got.Identity != "system" {
			t.Errorf("%+v: %+v, %v", rec, got, ok)
		}
	}
	// What cannot be written costs nobody the record.
	for _, rec := range []ccache.Record{
		{Identity: "system", Proxy: "http://p;identity=other"}, {Identity: "system", Proxy: "http://p\n"}, {Identity: "system", NoProxy: strings.Repeat("a,", 8<<10)},
	} {
		var c ccache.Cache
		c.Put(ticket(host, realm, 2), rec)
		if got, ok := parse(t, c.Marshal()).Record(spn); !ok || got.Proxy+got.NoProxy != "" || got.Identity != "system" {
			t.Errorf("%+v, %v", got, ok)
		}
	}
}

func TestUnreadableRecordsAreAbsent(t *testing.T) {
	const good = "v1;obtained=2026-11-23T15:48:24Z;refreshable=no;identity=user-assigned client_id=1"
	for text, want := range map[string]bool{
		good: true,
		"v1;obtained=2026-11-23T15:48:24Z;refreshable=yes;identity=x": true,
		"":                                    false,
		"v2" + strings.TrimPrefix(good, "v1"): false,
		"v1;obtained=2026-11-23T15:48:24Z;refreshable=no":                            false,
		"v1;obtained=2026-11-23T15:48:24Z;refreshable=no;identity=":                  false,
		"v1;obtained=yesterday;refreshable=no;identity=system":                       false,
		"v1;obtained=2026-11-23T15:48:24Z;refreshable=1;identity=x":                  false,
		"v1;refreshable=no;obtained=2026-11-23T15:48:24Z;identity=x":                 true, // the fields have names
		"v1;obtained=2026-11-23T15:48:24Z;refreshable=no;later=1;identity=x":         true, // of a later version
		"v1;obtained=2026-11-23T15:48:24Z;refreshable=no;later=1;later=2;identity=x": false,
		"v1;obtained=2026-11-23T15:48:24Z;refreshable=no;files=/a\x1b[2J;identity=x": false,
		good + "\n":                        false,
		good + "\x1b[2J":                   false,
		good + "\xff":                      false,
		good + strings.Repeat("x", 16<<10): false,
		"\x00\x01\x02":                     false,
	} {
		var c ccache.Cache
		c.Put(ticket(host, realm, 1), record)
		c.Credentials[len(c.Credentials)-1].Ticket = secret.FromString(text)
		rec, ok := parse(t, c.Marshal()).Record(spn)
		if ok != want || ok == (rec.Identity == "") {
			t.Errorf("%q: %+v, %v", text, rec, ok)
		}
		c.Put(ticket(host, realm, 2), record)
		if _, ok := c.Record(spn); !ok || len(c.Credentials) != 2 {
			t.Errorf("%q is not replaced by a good record", text)
		}
	}
}

func TestRecordsThatCouldNotBeReadAreNotWritten(t *testing.T) {
	for _, identity := range []string{"", "two\nlines", "\x00", strings.Repeat("x", 16<<10)} {
		var c ccache.Cache
		c.Put(ticket(host, realm, 1), record)
		c.Put(ticket(host, realm, 2), ccache.Record{Identity: identity})
		if _, ok := c.Record(spn); ok || len(c.Credentials) != 1 {
			t.Errorf("%.20q: %d entries", identity, len(c.Credentials))
		}
	}
}

func TestRemove(t *testing.T) {
	var c ccache.Cache
	c.Put(ticket(host, realm, 1), withAliases(private))
	c.Put(ticket(other, realm, 2), record)
	if !c.Remove("cifs/"+private) || c.Remove("cifs/"+private) {
		t.Error("Remove of an alias")
	}
	wantLabels(t, &c, spn+"@"+realm+" 1", "cifs/"+other+"@"+realm+" 2")
	c.Put(ticket(host, realm, 1), withAliases(private))
	if !c.Remove(spn) || c.Remove(spn) {
		t.Error("Remove says the wrong thing")
	}
	wantLabels(t, &c, "cifs/"+other+"@"+realm+" 2")
	if _, ok := c.Record(spn); ok || len(c.Credentials) != 2 {
		t.Error("the record stays")
	}
}

func TestDropExpired(t *testing.T) {
	fresh := func() *ccache.Cache {
		c := parse(t, vector(t, "full")) // alice's own tickets, the vectors' client
		c.Put(ticket("a.test", realm, 10), withAliases("a.alias"))
		c.Put(ticket("b.test", realm, 20), record)
		c.Put(ticket("c.test", realm, 30), record)
		c.Put(ticket("gone.test", realm, 40), record)
		c.Credentials = slices.DeleteFunc(c.Credentials, func(cred ccache.Credential) bool {
			return cred.Server.String() == "cifs/gone.test@"+realm
		})
		return c
	}
	end := issuedAt.Add(10 * time.Hour)
	for _, test := range []struct {
		name string
		now  time.Time
		keep []string
		want []string
	}{
		{"early", end.Add(-time.Second), nil, []string{host, "a.test", "b.test", "c.test"}},
		{"a ticket has ended at its end", end.Add(10 * time.Second), nil, []string{"b.test", "c.test"}},
		{"mounted", end.Add(time.Hour), []string{"cifs/a.test", "cifs/gone.test"}, []string{"a.test"}},
		{"all", end.Add(time.Hour), nil, nil},
	} {
		c := fresh()
		c.DropExpired(test.now, func(spn string) bool { return slices.Contains(test.keep, spn) })
		var got []string
		for _, h := range hosts(c.Tickets()) {
			got = append(got, strings.TrimSuffix(h, "@"+realm))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v stay, want %v", test.name, got, test.want)
		}
		if _, ok := c.Record("cifs/gone.test"); ok != slices.Contains(test.keep, "cifs/gone.test") {
			t.Errorf("%s: the record of a lost ticket: %v", test.name, ok)
		}
		if _, ok := c.Ticket("cifs/a.alias"); ok != slices.Contains(test.want, "a.test") {
			t.Errorf("%s: the alias: %v", test.name, ok)
		}
		if !slices.ContainsFunc(c.Credentials, func(cred ccache.Credential) bool { return cred.Server.Components[0] == "krbtgt" }) {
			t.Errorf("%s: the ticket-granting ticket is gone", test.name)
		}
	}
	c := fresh()
	c.DropExpired(end.Add(time.Hour), nil)
	if len(c.Tickets()) != 0 {
		t.Error("a nil keep keeps")
	}
}

func TestCacheDoesNotGrow(t *testing.T) {
	var c ccache.Cache
	c.Put(ticket(other, realm, 1), record)
	var size int
	for n := range uint64(1000) {
		c.Put(of(ticket(host, []string{realm, "B"}[n%2], n), "alice", realm), withAliases(private, strings.ToUpper(private)))
		data := c.Marshal()
		if n == 1 {
			size = len(data)
		} else if n > 1 && n%2 == 1 && len(data) != size {
			t.Fatalf("%d bytes after %d tickets, %d after 2", len(data), n+1, size)
		}
		c = *parse(t, data)
	}
}

func TestRecordsAgreeWithRecord(t *testing.T) {
	var c ccache.Cache
	for n, host := range []string{"a", "b", "c"} {
		rec := withAliases(host+".other", host+".another")
		rec.Identity = "identity of " + host
		c.Put(ticket(host, "R", uint64(n)), rec)
	}
	all := c.Records()
	if len(all) != 3 {
		t.Fatalf("%d records", len(all))
	}
	for spn, got := range all {
		if want, ok := c.Record(spn); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", spn, got, want)
		}
	}
}
