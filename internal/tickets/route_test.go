package tickets

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// proxiedWorld is a world with a proxy, in which the Manager has the product's own transport.
type proxiedWorld struct {
	*world
	proxy *azurefake.Proxy
	imds  []string // the proxies that the identity service was asked through
}

func newProxiedWorld(t *testing.T, more string) *proxiedWorld {
	t.Helper()
	w := &proxiedWorld{world: newWorld(t)}
	w.proxy = must(azurefake.StartProxy(w.fake.StorageAddr(), 0))
	t.Cleanup(w.proxy.Close)
	w.configure(more)
	return w
}

// configure makes another Manager, as another process has it.
func (w *proxiedWorld) configure(more string) {
	w.t.Helper()
	if err := os.WriteFile(w.conf, []byte("KRB5_CC_NAME: "+w.path+"\n"+more), 0o600); err != nil {
		w.t.Fatal(err)
	}
	ca := filepath.Join(w.t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, w.fake.CA(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	m := w.manager()
	h := m.Host
	h.Config, h.Ignored = w.conf, map[string]string{"HTTPS_PROXY": "http://ignored.test:1"}
	m.cfg = must(config.Read(h))
	o := m.cfg.Transport
	o.Bundles, o.Dial = []string{ca}, azurefake.Dial(w.fake.StorageAddr(), w.fake.IMDSAddr())
	m.Transport = must(transport.NewRoute(o))
	m.tokens.Transport, m.client.Transport = m.Transport, m.Transport
	m.tokens.IMDS = watched{w, m.IMDS}
	w.Manager = m
}

// watched holds that the identity service is reached without a proxy: what is asked comes here.
type watched struct {
	w  *proxiedWorld
	to http.RoundTripper
}

func (r watched) RoundTrip(req *http.Request) (*http.Response, error) {
	r.w.imds = append(r.w.imds, req.URL.Host)
	return r.to.RoundTrip(req)
}

func (w *proxiedWorld) choice() *transport.Choice {
	return &transport.Choice{Proxy: &url.URL{Scheme: "http", Host: w.proxy.Addr}, Except: "nowhere.test"}
}

// renew is what the daemon and the kernel's upcall do, each in a process of its own: they name no proxy.
func (w *proxiedWorld) renew() error {
	w.t.Helper()
	w.configure("")
	r := w.request(acct, identity.Identity{})
	r.Fresh = Always
	_, err := w.Ensure(w.t.Context(), r)
	return err
}

func (w *proxiedWorld) record() ccache.Record {
	rec, _ := w.cache().Record("cifs/" + acct)
	return rec
}

// TestProxyIsKeptForRenewals: what the caller of azfilesauthmanager chose leads the renewals, as long as the record can be
// trusted; the identity service is never asked through it.
func TestProxyIsKeptForRenewals(t *testing.T) {
	w := newProxiedWorld(t, "")
	r := w.request(acct, system)
	r.Choice = w.choice()
	w.ensure(r)
	for n := 1; n <= 3; n++ {
		if got := len(w.proxy.Requests()); got != n {
			t.Fatalf("%d connections by the proxy, want %d", got, n)
		}
		if rec := w.record(); rec.Proxy != "http://"+w.proxy.Addr || rec.NoProxy != "nowhere.test" || rec.Identity != "system" {
			t.Fatalf("%+v", rec)
		}
		if err := w.renew(); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range w.proxy.Requests() {
		if q.Host != acct+":443" {
			t.Errorf("the proxy was asked for %s", q.Host)
		}
	}
	if len(w.imds) == 0 || w.imds[0] != "169.254.169.254" {
		t.Errorf("identity service: %v", w.imds)
	}

	w.configure("no_proxy: " + acct + "\n") // the administrator's exception counts as well
	before := len(w.proxy.Requests())
	again := w.request(acct, system)
	again.Fresh = Always
	w.ensure(again)
	if len(w.proxy.Requests()) != before {
		t.Error("no_proxy: does not count for the record's proxy")
	}

	again.Choice = &transport.Choice{} // another set, from an environment without one
	w.ensure(again)
	if rec := w.record(); rec.Proxy != "" || rec.NoProxy != "" {
		t.Errorf("%+v", rec)
	}
	if err := w.renew(); err != nil || len(w.proxy.Requests()) != before {
		t.Errorf("%v, %d connections by the proxy", err, len(w.proxy.Requests())-before)
	}
}

// TestProxyOfTheConfigurationOutranks: where the configuration names a proxy, a choice and a record count for nothing.
func TestProxyOfTheConfigurationOutranks(t *testing.T) {
	w := newProxiedWorld(t, "")
	other := must(azurefake.StartProxy(w.fake.StorageAddr(), 0))
	t.Cleanup(other.Close)
	w.configure("proxy: http://" + other.Addr + "\n")
	r := w.request(acct, system)
	r.Choice, r.Fresh = w.choice(), Always
	w.ensure(r)
	r.Choice = nil
	w.ensure(r)
	if len(w.proxy.Requests()) != 0 || len(other.Requests()) != 2 {
		t.Errorf("%d by the choice, %d by the configuration", len(w.proxy.Requests()), len(other.Requests()))
	}
}

// TestProxyOfAForgedRecord: a record that a user can have written leads nowhere.
func TestProxyOfAForgedRecord(t *testing.T) {
	w := newProxiedWorld(t, "")
	r := w.request(acct, system)
	r.Choice = w.choice()
	w.ensure(r)
	snap := ccache.Snapshot{Cache: w.cache(), Trusted: true}
	if c := Chosen(snap, "cifs/"+acct); c.Proxy == nil || c.Proxy.Host != w.proxy.Addr || c.Except != "nowhere.test" || c.Source == "" {
		t.Errorf("%+v", c)
	}
	snap.Trusted = false
	if c := Chosen(snap, "cifs/"+acct); c.Proxy != nil {
		t.Errorf("%+v", c)
	}
}

// TestLoginOfAProxyIsNotRecorded, since those who can read the credential cache would have it.
func TestLoginOfAProxyIsNotRecorded(t *testing.T) {
	w := newProxiedWorld(t, "")
	r := w.request(acct, system)
	r.Choice = w.choice()
	r.Choice.Proxy.User = url.UserPassword("me", "hunter2")
	w.ensure(r)
	if rec := w.record(); rec.Proxy != "" || rec.NoProxy != "" || len(w.proxy.Requests()) != 1 {
		t.Errorf("%+v, %d connections by the proxy", rec, len(w.proxy.Requests()))
	}
	if text := must(os.ReadFile(w.path)); strings.Contains(string(text), "hunter2") {
		t.Error("the login is in the credential cache")
	}
}

// TestProxyFailureNamesItsSource, and a failure without a proxy the variable that was ignored.
func TestProxyFailureNamesItsSource(t *testing.T) {
	w := newProxiedWorld(t, "")
	r := w.request(acct, system)
	r.Choice = w.choice()
	w.ensure(r)
	w.proxy.Close()
	if err := w.renew(); !fault.Is(err, fault.ProxyFailed) || !strings.Contains(err.Error(), "it is set by the ticket's record, as azfilesauthmanager") {
		t.Error(err)
	}
	r.Fresh, r.Choice = Always, nil
	for more, source := range map[string]string{
		"proxy: http://" + w.proxy.Addr + "\n":                       "it is set by proxy: in " + w.conf,
		"ENVIRONMENT:\n  HTTPS_PROXY: http://" + w.proxy.Addr + "\n": "it is set by HTTPS_PROXY under ENVIRONMENT: in " + w.conf,
	} {
		w.configure(more)
		if _, err := w.Ensure(t.Context(), r); !fault.Is(err, fault.ProxyFailed) || !strings.Contains(err.Error(), source) || strings.Contains(err.Error(), "ignored") {
			t.Error(err)
		}
	}
	w.configure("")
	w.fake.Close()
	r.Choice = &transport.Choice{}
	r.Identity = identity.Identity{Kind: identity.Token}
	r.Token = secret.FromString(w.fake.MintToken(azurefake.MintOptions{}))
	_, err := w.Ensure(t.Context(), r)
	if !fault.Is(err, fault.EndpointDown) || !strings.Contains(fault.From(err).Fix(), "HTTPS_PROXY in the environment is ignored, write proxy: URL into /etc/azfilesauth/config.d/90-local.yaml") {
		t.Error(err)
	}
}
