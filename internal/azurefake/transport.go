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
			var d net.Dialer
			switch host, port, _ := net.SplitHostPort(addr); {
			case host == imdsHost && port == "80":
				return d.DialContext(ctx, network, imdsAddr)
			case arcAddr != "" && (addr == arcAddr || addr == "127.0.0.1:"+arcPort || addr == "localhost:"+arcPort):
				return d.DialContext(ctx, network, arcAddr)
			case port == "443":
				return d.DialContext(ctx, network, storageAddr)
			}
			return nil, fmt.Errorf("azurefake: nothing answers for %s", addr)
		},
	}
}
