package azfiles

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

func TestNetworkErrors(t *testing.T) {
	op := func(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }
	sys := func(e syscall.Errno) error { return op("dial", os.NewSyscallError("connect", e)) }
	for _, c := range []struct {
		err  error
		want fault.Named
		asks int
	}{
		{op("dial", &net.DNSError{Err: "no such host", Name: testHost, IsNotFound: true}), fault.DNSFailed, 1},
		{op("dial", &net.DNSError{Err: "server misbehaving", Name: testHost, IsTemporary: true}), fault.DNSFailed, 4},
		{op("dial", &net.DNSError{Err: "i/o timeout", Name: testHost, IsTimeout: true}), fault.DNSFailed, 4},
		{sys(syscall.ECONNREFUSED), fault.EndpointDown, 4},
		{sys(syscall.ENETUNREACH), fault.EndpointDown, 4},
		{sys(syscall.EHOSTUNREACH), fault.EndpointDown, 4},
		{sys(syscall.ETIMEDOUT), fault.EndpointTimeout, 4},
		{op("dial", os.ErrDeadlineExceeded), fault.EndpointTimeout, 4},
		{context.DeadlineExceeded, fault.EndpointTimeout, 4},
		{op("read", os.NewSyscallError("read", syscall.ECONNRESET)), fault.AzureBusy, 4},
		{op("write", os.NewSyscallError("write", syscall.EPIPE)), fault.AzureBusy, 4},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), fault.AzureBusy, 4},
		{io.EOF, fault.AzureBusy, 4},
		{context.Canceled, fault.Interrupted, 1},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, fault.TLSUntrusted, 1},
		{x509.HostnameError{Certificate: new(x509.Certificate), Host: testHost}, fault.TLSUntrusted, 1},
		{x509.CertificateInvalidError{Reason: x509.Expired}, fault.TLSUntrusted, 1},
		{x509.SystemRootsError{Err: errors.New("none")}, fault.TLSUntrusted, 1},
		{op("remote error", errors.New("tls: handshake failure")), fault.TLSVersion, 1},
		{op("proxyconnect", sys(syscall.ECONNREFUSED)), fault.ProxyFailed, 4},
		{op("proxyconnect", &net.DNSError{Err: "no such host", Name: "proxy", IsNotFound: true}), fault.ProxyFailed, 1},
		{&transport.ProxyError{Proxy: "proxy:3128", Status: "407 Proxy Authentication Required"}, fault.ProxyFailed, 4},
		{errors.New("something new"), fault.EndpointDown, 4},
	} {
		b, asks := newBench(t, azurefake.Options{}), 0
		b.client.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			asks++
			return nil, c.err
		})
		f := b.refuses(c.want, 0)
		if asks != c.asks || !errors.Is(f, c.err) && f.Cause() == "" {
			t.Errorf("%v: asked %d times, want %d; cause %q", c.err, asks, c.asks, f.Cause())
		}
	}
}

// through is a client whose connections all go to one address.
func (b *bench) through(addr string) {
	t, err := transport.New(transport.Options{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(t.CloseIdleConnections)
	b.client.Transport = t
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	b := newBench(t, azurefake.Options{})
	b.through(l.Addr().String())
	if f := b.refuses(fault.EndpointDown, 0); !errors.Is(f, syscall.ECONNREFUSED) {
		t.Error(f)
	}
}

func TestNoTLS(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	b := newBench(t, azurefake.Options{})
	b.through(s.Listener.Addr().String())
	b.refuses(fault.AnswerInvalid, 0)
}

func TestOldTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	offered := make(chan []uint16, 8)
	s.TLS = &tls.Config{
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			offered <- hello.SupportedVersions
			return nil, nil
		},
	}
	s.StartTLS()
	defer s.Close()
	b := newBench(t, azurefake.Options{})
	b.client.Attempts = 1
	b.through(s.Listener.Addr().String())
	b.refuses(fault.TLSVersion, 0)
	if v := <-offered; slices.Min(v) < tls.VersionTLS12 {
		t.Errorf("offers %x", v)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: "storage", Untrusted: true})
	b.refuses(fault.TLSUntrusted, 0)

	// The fake's own authority is not one of this machine's.
	b = newBench(t, azurefake.Options{})
	b.through(b.fake.StorageAddr())
	b.refuses(fault.TLSUntrusted, 0)
}

// TestSilentHandshake has a peer that accepts and says nothing.
func TestSilentHandshake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := newBench(t, azurefake.Options{})
	tr, err := transport.New(transport.Options{ConnectTimeout: 100e6, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, l.Addr().String())
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.client.Transport = tr
	b.refuses(fault.EndpointTimeout, 0)
}
