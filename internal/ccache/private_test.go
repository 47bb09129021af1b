package ccache_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

const label = "azfiles-system-0123456789ab"

func named(identity string) ccache.Record {
	return ccache.Record{Identity: identity, ObtainedAt: record.ObtainedAt, Refreshable: true}
}

// two is a cache with tickets of two identities at one account.
func two(cred func(n uint64) ccache.Credential) *ccache.Cache {
	c := new(ccache.Cache)
	c.Put(cred(1), named("system"))
	c.SetAside(host, label)
	c.Put(cred(2), named("cli"))
	return c
}

func TestFurtherIdentities(t *testing.T) {
	c := parse(t, two(func(n uint64) ccache.Credential { return ticket(host, realm, n) }).Marshal())
	further := ccache.Private(host, label)
	if one, ok := c.Ticket(spn); !ok || !one.Ticket.Equal(ticket(host, realm, 2).Ticket) {
		t.Errorf("the last one set: %v", ok)
	}
	if one, ok := c.Ticket(further); !ok || !one.Ticket.Equal(ticket(host, realm, 1).Ticket) {
		t.Errorf("the other one: %v", ok)
	}
	for name, want := range map[string]string{spn: "cli", further: "system"} {
		rec, ok := c.Record(name)
		if !ok || rec.Identity != want || len(rec.Aliases) > 0 || c.Records()[name].Identity != want {
			t.Errorf("%s: %+v, %v", name, rec, ok)
		}
	}
	if got := c.Tickets(); len(got) != 1 || len(c.AllTickets()) != 2 {
		t.Errorf("%d tickets, %d in all", len(got), len(c.AllTickets()))
	}
	c.RemovePrivate(host, label)
	if _, ok := c.Record(further); ok || len(c.AllTickets()) != 1 {
		t.Error("it is still there")
	}
}

func TestAnotherIdentityKeepsTheAliases(t *testing.T) {
	var c ccache.Cache
	c.Put(ticket(host, realm, 1), withAliases(private))
	c.SetAside(host, label)
	c.Put(ticket(host, realm, 2), named("cli"))
	if rec, _ := c.Record(spn); !slices.Equal(rec.Aliases, []string{private}) {
		t.Errorf("aliases: %v", rec.Aliases)
	}
	if one, ok := c.Ticket("cifs/" + private); !ok || !one.Ticket.Equal(ticket(host, realm, 2).Ticket) {
		t.Error("the alias has another identity's ticket")
	}
	if rec, _ := c.Record(ccache.Private(host, label)); len(rec.Aliases) > 0 {
		t.Errorf("aliases of the other one: %v", rec.Aliases)
	}
}

func TestFurtherIdentitiesComeAndGo(t *testing.T) {
	fresh := func() *ccache.Cache {
		c := two(func(n uint64) ccache.Credential { return ticket(host, realm, n) })
		c.Put(ticket(other, realm, 3), named("system"))
		return c
	}
	c := fresh()
	if !c.Remove(spn) || len(c.AllTickets()) != 1 || len(c.Records()) != 1 {
		t.Errorf("Remove of the account leaves %d", len(c.AllTickets()))
	}
	c = fresh()
	if c.RemoveAll(); len(c.Credentials) != 0 {
		t.Errorf("RemoveAll leaves %d entries", len(c.Credentials))
	}
	c = fresh()
	c.DropExpired(ticket(host, realm, 9).EndTime.Add(time.Hour), func(name string) bool { return name == ccache.Private(host, label) })
	if _, ok := c.Ticket(ccache.Private(host, label)); !ok || len(c.AllTickets()) != 1 {
		t.Error("DropExpired does not keep what it is told to")
	}
}

func TestFurtherIdentitiesAreBounded(t *testing.T) {
	const most = 16
	var c ccache.Cache
	c.Put(ticket(host, realm, 0), named("system"))
	for n := uint64(1); n <= 100; n++ {
		c.PutPrivate(fmt.Sprintf("user%d", n), ticket(host, realm, n), named("cli"))
	}
	if got := c.AllTickets(); len(got) != 1+most || len(c.Records()) != 1+most {
		t.Errorf("%d tickets", len(got))
	}
	if _, ok := c.Ticket(ccache.Private(host, "user100")); !ok {
		t.Error("the last one is gone")
	}
	if _, ok := c.Ticket(ccache.Private(host, "user1")); ok {
		t.Error("what ends first stays")
	}
	for n := range uint64(600) {
		account := fmt.Sprintf("acct%d.file.core.windows.net", n)
		c.PutPrivate("user", ticket(account, realm, n), named("cli"))
	}
	if n := len(c.AllTickets()); n > 1+512 {
		t.Errorf("%d tickets in all", n)
	}
}

func TestNote(t *testing.T) {
	var c ccache.Cache
	c.Note(spn, named("system"))
	back := parse(t, c.Marshal())
	if rec, ok := back.Record(spn); !ok || rec.Identity != "system" || len(back.AllTickets()) != 0 {
		t.Errorf("%+v, %v", rec, ok)
	}
	back.Put(ticket(host, realm, 1), named("cli"))
	if _, ok := back.Ticket(spn); !ok || len(back.Credentials) != 2 {
		t.Errorf("the first ticket, of another client, is not taken: %d entries", len(back.Credentials))
	}
	back.Note(spn, named("arc"))
	if rec, _ := back.Record(spn); rec.Identity != "arc" || len(back.AllTickets()) != 1 {
		t.Errorf("beside a ticket: %+v", rec)
	}
}

func TestRecordOfFilesAndPrincipal(t *testing.T) {
	rec := named("workload client_id=1 token_file=/new;x")
	rec.Files = []string{"/a,b", "/c;d", "/e%2Cf", "/plain"}
	rec.Principal = ccache.Claimed{Tenant: "t", Object: "o", App: "a"}
	var c ccache.Cache
	c.Put(ticket(host, realm, 1), rec)
	got, ok := parse(t, c.Marshal()).Record(spn)
	if !ok || !slices.Equal(got.Files, rec.Files) || got.Principal != rec.Principal || got.Identity != rec.Identity {
		t.Errorf("%+v", got)
	}
	rec.Files = slices.Repeat([]string{"/" + strings.Repeat("x", 1000)}, 100)
	rec.Files[0] = "/newest"
	c.Put(ticket(host, realm, 1), rec)
	if got, ok = c.Record(spn); !ok || got.Files[0] != "/newest" || len(got.Files) < 10 {
		t.Errorf("too many files: %d, %v", len(got.Files), ok)
	}
	rec.Principal.App = "a;identity=system"
	c.Put(ticket(host, realm, 1), rec)
	if got, ok = c.Record(spn); ok && got.Identity != rec.Identity {
		t.Errorf("a claim has become an identity: %+v", got)
	}
}

// TestStockReadersSeeTheLastOneSet has MIT's tools look for the account's ticket.
func TestStockReadersSeeTheLastOneSet(t *testing.T) {
	path := filepath.Join(folder(t), "cc")
	s := open(t, path)
	must(t, s.Update(t.Context(), func(c *ccache.Cache) error {
		*c = *two(func(n uint64) ccache.Credential { return lasting(host, realm, n) })
		return nil
	}))
	if out, ok := found(t, path, host); !ok {
		t.Fatalf("kvno: %s", out)
	}
	out, err := mit(t, "klist", "-c", "FILE:"+path)
	if err != nil || strings.Count(out, "  cifs/"+host) != 1 || !strings.Contains(out, ccache.Private(host, label)+"@"+realm) {
		t.Errorf("klist: %v\n%s", err, out)
	}
	must(t, s.Update(t.Context(), func(c *ccache.Cache) error {
		c.Credentials = slices.DeleteFunc(c.Credentials, func(cred ccache.Credential) bool { return cred.Server.Components[0] == "cifs" })
		return nil
	}))
	if out, ok := found(t, path, host); ok {
		t.Errorf("a stock reader finds the ticket of a further identity: %s", out)
	}
}
