package azfiles

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

func newProxy(t *testing.T, fake string, refuse int) *azurefake.Proxy {
	p, err := azurefake.StartProxy(fake, refuse)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// routes dials what the world would be: the fake behind every https address, its metadata service,
// and everything on loopback as it is.
func routes(t *testing.T, fake *azurefake.Fake) transport.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, port, _ := net.SplitHostPort(addr)
		switch {
		case addr == "169.254.169.254:80":
			addr = fake.IMDSAddr()
		case port == "443":
			addr = fake.StorageAddr()
		case host != "127.0.0.1":
			t.Errorf("connects to %s", addr)
		}
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
}

func bundle(t *testing.T, fake *azurefake.Fake) string {
	name := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(name, fake.CA(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestMain runs everything in an environment whose proxy must not be asked. It is set before the
// first request, because net/http looks once.
func TestMain(m *testing.M) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		_ = os.Setenv(name, "http://"+l.Addr().String())
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			envProxyAsked.Store(true)
		}
	}()
	os.Exit(m.Run())
}

var envProxyAsked atomic.Bool

func TestEnvironmentProxyIsIgnored(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	tr, err := transport.New(transport.Options{Bundles: []string{bundle(t, b.fake)}, Dial: routes(t, b.fake)})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.CloseIdleConnections()
	b.client.Transport = tr
	if _, err := b.exchange(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := (identity.Identity{Kind: identity.System}).Token(t.Context(), identity.Options{IMDS: tr}); err != nil {
		t.Error(err)
	}
	if envProxyAsked.Load() || len(b.fake.Requests()) != 2 {
		t.Errorf("requests to the fake: %v", b.fake.Requests())
	}
}

// TestLastAttemptThatIsCutShort has name servers that do not answer: each attempt waits as long as connections may, and the
// caller's time ends within the last one.
func TestLastAttemptThatIsCutShort(t *testing.T) {
	for first, want := range map[error]fault.Named{
		&net.DNSError{Err: "i/o timeout", Name: testHost, IsTimeout: true}: fault.DNSFailed,
		syscall.ECONNREFUSED:   fault.EndpointDown,
		os.ErrDeadlineExceeded: fault.EndpointTimeout,
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := fault.WithTimeout(t.Context(), 30*time.Second, fault.BoundTotal)
			defer cancel()
			c := Client{Transport: attempts(func(r *http.Request) (*http.Response, error) {
				select {
				case <-time.After(12 * time.Second):
					return nil, &net.OpError{Op: "dial", Err: first}
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			})}
			if _, err := c.Exchange(ctx, resolve(t, testHost), secret.FromString("eyJ.eyJ.x"), Caller{}); !fault.Is(err, want) {
				t.Errorf("%v: %v", first, err)
			}
		})
	}
}

type attempts func(*http.Request) (*http.Response, error)

func (a attempts) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// TestIMDSIsNotProxied has both transports of a machine with a proxy in its configuration.
func TestIMDSIsNotProxied(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	p := newProxy(t, b.fake.StorageAddr(), 0)
	transport := func(proxy *url.URL) *http.Transport {
		tr, err := transport.New(transport.Options{Proxy: proxy, Bundles: []string{bundle(t, b.fake)}, Dial: routes(t, b.fake)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tr.CloseIdleConnections)
		return tr
	}
	b.client.Transport = transport(&url.URL{Scheme: "http", Host: p.Addr})
	token, err := identity.Identity{Kind: identity.System}.Token(t.Context(), identity.Options{Transport: b.client.Transport, IMDS: transport(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Requests()) != 0 {
		t.Errorf("%d requests to the proxy for a token", len(p.Requests()))
	}
	b.token = token.Value
	if _, err := b.exchange(t.Context()); err != nil || len(p.Requests()) != 1 {
		t.Errorf("%v; %d requests to the proxy for a ticket", err, len(p.Requests()))
	}
	for _, r := range b.fake.Requests() {
		if r.Target == azurefake.TargetIMDS && r.Proxied {
			t.Error("IMDS is asked through a proxy")
		}
	}
}

func TestProxy(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	p := newProxy(t, b.fake.StorageAddr(), 0)
	tr, err := transport.New(transport.Options{
		Proxy:   &url.URL{Scheme: "http", Host: p.Addr, User: url.UserPassword("me", "pass-word")},
		Bundles: []string{bundle(t, b.fake)},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != p.Addr {
				t.Errorf("connects to %s", addr)
			}
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.CloseIdleConnections()
	b.client.Transport = tr
	if _, err := b.exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(p.Requests()) != 1 {
		t.Fatalf("%d requests to the proxy", len(p.Requests()))
	}
	r := p.Requests()[0]
	if r.Method != http.MethodConnect || r.Host != testHost+":443" || r.Header.Get("Proxy-Authorization") == "" || r.Header.Get("Authorization") != "" {
		t.Errorf("%s %s %v", r.Method, r.Host, r.Header)
	}
}

// TestProxyWithExceptions: Entra is reached through a proxy, the account has a private endpoint that the proxy does
// not reach.
func TestProxyWithExceptions(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	p := newProxy(t, b.fake.StorageAddr(), http.StatusBadGateway)
	for except, direct := range map[string]bool{
		"": false, "other.example": false, "x" + testHost: false, "." + testHost: false, "10.0.0.0/8": false, testHost + ":444": false,
		testHost: true, testHost + ":443": true, ".core.windows.net": true, "*.windows.net": true, "10.0.0.0/8,windows.net": true, "*": true,
	} {
		before := len(p.Requests())
		tr, err := transport.New(transport.Options{
			Proxy: &url.URL{Scheme: "http", Host: p.Addr}, NoProxy: except,
			Bundles: []string{bundle(t, b.fake)}, Dial: routes(t, b.fake),
		})
		if err != nil {
			t.Fatal(err)
		}
		b.client.Transport = tr
		_, err = b.exchange(t.Context())
		tr.CloseIdleConnections()
		if direct && (err != nil || len(p.Requests()) != before) || !direct && (!fault.Is(err, fault.ProxyFailed) || !strings.Contains(err.Error(), "no_proxy:")) {
			t.Errorf("%q: %v", except, err)
		}
		for host, past := range map[string]bool{"login.microsoftonline.com": except == "*", "10.1.2.3": strings.Contains(except, "10.") || except == "*"} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/", http.NoBody)
			if u, err := tr.Proxy(r); err != nil || (u == nil) != past {
				t.Errorf("%q: %s by way of %v, %v", except, host, u, err)
			}
		}
	}
}

func TestProxyRefuses(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	for _, status := range []int{403, 407, 502} {
		p := newProxy(t, b.fake.StorageAddr(), status)
		tr, err := transport.New(transport.Options{Proxy: &url.URL{Scheme: "http", Host: p.Addr, User: url.UserPassword("me", "pass-word")}})
		if err != nil {
			t.Fatal(err)
		}
		b.client.Transport = tr
		f := b.refuses(fault.ProxyFailed, 0)
		if missing := lacks(f.Cause(), p.Addr, http.StatusText(status)); len(missing) > 0 || strings.Contains(f.Error(), "pass-word") {
			t.Errorf("%d: %v", status, f)
		}
	}
}

func TestProxyDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	b := newBench(t, azurefake.Options{})
	tr, err := transport.New(transport.Options{Proxy: &url.URL{Scheme: "http", Host: l.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	b.client.Transport = tr
	b.refuses(fault.ProxyFailed, 0)
}

func TestProxyURL(t *testing.T) {
	for _, text := range []string{"socks5://proxy:1", "ftp://proxy", "//me:pass-word@proxy", "http://"} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = transport.New(transport.Options{Proxy: u}); !fault.Is(err, fault.ConfigInvalid) || strings.Contains(err.Error(), "pass-word") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestTrustIsReadLate makes the file with the certificates after the transport, and after a request
// that needs none.
func TestTrustIsReadLate(t *testing.T) {
	for name, useProxy := range map[string]bool{"direct": false, "proxy": true} {
		b := newBench(t, azurefake.Options{})
		file := filepath.Join(t.TempDir(), "ca.crt")
		o := transport.Options{Bundles: []string{file + ".missing", file}, Dial: routes(t, b.fake)}
		if useProxy {
			o.Proxy = &url.URL{Scheme: "http", Host: newProxy(t, b.fake.StorageAddr(), 0).Addr}
		}
		tr, err := transport.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if !useProxy {
			if _, err := (identity.Identity{Kind: identity.System}).Token(t.Context(), identity.Options{IMDS: tr}); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(file, b.fake.CA(), 0o644); err != nil {
			t.Fatal(err)
		}
		b.client.Transport = tr
		if _, err := b.exchange(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		tr.CloseIdleConnections()
	}
}

// TestNameForIPv6: where the account's own addresses cannot be reached, the name that the share is mounted by is
// used, with the account's certificate and for the account's ticket; a failure is told of the account.
func TestNameForIPv6(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	there := routes(t, b.fake)
	var dialled []string
	reachable := true
	unreached := func(addr string) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, Err: os.NewSyscallError("connect "+addr, syscall.ENETUNREACH)}
	}
	rt, err := transport.New(transport.Options{Bundles: []string{bundle(t, b.fake)}, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled = append(dialled, addr)
		if strings.HasPrefix(addr, testHost) || !reachable {
			return nil, unreached(addr)
		}
		return there(ctx, network, addr)
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.client.Transport = rt
	const name = "acct-ipv6.file.core.windows.net"
	cred, err := b.client.Exchange(t.Context(), resolve(t, name), b.token, Caller{})
	if want := []string{testHost + ":443", name + ":443"}; err != nil || !slices.Equal(dialled, want) || strings.Join(cred.Server.Components, "/") != "cifs/"+testHost {
		t.Errorf("%v: %v, %v", dialled, cred.Server, err)
	}
	rt.CloseIdleConnections()
	if _, err := b.client.Greet(t.Context(), resolve(t, name)); err != nil {
		t.Error(err)
	}
	rt.CloseIdleConnections()
	reachable = false
	for _, host := range []string{name, testHost} {
		if _, err := b.client.Exchange(t.Context(), resolve(t, host), b.token, Caller{}); !fault.Is(err, fault.EndpointDown, fault.IPv6Only) || !strings.Contains(err.Error(), testHost) {
			t.Errorf("%s: %v", host, err)
		}
	}
}
