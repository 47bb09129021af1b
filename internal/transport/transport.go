// Package transport is how the program reaches Azure: TLS, trusted certificates, proxies and their
// exceptions, the bounds on dialing, and which failure of the table an error of the network or a wrong clock is.
//
// Invariants: the environment has no say in where a connection goes or whom it trusts; nothing is opened
// before a connection is made; no error holds more of a proxy than its host.
package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// DialFunc makes a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

const defaultConnectTimeout = 10 * time.Second

// Options say how to reach Azure.
type Options struct {
	ConnectTimeout time.Duration // for a connection with its TLS handshake; zero is 10 s
	Proxy          *url.URL      // an http or https URL; nil is none
	NoProxy        string        // what is reached without Proxy, in the form of Exceptions; "" is nothing
	Source         string        // who names Proxy, for messages
	Ignored        string        // the variable of the environment that names a proxy and does not count, "" for none

	Bundles []string // files with trusted certificates, of which the first counts before the machine's; nil is the machine's alone
	Dial    DialFunc // nil is the dialer of package net
}

// New makes the HTTP transport of the program. The environment has no say in it: what works
// by hand then works in the kernel's helper too. It opens nothing before a connection is made, so that
// the way of a cached ticket reads no certificate. Its error is a fault about the proxy's URL.
func New(o Options) (*http.Transport, error) {
	proxy, err := proxyFunc(o.Proxy, o.NoProxy)
	if err != nil {
		return nil, err
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = defaultConnectTimeout
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: o.ConnectTimeout}).DialContext
	}
	o.Dial = detouring(o.Dial)
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	// Called right before any handshake that uses config, hence before anybody else reads the field. Through a proxy
	// it is net/http that shakes hands, which takes nothing but a whole pool: that of crypto/x509 when there is none.
	trust := sync.OnceFunc(func() { config.RootCAs = firstBundle(o.Bundles) })
	bundles := o.Bundles
	if bundles == nil {
		bundles = caBundles
	}
	direct := directly(config, bundles, trust)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // one request in a long while gains nothing from HTTP/2
	return &http.Transport{
		Proxy: proxy,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, done := untilGivenUp(ctx)
			defer done()
			return o.Dial(ctx, network, addr)
		},
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, done := untilGivenUp(ctx)
			defer done()
			ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
			defer cancel()
			return dialTLS(ctx, o.Dial, direct, network, addr)
		},
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return &ProxyError{proxy.Host, resp.Status}
			}
			trust()
			return nil
		},
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    o.ConnectTimeout,
		Protocols:              protocols,
		DisableCompression:     true, // a bound on the body would have to count twice
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           256, // a watcher has many accounts
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        90 * time.Second,
	}, nil
}

// dialTLS connects and shakes hands within ctx.
func dialTLS(ctx context.Context, dial DialFunc, config func(host string) *tls.Config, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	plain, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, config(host))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close() // the handshake's error is the one that counts
		return nil, &handshakeError{err}
	}
	return conn, nil
}

// handshakeError is why a handshake of TLS did not end, which is before anything was asked.
type handshakeError struct{ error }

func (e *handshakeError) Unwrap() error { return e.error }

// caBundles are where distributions keep all trusted certificates in one file: Debian and Ubuntu,
// RHEL, SLES, Azure Linux, and the path that OpenSSL falls back to.
var caBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// firstBundle is firstRoots as a pool; nil leaves the search to crypto/x509.
func firstBundle(files []string) *x509.CertPool {
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if pool := x509.NewCertPool(); pool.AppendCertsFromPEM(pem) {
			return pool
		}
	}
	return nil
}
