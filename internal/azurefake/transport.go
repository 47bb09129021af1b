package azurefake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// imdsHost is the link-local address of the real metadata service.
const imdsHost = "169.254.169.254"

// DialTransport is what Fake.Transport is, for another process than the fake's: it gets the
// addresses as host:port and the CA in PEM. Azure Arc's agent is reached only if its address is given.
func DialTransport(storageAddr, imdsAddr string, ca []byte, arcAddr ...string) http.RoundTripper {
	return newTransport(storageAddr, imdsAddr, strings.Join(arcAddr, ""), ca)
}

func newTransport(storageAddr, imdsAddr, arcAddr string, ca []byte) *http.Transport {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if arcAddr != "" && (addr == arcAddr || addr == "127.0.0.1:"+arcPort || addr == "localhost:"+arcPort) {
				return new(net.Dialer).DialContext(ctx, network, arcAddr)
			}
			return Dial(storageAddr, imdsAddr)(ctx, network, addr)
		},
	}
}

// Dial makes the connections of a program that is to take the fake for Azure, for a transport of its own. What else
// listens on 127.0.0.1, such as a proxy, is reached as it is.
func Dial(storageAddr, imdsAddr string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, port, _ := net.SplitHostPort(addr)
		if host == imdsHost && port == "80" {
			addr = imdsAddr
		} else if port == "443" {
			addr = storageAddr
		} else if host != "127.0.0.1" {
			return nil, fmt.Errorf("azurefake: nothing answers for %s", addr)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}
