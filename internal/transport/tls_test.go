package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// TestHandshakes holds the names of handshakes that fail, with servers that speak real TLS or real bytes of it.
func TestHandshakes(t *testing.T) {
	fake, err := azurefake.Start(azurefake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	bundle := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(bundle, fake.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := selfSigned(t)
	speaks := func(c *tls.Config) func(net.Conn) {
		c.Certificates = []tls.Certificate{pair}
		return func(conn net.Conn) { _ = tls.Server(conn, c).Handshake() } // the client's error is looked at
	}
	answers := func(record ...byte) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = io.ReadFull(conn, make([]byte, 5)) // it has begun to say hello
			go func() { _, _ = conn.Write(record) }()
			_, _ = io.Copy(io.Discard, conn) // until it hangs up
		}
	}
	hello := append([]byte{22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2}, make([]byte, 32)...) // ServerHello of TLS 1.1 (RFC 4346, 7.4.1.3)
	hello = append(hello, 0, 0, 0x2f, 0)
	for name, c := range map[string]struct {
		server func(net.Conn)
		want   fault.Named
	}{
		"TLS 1.1 and older":         {speaks(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), fault.TLSVersion},
		"TLS 1.1, whatever we say":  {answers(hello...), fault.TLSVersion},
		"no cipher in common":       {speaks(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}}), fault.TLSVersion},
		"insufficient security":     {answers(21, 3, 3, 0, 2, 2, 71), fault.TLSVersion},
		"does not know the name":    {answers(21, 3, 3, 0, 2, 2, 112), fault.NotAzure},
		"wants our certificate":     {answers(21, 3, 3, 0, 2, 2, 116), fault.NotAzure},
		"sends nonsense":            {answers(22, 3, 3, 0, 4, 14, 0, 0, 0), fault.AnswerInvalid},
		"a certificate of somebody": {speaks(&tls.Config{}), fault.TLSUntrusted},
		"hangs up at our hello":     {func(conn net.Conn) { _, _ = conn.Read(make([]byte, 5)) }, fault.EndpointDown},
	} {
		client, server := net.Pipe()
		go func() { defer server.Close(); c.server(server) }()
		rt, err := New(Options{Bundles: []string{bundle}, Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: rt}).Get("https://acct.file.core.windows.net/")
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s: connected", name)
			continue
		}
		if f := Fault(t.Context(), err, "acct.file.core.windows.net"); !fault.Is(f, c.want) {
			t.Errorf("%s: %v (%v), want %v", name, f, err, c.want)
		}
	}
}

// A firewall that resets connections by the name in the hello refuses them; Azure is not busy.
func TestResetInTheHandshake(t *testing.T) {
	rt, err := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		return reset{ours}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: rt}).Get("https://acct.file.core.windows.net/")
	if err == nil {
		resp.Body.Close()
		t.Fatal("connected")
	}
	if f := Fault(t.Context(), err, "acct.file.core.windows.net"); !fault.Is(f, fault.EndpointDown) || !strings.Contains(f.Sentence(), "connection reset by peer") || !strings.Contains(f.Fix(), "firewalls") {
		t.Errorf("%v", f)
	}
}

// reset is a connection that is reset as soon as something was sent.
type reset struct{ net.Conn }

func (c reset) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
}

// A machine that boots without a clock finds no certificate valid.
func TestCertificateAndClock(t *testing.T) {
	for invalid, want := range map[error]bool{
		x509.CertificateInvalidError{Reason: x509.Expired, Detail: "current time 1970-01-01T00:00:10Z is before 2026-01-01T00:00:00Z"}: true,
		x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}:                                                                 false,
		x509.UnknownAuthorityError{}: false,
	} {
		f := Fault(t.Context(), &tls.CertificateVerificationError{Err: invalid}, "host")
		if !fault.Is(f, fault.TLSUntrusted) || strings.Contains(f.Fix(), "timedatectl") != want {
			t.Errorf("%v: %v", invalid, f)
		}
	}
}

// selfSigned is a certificate of nobody whom the client trusts.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"acct.file.core.windows.net"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
