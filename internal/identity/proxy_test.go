package identity

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// proxy is an HTTP proxy that leads every CONNECT (RFC 9110, 9.3.6) to the fake.
type proxy struct {
	server    *httptest.Server
	transport *http.Transport // through it
	connects  atomic.Int32
	refuse    atomic.Bool
}

func newProxy(t *testing.T, fake *azurefake.Fake) *proxy {
	t.Helper()
	p := new(proxy)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.connects.Add(1)
		if r.Method != http.MethodConnect || p.refuse.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		tunnel(t, w, fake.StorageAddr())
	}))
	t.Cleanup(p.server.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(fake.CA())
	u, err := url.Parse(p.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	p.transport = &http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(p.transport.CloseIdleConnections)
	return p
}

// tunnel connects the client with addr until either side ends.
func tunnel(t *testing.T, w http.ResponseWriter, addr string) {
	server, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	client, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connected\r\n\r\n")
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
	client.Close()
}
