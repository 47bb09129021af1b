package tickets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const (
	acct   = "acct.file.core.windows.net"
	acct2  = "acct2.file.core.windows.net"
	client = "11111111-2222-3333-4444-555555555555"
)

var system = identity.Identity{Kind: identity.System}

// world is an Azure, a credential cache and a Manager between them.
type world struct {
	t         *testing.T
	fake      *azurefake.Fake
	path      string // of the credential cache
	conf      string // of the configuration
	live      []mounts.Mount
	now       func() time.Time
	ring      keyring.Ring
	forgotten atomic.Int32 // how often the kernel was made to forget
	*Manager
}

func newWorld(t *testing.T, hosts ...string) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "krb5cc")}
	fake, err := azurefake.Start(azurefake.Options{
		Hosts:      append(hosts, acct, acct2),
		Identities: []azurefake.ManagedIdentity{{ClientID: client, ObjectID: "99999999-2222-3333-4444-555555555555"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	w.fake = fake
	w.conf = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(w.conf, []byte("KRB5_CC_NAME: "+w.path+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Manager = w.manager()
	return w
}

func (w *world) manager() *Manager {
	w.t.Helper()
	h := machine(w.path)
	if w.now != nil {
		h.Now = w.now
	}
	m, err := New(Options{
		Host: h, Config: read(w.conf),
		Mounted: func() ([]mounts.Mount, error) { return slices.Clone(w.live), nil },
		Access: Access{
			Transport: w.fake.Transport(), IMDS: w.fake.Transport(), OpenRing: w.openRing,
			ForgetFailures: func() (bool, error) { w.forgotten.Add(1); return true, nil },
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// machine is one that trusts the caller. What must not survive a reboot is beside the cache.
func machine(cache string) host.Host {
	h := host.Real().Trusting(os.Geteuid())
	h.Run = filepath.Dir(cache) + "-run"
	return h
}

func read(conf string) *config.Config {
	h := machine(conf)
	h.Config = conf
	return must(config.Read(h))
}

func (w *world) openRing() (keyring.Ring, error) {
	if w.ring == nil {
		return nil, keyring.ErrNotFound
	}
	return w.ring, nil
}

func resolve(t *testing.T, host string) endpoint.Endpoint {
	t.Helper()
	e, err := endpoint.Resolver{}.Resolve(host)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (w *world) request(host string, id identity.Identity) Request {
	return Request{Endpoint: resolve(w.t, host), Identity: id}
}

// ensure fails the test when Ensure fails.
func (w *world) ensure(r Request) Result {
	w.t.Helper()
	res, err := w.Ensure(w.t.Context(), r)
	if err != nil {
		w.t.Fatalf("Ensure(%s, %s): %v", r.Endpoint, r.Identity, err)
	}
	return res
}

// exchanges counts the tickets that Azure was asked for.
func (w *world) exchanges() (n int) {
	for _, r := range w.fake.Requests() {
		if r.Target == azurefake.TargetStorage {
			n++
		}
	}
	return n
}

func (w *world) cache() *ccache.Cache {
	w.t.Helper()
	b, err := os.ReadFile(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := ccache.Parse(b)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestCachedTicketIsUsed(t *testing.T) {
	w := newWorld(t)
	first := w.ensure(w.request(acct, system))
	if first.Cached || first.CCache != w.path || !strings.HasPrefix(first.Server, "cifs/"+acct+"@") {
		t.Errorf("first: %+v", first)
	}
	rec, ok := w.cache().Record("cifs/" + acct)
	if !ok || rec.Identity != "system" || !rec.Refreshable || rec.ObtainedAt.IsZero() {
		t.Errorf("record %+v, %v", rec, ok)
	}
	again := w.ensure(w.request(acct, system))
	if n := w.forgotten.Load(); n != 1 {
		t.Errorf("the kernel was made to forget %d times after one new ticket", n)
	}
	if !again.Cached || !again.EndTime.Equal(first.EndTime) || w.exchanges() != 1 {
		t.Errorf("again: %+v after %d exchanges", again, w.exchanges())
	}
	other := w.request(acct, system)
	other.Fresh = Always
	if res := w.ensure(other); res.Cached || w.exchanges() != 2 {
		t.Errorf("Always: %+v after %d exchanges", res, w.exchanges())
	}
}

func TestTicketOfUnknownOriginIsNotUsed(t *testing.T) {
	w := newWorld(t)
	w.ensure(w.request(acct, system))
	c := w.cache()
	c.Credentials = slices.DeleteFunc(c.Credentials, ccache.Credential.IsConfig)
	if err := os.WriteFile(w.path, c.Marshal(), 0o640); err != nil {
		t.Fatal(err)
	}
	if res := w.ensure(w.request(acct, system)); res.Cached {
		t.Error("a ticket without a record was taken for the system identity's")
	}
}

func TestStaleTicketIsReplaced(t *testing.T) {
	for _, c := range []struct {
		life, later time.Duration
		cached      bool
	}{
		{time.Hour, 54 * time.Minute, true},
		{time.Hour, 56 * time.Minute, false},
		{time.Hour, 61 * time.Minute, false},
		{40 * time.Second, 25 * time.Second, true},
		{40 * time.Second, 35 * time.Second, false},
	} {
		t.Run(fmt.Sprint(c.life, " after ", c.later), func(t *testing.T) {
			w := newWorld(t)
			w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Lifetime: c.life, Times: 1})
			first := w.ensure(w.request(acct, system))
			// The clock stands still between the two calls but for what the case says.
			w.now = func() time.Time { return first.EndTime.Add(c.later - c.life) }
			w.Manager = w.manager()
			r := w.request(acct, system)
			call := w.Queue(r)
			defer call.turn.leave()
			if err := call.prepare(); err != nil {
				t.Fatal(err)
			}
			_, done, err := call.lookUp(t.Context())
			if err != nil || done != c.cached {
				t.Errorf("taken from the cache: %v, want %v (%v)", done, c.cached, err)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAliasIsAddedWithoutAsking(t *testing.T) {
	w := newWorld(t)
	const alias = "acct.privatelink.file.core.windows.net"
	w.ensure(w.request(acct, system))
	if res := w.ensure(w.request(alias, system)); !res.Cached || w.exchanges() != 1 {
		t.Errorf("%+v after %d exchanges", res, w.exchanges())
	}
	always := w.request(acct, system)
	always.Fresh = Always
	for range 2 { // and a refresh by the account's own name refreshes the alias as well
		own, ok1 := w.cache().Ticket("cifs/" + acct)
		other, ok2 := w.cache().Ticket("cifs/" + alias)
		if !ok1 || !ok2 || !own.Ticket.Equal(other.Ticket) {
			t.Fatalf("own %v, alias %v, or another ticket", ok1, ok2)
		}
		w.ensure(always)
	}
}

func TestSecondIdentity(t *testing.T) {
	w := newWorld(t)
	second := identity.Identity{Kind: identity.UserAssigned, ClientID: client}
	w.ensure(w.request(acct, system))
	w.live = []mounts.Mount{{Endpoint: resolve(t, acct), CRUID: 0, Username: "root", Sec: "krb5"}}
	before := w.exchanges()
	_, err := w.Ensure(t.Context(), w.request(acct, second))
	if !fault.Is(err, fault.IdentityConflict) || !strings.Contains(err.Error(), client) || w.exchanges() != before {
		t.Errorf("with a live mount of another identity: %v", err)
	}
	w.ensure(w.request(acct, system))
	w.ensure(w.request(acct2, second)) // another account is another session
	replace := w.request(acct, second)
	replace.Replace = true
	w.ensure(replace)
	w.live = nil
	w.ensure(w.request(acct, system))
	if rec, _ := w.cache().Record("cifs/" + acct); rec.Identity != "system" {
		t.Errorf("without a mount the record says %q", rec.Identity)
	}
}

func TestFailureLeavesTheCacheAsItWas(t *testing.T) {
	w := newWorld(t)
	w.ensure(w.request(acct, system))
	before := must(os.ReadFile(w.path))
	for name, o := range map[string]azurefake.Order{
		"refused": {Target: azurefake.TargetStorage, Status: 403, Code: "AuthorizationFailure"},
		"wrong":   {Target: azurefake.TargetStorage, WrongServer: "cifs/" + acct2},
		"expired": {Target: azurefake.TargetStorage, Lifetime: -time.Hour},
		"imds":    {Target: azurefake.TargetIMDS, Status: 400, Code: "invalid_request", Message: "Identity not found"},
	} {
		w.fake.Order(o)
		r := w.request(acct, system)
		if name == "imds" { // a token that is kept would hide it
			r.Identity = identity.Identity{Kind: identity.UserAssigned, ClientID: client}
		}
		r.Fresh = Always
		if _, err := w.Ensure(t.Context(), r); err == nil {
			t.Errorf("%s: no error", name)
		}
		if !bytes.Equal(before, must(os.ReadFile(w.path))) {
			t.Errorf("%s: the cache has changed", name)
		}
		w.fake.ClearOrders()
	}
}

func TestDamagedCacheIsMovedAside(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(w.path, []byte("\x05\x04garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.ensure(w.request(acct, system))
	if _, ok := w.cache().Ticket("cifs/" + acct); !ok {
		t.Error("no ticket")
	}
	if b := must(os.ReadFile(w.path + ".damaged")); !bytes.Contains(b, []byte("garbage")) {
		t.Error("the damaged cache is gone")
	}
}

func TestAccountsDoNotWaitForEachOther(t *testing.T) {
	w := newWorld(t)
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Host: acct, Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	slow := make(chan error)
	go func() {
		_, err := w.Ensure(ctx, w.request(acct, system))
		slow <- err
	}()
	if err := w.fake.WaitRequests(ctx, azurefake.TargetStorage, 1); err != nil {
		t.Fatal(err)
	}
	w.ensure(w.request(acct2, system))
	cancel()
	if err := <-slow; err == nil {
		t.Error("the hanging account gave a ticket")
	}
}

func TestTogether(t *testing.T) {
	var hosts []string
	for i := range 50 {
		hosts = append(hosts, fmt.Sprintf("many%02d.file.core.windows.net", i))
	}
	w := newWorld(t, hosts...)
	var wg sync.WaitGroup
	for _, h := range append(hosts, hosts...) { // each is wanted twice
		wg.Go(func() { w.ensure(w.request(h, system)) })
	}
	wg.Wait()
	if n := len(w.cache().Tickets()); n != len(hosts) || w.exchanges() != len(hosts) {
		t.Errorf("%d tickets after %d exchanges for %d accounts", n, w.exchanges(), len(hosts))
	}
}

// helperEnv tells a copy of this test program to ensure a ticket: storage address, IMDS address,
// file of the CA, configuration and path of the cache.
const helperEnv = "TICKETS_TEST_HELPER"

func TestMain(m *testing.M) {
	if args := os.Getenv(helperEnv); args != "" {
		os.Exit(helper(strings.Split(args, ",")))
	}
	os.Exit(m.Run())
}

func helper(args []string) int {
	ca, err := os.ReadFile(args[2])
	if err != nil {
		panic(err)
	}
	transport := azurefake.DialTransport(args[0], args[1], ca)
	m := must(New(Options{Host: machine(args[4]), Config: read(args[3]), Access: Access{Transport: transport, IMDS: transport}}))
	e := must(endpoint.Resolver{}.Resolve(acct))
	must(m.Ensure(context.Background(), Request{Endpoint: e, Identity: system}))
	return 0
}

func TestProcessesMakeOneExchange(t *testing.T) {
	w := newWorld(t)
	ca := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(ca, w.fake.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	// The delay makes them all meet while the first is still asking.
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Delay: 300 * time.Millisecond})
	args := strings.Join([]string{w.fake.StorageAddr(), w.fake.IMDSAddr(), ca, w.conf, w.path}, ",")
	var wg sync.WaitGroup
	for range 4 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), helperEnv+"="+args)
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if n := w.exchanges(); n != 1 {
		t.Errorf("%d exchanges", n)
	}
}

func TestUnknownUID(t *testing.T) {
	w := newWorld(t)
	r := w.request(acct, system)
	r.CRUID = 4242421
	if _, err := w.Ensure(t.Context(), r); !fault.Is(err, fault.UIDUnknown) || w.exchanges() != 0 {
		t.Error(err)
	}
}

func TestListAndClear(t *testing.T) {
	w := newWorld(t)
	if l, err := w.List(0); err != nil || len(l.Tickets) != 0 || l.CCache != w.path {
		t.Errorf("without a cache: %+v, %v", l, err)
	}
	if _, err := w.Clear(t.Context(), 0, resolve(t, acct)); !fault.Is(err, fault.TicketUnknown) {
		t.Errorf("without a cache: %v", err)
	}
	if _, err := os.Stat(w.path); err == nil {
		t.Error("clearing has made a cache")
	}
	w.ensure(w.request("acct.privatelink.file.core.windows.net", system))
	w.ensure(w.request(acct2, system))
	l, err := w.List(0)
	if err != nil || len(l.Tickets) != 2 || l.Tickets[0].Identity != "system" || !l.Tickets[0].Known || !l.Tickets[0].Trusted {
		t.Fatalf("%v, %v", l, err)
	}
	gone := [][]byte{l.Tickets[0].Ticket.Reveal(), l.Tickets[0].Key.Value.Reveal(), []byte("privatelink")}
	if had, err := w.Clear(t.Context(), 0, resolve(t, acct)); err != nil || !had {
		t.Fatal(err)
	}
	left := must(os.ReadFile(w.path))
	for _, b := range gone {
		if bytes.Contains(left, b) {
			t.Error("something of the cleared ticket is still in the file")
		}
	}
	if erased, err := w.ClearAll(t.Context(), 0); err != nil || len(erased) != 1 || len(w.cache().Tickets()) != 0 {
		t.Errorf("ClearAll: %v, %v", erased, err)
	}
}

// TestListOfNamesAsTyped: older tools stored a ticket under the host as it was typed, and a set that was refused has left who is
// to obtain the next one.
func TestListOfNamesAsTyped(t *testing.T) {
	w := newWorld(t)
	w.ensure(w.request(acct, system))
	c := w.cache()
	for i := range c.Credentials {
		if parts := c.Credentials[i].Server.Components; len(parts) == 2 {
			c.Credentials[i].Server.Components = []string{"CIFS", strings.ToUpper(parts[1])}
		}
	}
	must(0, os.WriteFile(w.path, c.Marshal(), 0o600))
	l := must(w.List(0))
	if len(l.Further) != 0 || len(l.Tickets) != 1 {
		t.Fatalf("%d tickets, %d of further identities", len(l.Tickets), len(l.Further))
	}
	found := l.Tickets[0]
	if !found.Known || found.Identity != "system" || found.Host() != acct || found.Name() != "cifs/"+acct || found.Private() {
		t.Errorf("%s at %s, known %v by %q", found.Name(), found.Host(), found.Known, found.Identity)
	}
}

// A ticket that begins in the future shows that a clock is wrong: another one is asked for, whose failure tells by how much.
func TestTicketThatHasNotBegun(t *testing.T) {
	w := newWorld(t)
	w.ensure(w.request(acct, system))
	l := Login{Endpoint: resolve(t, acct)}
	for behind, usable := range map[time.Duration]bool{4 * time.Minute: true, 6 * time.Minute: false, 48 * time.Hour: false} {
		w.now = func() time.Time { return time.Now().Add(-behind) }
		m := w.manager()
		if _, ok := Held(m.Host, m.cfg, l); ok != usable {
			t.Errorf("%s behind: held %v", behind, ok)
		}
		r := w.request(acct, system)
		if _, err := m.Ensure(t.Context(), r); usable && err != nil || !usable && !fault.Is(err, fault.ClockSkew) {
			t.Errorf("%s behind: %v", behind, err)
		}
		r.Fresh = LastResort // the server may see it in another way
		if res, err := m.Ensure(t.Context(), r); err != nil || !res.Cached || !usable && !fault.Is(res.Failure, fault.ClockSkew) {
			t.Errorf("%s behind, as a last resort: %+v, %v", behind, res, err)
		}
	}
}

func TestTokenOfTheCaller(t *testing.T) {
	w := newWorld(t)
	r := w.request(acct, identity.Identity{Kind: identity.Token})
	r.Token, r.Fresh = secret.FromString(w.fake.MintToken(azurefake.MintOptions{})), Always
	w.ensure(r)
	if rec, _ := w.cache().Record("cifs/" + acct); rec.Identity != "token" || rec.Refreshable {
		t.Errorf("record %+v", rec)
	}
	r.Token = secret.FromString(w.fake.MintToken(azurefake.MintOptions{Lifetime: -time.Hour}))
	if _, err := w.Ensure(t.Context(), r); !fault.Is(err, fault.TokenExpired) {
		t.Errorf("an expired token: %v", err)
	}
}

// tokenRequests counts the tokens that IMDS was asked for.
func (w *world) tokenRequests() (n int) {
	for _, r := range w.fake.Requests() {
		if r.Target == azurefake.TargetIMDS {
			n++
		}
	}
	return n
}

// mapRing is a keyring in memory. It remembers for how long each value is to live.
type mapRing struct {
	values map[string]secret.Value
	ttl    map[string]time.Duration
}

func newMapRing() *mapRing {
	return &mapRing{map[string]secret.Value{}, map[string]time.Duration{}}
}

func (r *mapRing) Get(name string) (secret.Value, error) {
	v, ok := r.values[name]
	if !ok {
		return v, keyring.ErrNotFound
	}
	return secret.New(bytes.Clone(v.Reveal())), nil
}

func (r *mapRing) Set(name string, v secret.Value, ttl time.Duration) error {
	r.values[name], r.ttl[name] = secret.New(bytes.Clone(v.Reveal())), ttl
	return nil
}

func (r *mapRing) Remove(name string) error {
	delete(r.values, name)
	return nil
}

func TestTokensAreKept(t *testing.T) {
	w := newWorld(t)
	ring := newMapRing()
	w.ring = ring
	second := identity.Identity{Kind: identity.UserAssigned, ClientID: client}
	w.ensure(w.request(acct, system))
	w.ensure(w.request(acct2, system))
	if n := w.tokenRequests(); n != 1 {
		t.Errorf("%d token requests for one identity", n)
	}
	r := w.request(acct, second)
	r.Replace = true
	w.ensure(r)
	if n := w.tokenRequests(); n != 2 || len(ring.values) != 2 {
		t.Errorf("%d token requests for two identities, %d kept", n, len(ring.values))
	}
	for name, ttl := range ring.ttl {
		if strings.Contains(name, "system") || strings.Contains(name, client) || ttl <= 0 {
			t.Errorf("key %q lives for %v", name, ttl)
		}
	}
}

func TestKeptTokenThatEndsSoonIsNotUsed(t *testing.T) {
	w := newWorld(t)
	w.ring = newMapRing()
	w.ensure(w.request(acct, system))
	w.now = func() time.Time { return time.Now().Add(24 * time.Hour) } // every token of the fake has expired
	w.Manager = w.manager()
	again := w.request(acct, system)
	again.Fresh = Always
	_, _ = w.Ensure(t.Context(), again) // the ticket of today has expired by then, too
	if n := w.tokenRequests(); n != 2 {
		t.Errorf("%d token requests: an expired token is used", n)
	}
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	w := newWorld(t)
	w.ring = newMapRing()
	w.ensure(w.request(acct, system))
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 401, Code: "InvalidAuthenticationInfo", Times: 1})
	again := w.request(acct, system)
	again.Fresh = Always
	w.ensure(again)
	if n := w.tokenRequests(); n != 2 {
		t.Errorf("%d token requests", n)
	}
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 401, Code: "InvalidAuthenticationInfo"})
	for _, host := range []string{acct, acct2, acct, acct2} { // as 500 accounts of another tenant would
		again.Endpoint = resolve(t, host)
		if _, err := w.Ensure(t.Context(), again); !fault.Is(err, fault.TokenRefused) || w.tokenRequests() != 2 {
			t.Errorf("%v after %d token requests", err, w.tokenRequests())
		}
	}
}

// TestRepairedRoleIsSeenAtOnce: a token names the groups of its time, so that one from before the repair must not
// be used after it; and an identity without a role does not ask for tokens without end.
func TestRepairedRoleIsSeenAtOnce(t *testing.T) {
	w := newWorld(t)
	w.ring = newMapRing()
	r := w.request(acct, system)
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Answer: "storage-role", Times: 1})
	if _, err := w.Ensure(t.Context(), r); !fault.Is(err, fault.RoleMissing) || w.tokenRequests() != 1 {
		t.Fatalf("%v after %d token requests", err, w.tokenRequests())
	}
	w.ensure(r)
	if n := w.tokenRequests(); n != 2 {
		t.Errorf("%d token requests: the token from before the repair is used", n)
	}

	w.now = func() time.Time { return time.Now().Add(time.Minute) }
	w.Manager = w.manager()
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Answer: "storage-role", Times: 1})
	r.Fresh = Always
	w.ensure(r) // a kept token is replaced within the call
	if n := w.tokenRequests(); n != 3 {
		t.Errorf("%d token requests", n)
	}

	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Answer: "storage-role"})
	for range 5 {
		if _, err := w.Ensure(t.Context(), r); !fault.Is(err, fault.RoleMissing) {
			t.Error(err)
		}
	}
	if n := w.tokenRequests(); n != 3 {
		t.Errorf("%d token requests by an identity without a role", n)
	}
}

// TestAnotherConfigurationGoesOn: a manager for another configuration has the connections, tokens and
// turns of the one before.
func TestAnotherConfigurationGoesOn(t *testing.T) {
	w := newWorld(t)
	m := must(New(Options{Host: machine(w.path), Config: read(w.conf), Access: Access{IMDS: w.fake.Transport()}}))
	configure := func(text string) *Manager {
		if err := os.WriteFile(w.conf, []byte("KRB5_CC_NAME: "+w.path+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		return must(m.With(read(w.conf)))
	}
	same := configure("refresh: {concurrency: 1}\n")
	if same.Transport != m.Transport || same.shared != m.shared {
		t.Error("a configuration that leads the same way has other connections")
	}
	first, second := m.Queue(Request{}), m.Queue(Request{})
	select {
	case <-second.turn.came:
		t.Error("two have their turn where one may")
	default:
	}
	first.turn.leave()
	first.turn.leave() // counts once
	<-second.turn.came
	second.turn.leave()
	proxied := configure("proxy: http://127.0.0.1:1\n")
	if excepted := configure("proxy: http://127.0.0.1:1\nno_proxy: x\n"); excepted.Transport == proxied.Transport || sameWay(proxied.cfg, excepted.cfg) {
		t.Error("another exception has the same connections")
	}
	if other := proxied; other.Transport == m.Transport || other.IMDS != m.IMDS {
		t.Error("another proxy has the same connections, or given ones were replaced")
	}
}

// TestEnvironmentIsTheConfigurationsValue: what ENVIRONMENT says leads to who gives tokens, belongs to what
// a kept token is for, and is gone when the configuration no longer says it, as at SIGHUP.
func TestEnvironmentIsTheConfigurationsValue(t *testing.T) {
	w := newWorld(t)
	w.ring = newMapRing()
	t.Setenv("IDENTITY_ENDPOINT", "")
	ask := func(m *Manager) error {
		r := w.request(acct, system)
		r.Fresh = Always
		_, err := m.Ensure(t.Context(), r)
		return err
	}
	configure := func(text string) *Manager {
		if err := os.WriteFile(w.conf, []byte("KRB5_CC_NAME: "+w.path+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		return must(w.With(read(w.conf)))
	}
	if err := ask(w.Manager); err != nil {
		t.Fatal(err)
	}
	arc := configure("ENVIRONMENT: {IDENTITY_ENDPOINT: \"http://127.0.0.1:1/a\", IMDS_ENDPOINT: \"http://127.0.0.1:1\"}\n")
	if err := ask(arc); !fault.Is(err, fault.ArcUnreachable) && !fault.Is(err, fault.ArcRefused) {
		t.Errorf("with another place to ask, and a token kept from the first: %v", err)
	}
	if v := os.Getenv("IDENTITY_ENDPOINT"); v != "" {
		t.Errorf("the process's environment has IDENTITY_ENDPOINT=%s", v)
	}
	if err := ask(configure("")); err != nil || w.tokenRequests() != 1 {
		t.Errorf("after the keys were removed: %v, %d requests to IMDS", err, w.tokenRequests())
	}
}

// TestOneTokenForAllWhereThereIsNoKeyring and one failure for all that wait.
func TestOneTokenForAllWhereThereIsNoKeyring(t *testing.T) {
	w := newWorld(t)
	second := identity.Identity{Kind: identity.UserAssigned, ClientID: client}
	w.fake.Order(azurefake.Order{Target: azurefake.TargetIMDS, Status: 400, Code: "invalid_request", Message: "Identity not found"})
	calls := []*Call{w.Queue(w.request(acct, second)), w.Queue(w.request(acct2, second))}
	for _, c := range calls {
		_, err := c.Ensure(t.Context())
		if all := (*TokenError)(nil); !errors.As(err, &all) || all.Identity != second.String() || !fault.Is(err, fault.IdentityNotAssigned) {
			t.Errorf("%v", err)
		}
	}
	if n := w.tokenRequests(); n != 1 {
		t.Errorf("%d token requests for two calls that waited together", n)
	}
	w.fake.ClearOrders()
	w.ensure(w.request(acct, second))
	w.ensure(w.request(acct2, second))
	if n := w.tokenRequests(); n != 2 {
		t.Errorf("%d token requests: the failure counts too long, or the token was not remembered", n)
	}
}

// TestCallsThatQueueShareTheTicket stages 40 volumes of one account at once: the later ones take what an earlier one
// of the same principal got while they waited, and nobody else's.
func TestCallsThatQueueShareTheTicket(t *testing.T) {
	w := newWorld(t)
	w.ensure(w.request(acct, system))
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Delay: 300 * time.Millisecond})
	before := w.exchanges()
	// Whoever begins after an exchange has ended makes another: none does before all have begun, however busy the machine is.
	unlock := must(must(w.Manager.cache(0)).LockEndpoint(t.Context(), acct))
	var wg, begun sync.WaitGroup
	begun.Add(40)
	for range 40 {
		wg.Go(func() {
			m := w.manager() // as in a process of its own, of which any number asks at once
			once := sync.OnceFunc(begun.Done)
			m.Waits = func(string) { once() }
			r := w.request(acct, system)
			r.Fresh = Always
			if _, err := m.Ensure(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	unlock()
	wg.Wait()
	if n := w.exchanges() - before; n < 1 || n > 2 {
		t.Errorf("%d exchanges for 40 calls", n)
	}
	r := w.request(acct, identity.Identity{Kind: identity.Token})
	r.Token, r.Fresh, r.Replace = secret.FromString(w.fake.MintToken(azurefake.MintOptions{})), Always, true
	before = w.exchanges()
	for range 3 {
		wg.Go(func() { w.ensure(r) })
	}
	wg.Wait()
	if n := w.exchanges() - before; n != 3 {
		t.Errorf("%d exchanges for 3 tokens of callers, whose principals nobody knows", n)
	}
}

// TestLocksThatOnlySaveRequestsAreNotWaitedForLong: a process that was stopped while it held them stops nobody.
func TestLocksThatOnlySaveRequestsAreNotWaitedForLong(t *testing.T) {
	w := newWorld(t)
	c := must(w.Manager.cache(0))
	for _, unlock := range []func(){must(c.LockEndpoint(t.Context(), acct)), must(c.LockIdentity(t.Context(), "system"))} {
		defer unlock()
	}
	// An upcall's is shorter. Both locks take five ninths of it; what is left must do for two requests on a busy machine.
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
	defer cancel()
	if res, err := w.Ensure(ctx, w.request(acct, system)); err != nil || res.Cached {
		t.Errorf("%+v, %v", res, err)
	}
}
