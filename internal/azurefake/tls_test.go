package azurefake_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

func TestCertificates(t *testing.T) {
	f := start(t, azurefake.Options{})
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(f.CA()) {
		t.Fatal("the CA is no PEM certificate")
	}
	dial := func(c *tls.Config) error {
		conn, err := tls.Dial("tcp", f.StorageAddr(), c)
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	for _, name := range []string{host, "acct.privatelink.file.core.windows.net", "nobody.file.core.windows.net"} {
		if err := dial(&tls.Config{RootCAs: pool, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := dial(&tls.Config{RootCAs: pool, ServerName: host, MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	if err := dial(&tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
	var unknown x509.UnknownAuthorityError
	if err := dial(&tls.Config{RootCAs: x509.NewCertPool(), ServerName: host}); !errors.As(err, &unknown) {
		t.Errorf("without the CA: %v", err)
	}
}

func TestUntrusted(t *testing.T) {
	f := start(t, azurefake.Options{})
	f.Order(azurefake.Order{Target: azurefake.TargetStorage, Host: host, Untrusted: true, Times: 1})
	other := newExchange(t, "https://"+otherHost+"/?restype=service&comp=kerbticket", f.MintToken(azurefake.MintOptions{}))
	if resp, _ := do(t, f, other); resp.StatusCode != http.StatusOK {
		t.Errorf("another host: status %d", resp.StatusCode)
	}
	resp, err := f.Transport().RoundTrip(newExchange(t, exchangeTo, "any"))
	if err == nil {
		resp.Body.Close()
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("got %v, want an unknown authority", err)
	}
	if n := len(f.Requests()); n != 1 {
		t.Errorf("%d requests in the log; the refused one must not be there", n)
	}
	if resp, _ := exchange(t, f); resp.StatusCode != http.StatusOK {
		t.Errorf("after the order: status %d", resp.StatusCode)
	}
}

func TestGivenCA(t *testing.T) {
	cert, key, err := azurefake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, azurefake.Options{CACert: cert, CAKey: key})
	if string(f.CA()) != string(cert) {
		t.Error("another CA is in use")
	}
	req := newExchange(t, exchangeTo, f.MintToken(azurefake.MintOptions{}))
	resp, err := azurefake.DialTransport(f.StorageAddr(), f.IMDSAddr(), cert).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestTransportStaysHome: a test must never reach the network.
func TestTransportStaysHome(t *testing.T) {
	f := start(t, azurefake.Options{})
	for _, url := range []string{"http://example.com/", "https://" + host + ":8443/", "http://169.254.169.254:8080/"} {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := f.Transport().RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "nothing answers") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
