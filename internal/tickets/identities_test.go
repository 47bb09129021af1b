package tickets

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

const secondClient = "22222222-2222-3333-4444-555555555555"

var managed = []identity.Identity{
	{Kind: identity.UserAssigned, ClientID: client},
	{Kind: identity.UserAssigned, ClientID: secondClient},
	{Kind: identity.System},
	{Kind: identity.UserAssigned, ObjectID: "99999999-3333-3333-4444-555555555555"},
}

// separate makes our own handler answer in a world with the four managed identities.
func separate(t *testing.T, clock ...func() time.Time) *world {
	t.Helper()
	w := newWorld(t)
	if len(clock) > 0 {
		w.now = clock[0]
	}
	fake, err := azurefake.Start(azurefake.Options{
		Hosts: []string{acct, acct2}, Now: w.now,
		Identities: []azurefake.ManagedIdentity{
			{ClientID: client, ObjectID: "99999999-1111-3333-4444-555555555555"},
			{ClientID: secondClient, ObjectID: "99999999-2222-3333-4444-555555555555"},
			{ClientID: "33333333-2222-3333-4444-555555555555", ObjectID: managed[3].ObjectID},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	w.fake = fake
	w.restart(true)
	return w
}

// restart makes a new manager, on a machine whose handler is ours or a stock one.
func (w *world) restart(ours bool) {
	w.Manager = w.manager()
	w.Manager.Handles = func(string) bool { return ours }
}

// mounted adds a live mount of the account.
func (w *world) mounted(username string) {
	w.live = append(w.live, mounts.Mount{Endpoint: resolve(w.t, acct), Username: username, Sec: "krb5"})
}

// set is what set does: a new ticket in any case.
func (w *world) set(id identity.Identity) (Result, error) {
	return w.Ensure(w.t.Context(), Request{Endpoint: resolve(w.t, acct), Identity: id, Fresh: Always})
}

// login is what the kernel's request does. It gives the ticket that the kernel gets.
func (w *world) login(username string) (ccache.Credential, error) {
	l := Login{Endpoint: resolve(w.t, acct), Username: username}
	if res, ok := Held(w.Host, w.cfg, l); ok {
		return res.Ticket, nil
	}
	res, err := w.Ensure(w.t.Context(), Request{Endpoint: l.Endpoint, Username: username, Fresh: LastResort})
	return res.Ticket, err
}

// issuedTo asks the fake, not the product, for whom it issued a ticket: "system", or a client id.
func (w *world) issuedTo(cred ccache.Credential) string {
	w.t.Helper()
	for _, r := range w.fake.Requests() {
		if r.Ticket == azurefake.TicketID(cred.Ticket.Reveal()) {
			return r.Identity
		}
	}
	w.t.Fatal("a ticket that Azure did not issue")
	return ""
}

// isTicketOf fails the test unless a login gets the ticket of who.
func (w *world) isTicketOf(username, who string) {
	w.t.Helper()
	cred, err := w.login(username)
	if err != nil {
		w.t.Fatalf("%s: %v", username, err)
	}
	if got := w.issuedTo(cred); got != who {
		w.t.Errorf("%s logs in as %s, want %s", username, got, who)
	}
}

func TestTwoIdentitiesAreMountedAtOnce(t *testing.T) {
	w := separate(t)
	for i, username := range []string{client, secondClient, system.Username()} {
		id := managed[i]
		if _, err := w.set(id); err != nil {
			t.Fatalf("%s beside %d mounts: %v", id, i, err)
		}
		w.mounted(username)
	}
	for range 2 { // from the cache, and again
		w.isTicketOf(client, client)
		w.isTicketOf(secondClient, secondClient)
		w.isTicketOf(system.Username(), "system")
	}
	if n := w.exchanges(); n != 3 {
		t.Errorf("%d exchanges", n)
	}
	first, _ := w.cache().Ticket("cifs/" + acct)
	if got := w.issuedTo(first); got != "system" {
		t.Errorf("stock readers find the ticket of %s, not of the last one that was set", got)
	}
	l := must(w.List(0))
	if len(l.Tickets) != 1 || len(l.Further) != 2 {
		t.Errorf("%d tickets and %d further ones", len(l.Tickets), len(l.Further))
	}
	if hosts, err := w.ClearAll(t.Context(), 0); err != nil || !slices.Equal(hosts, []string{acct}) {
		t.Errorf("tickets of %q were erased: %v", hosts, err)
	}
}

// TestMountWithoutAName: a mount that says root logs in with what is in the first place, and stays who it is.
func TestMountWithoutAName(t *testing.T) {
	w := separate(t)
	must(w.set(system))
	w.mounted("root")
	before := must(w.List(0))
	got := must(w.set(managed[0])) // mounted under its client id by everybody
	if other := before.Replaced(Request{Endpoint: resolve(t, acct), Identity: managed[0]}, got); other != "" {
		t.Errorf("the ticket of %s is said to be replaced, and is there", other)
	}
	w.isTicketOf("root", "system")
	w.isTicketOf(client, client)
	app := identity.Identity{Kind: identity.Workload, ClientID: secondClient, TenantID: client, TokenFile: "/t"}
	if _, err := w.set(app); !fault.Is(err, fault.IdentityUnnamed) { // it may be mounted as root, too
		t.Errorf("a second one without a name: %v", err)
	}
	w.ensure(Request{Endpoint: resolve(t, acct), Identity: managed[1], Username: secondClient})
	w.isTicketOf("root", "system")
	w.live = nil
	must(w.set(managed[0]))
	w.isTicketOf("root", client)
}

// TestOrderOfMounts: a mount that says root logs in as whom set was called for, or its line of fstab means, whatever is mounted
// before it under a name that tells.
func TestOrderOfMounts(t *testing.T) {
	line := "//" + acct + "/share /mnt cifs sec=krb5,cruid=0,username=root,x-systemd.requires=azfilesrefresh.service 0 0\n"
	byHelper := func(w *world) {
		w.ensure(Request{Endpoint: resolve(w.t, acct), Identity: managed[0], Username: client})
	}
	byKernel := func(w *world) { must(w.login(client)) }
	for name, test := range map[string]struct {
		fstab, conf string
		before      func(*world)
		set         bool
	}{
		"set, mount.azfiles, root":                       {"", "", byHelper, true},
		"set, cifs by its client id, root":               {"", "", byKernel, true},
		"mount.azfiles, then a line that asks":           {line, "", byHelper, false},
		"cifs by its client id, then a line that asks":   {line, "", byKernel, false},
		"mount.azfiles, then a line of an upgrade":       {strings.Replace(line, ",x-systemd.requires=azfilesrefresh.service", "", 1), "default_identity: system\n", byHelper, false},
		"cifs by its client id, then that of an upgrade": {strings.Replace(line, "username=root,x-systemd.requires=azfilesrefresh.service", "_netdev", 1), "default_identity: system\n", byKernel, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := separate(t)
			fstab := filepath.Join(t.TempDir(), "fstab")
			for file, text := range map[string]string{fstab: test.fstab, w.conf: "KRB5_CC_NAME: " + w.path + "\n" + test.conf} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w.restart(true)
			w.Host.Fstab = fstab
			if test.set {
				must(w.set(system))
			}
			test.before(w)
			w.mounted(client)
			if !test.set && test.conf == "" { // azfilesrefresh --provision
				w.ensure(Request{Endpoint: resolve(t, acct), Identity: system})
			}
			w.isTicketOf("root", "system")
			w.isTicketOf(client, client)
		})
	}
}

// TestLineThatAsksForItsTicket is the machine's to the kernel as well, which may be quicker than azfilesrefresh --provision
// when the machine starts; another line, or another's login, is not.
func TestLineThatAsksForItsTicket(t *testing.T) {
	for options, known := range map[string]bool{
		"sec=krb5,cruid=0,username=root,x-systemd.requires=azfilesrefresh.service":     true,
		"sec=krb5i,cruid=0,x-systemd.requires=azfilesauth.service":                     true,
		"sec=krb5,cruid=0,username=root":                                               false,
		"sec=krb5,cruid=65534,username=root,x-systemd.requires=azfilesrefresh.service": false,
		"sec=ntlmssp,cruid=0,x-systemd.requires=azfilesrefresh.service":                false,
	} {
		w := separate(t)
		w.Host.Fstab = filepath.Join(t.TempDir(), "fstab")
		if err := os.WriteFile(w.Host.Fstab, []byte("//"+acct+"/share /mnt cifs "+options+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if known {
			w.isTicketOf("root", "system")
		} else if _, err := w.login("root"); !fault.Is(err, fault.IdentityUnknown) {
			t.Errorf("%s: %v", options, err)
		}
	}
}

func TestStockHandlerHasOneIdentity(t *testing.T) {
	for name, ours := range map[string]bool{"our rule is absent": false, "mode: cifs": true} {
		t.Run(name, func(t *testing.T) {
			w := separate(t)
			if ours {
				add := []byte("KRB5_CC_NAME: " + w.path + "\nupcall: {mode: cifs}\n")
				if err := os.WriteFile(w.conf, add, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w.restart(ours)
			must(w.set(managed[0]))
			w.mounted(client)
			before := w.exchanges()
			_, err := w.set(managed[1])
			if !fault.Is(err, fault.IdentityConflict) || w.exchanges() != before {
				t.Errorf("%v", err)
			}
			w.live = nil
			must(w.set(managed[1]))
			first, _ := w.cache().Ticket("cifs/" + acct)
			if got := w.issuedTo(first); got != secondClient {
				t.Errorf("the stock handler finds the ticket of %s", got)
			}
			w.ensure(Request{Endpoint: resolve(t, acct), Identity: managed[0], Username: client})
			if first, _ = w.cache().Ticket("cifs/" + acct); w.issuedTo(first) != client {
				t.Error("the private ticket was taken for one that a stock handler finds")
			}
		})
	}
}

// TestPrincipalOfTheToken: whoever a token names is one principal, whatever the identity is called.
func TestPrincipalOfTheToken(t *testing.T) {
	w := separate(t)
	w.restart(false)
	must(w.set(managed[3])) // by its object id
	w.mounted("root")
	if _, err := w.set(identity.Identity{Kind: identity.UserAssigned, ClientID: "33333333-2222-3333-4444-555555555555"}); err != nil {
		t.Errorf("the same one by its client id: %v", err)
	}
	if _, err := w.set(managed[1]); !fault.Is(err, fault.IdentityConflict) {
		t.Errorf("another one: %v", err)
	}
}

func TestTokenFilesOfOnePrincipal(t *testing.T) {
	w := separate(t)
	dir := t.TempDir()
	token := func(name string) identity.Identity {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("an.assertion.x"), 0o600); err != nil {
			t.Fatal(err)
		}
		return identity.Identity{Kind: identity.Workload, ClientID: client, TenantID: client, TokenFile: file}
	}
	store := must(ccache.Open(machine(w.path), w.path, 0))
	a, b, c := token("a"), token("b"), token("c")
	for _, id := range []identity.Identity{a, b, c} {
		call := w.Queue(Request{Endpoint: resolve(t, acct), Identity: id, Keep: true})
		if _, err := call.Ensure(t.Context()); err == nil { // Azure does not know the application, which is a refusal
			t.Fatal("no refusal")
		}
	}
	rec, ok := must(store.Load()).Cache.Record("cifs/" + acct)
	if !ok || rec.Identity != c.String() || !slices.Equal(rec.Files, []string{b.TokenFile, a.TokenFile}) {
		t.Errorf("the refused identity: %+v, %v", rec, ok)
	}
	for _, step := range []struct{ gone, want string }{{"", c.TokenFile}, {c.TokenFile, b.TokenFile}, {b.TokenFile, a.TokenFile}, {a.TokenFile, c.TokenFile}} {
		_ = os.Remove(step.gone)
		if id, err := w.Owner(resolve(t, acct), 0, "root"); err != nil || id.TokenFile != step.want {
			t.Errorf("without %s: %s, %v", step.gone, id.TokenFile, err)
		}
	}
}

// TestLoginIsTheMountsIdentity: whatever happens in whatever order, a login gets the ticket of who mounted.
func TestLoginIsTheMountsIdentity(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { interleave(t, rand.New(rand.NewPCG(seed, 1)), 40) })
	}
}

// interleave does some random steps of four identities.
func interleave(t *testing.T, r *rand.Rand, steps int) {
	var later atomic.Int64 // hours
	begin := time.Now().Truncate(time.Second)
	w := separate(t, func() time.Time { return begin.Add(time.Duration(later.Load()) * time.Hour) })
	names := []string{client, secondClient, "system", "33333333-2222-3333-4444-555555555555"}
	mounted := map[string]string{} // who mounted, by user name
	next := ""                     // who a mount as root is: the last one that was set
	for range steps {
		n := r.IntN(len(managed))
		id, who := managed[n], names[n]
		switch r.IntN(7) {
		case 0, 1: // set, and perhaps the mount that follows under a name that tells
			if _, err := w.set(id); err != nil {
				if !fault.Is(err, fault.IdentityUnnamed) || mounted["root"] == "" || mounted["root"] == who {
					t.Fatalf("set %s with the mounts %v: %v", who, mounted, err)
				}
				continue
			}
			if mounted["root"] == "" {
				next = who
			}
			if r.IntN(2) == 0 {
				break
			}
			fallthrough
		case 2: // mount.azfiles
			w.ensure(Request{Endpoint: resolve(t, acct), Identity: id, Username: id.Username()})
			if mounted[id.Username()] == "" {
				mounted[id.Username()] = who
				w.mounted(id.Username())
			}
		case 3: // umount
			if i := len(w.live); i > 0 {
				i = r.IntN(i)
				delete(mounted, w.live[i].Username)
				w.live = slices.Delete(w.live, i, i+1)
			}
		case 4: // a renewal by the daemon
			for user := range mounted {
				if _, err := w.Ensure(t.Context(), Request{Endpoint: resolve(t, acct), Username: user, Fresh: Always}); err != nil {
					t.Fatalf("renewal of %s: %v", user, err)
				}
				break
			}
		case 5: // tickets end
			later.Add(r.Int64N(30))
			w.restart(true) // and so may a process
		case 6: // a mount as root, whenever it comes
			if next != "" && mounted["root"] == "" {
				mounted["root"] = next
				w.mounted("root")
			}
		}
		for user, who := range mounted {
			w.isTicketOf(user, who)
		}
	}
}
