package transport

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issued is a certificate with its key.
type issued struct {
	*x509.Certificate
	key crypto.Signer
}

// issue makes a certificate of a subject; without an issuer it signs itself.
func issue(t *testing.T, subject string, by *issued, change func(*x509.Certificate)) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: subject},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, crypto.Signer(key)
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{c, key}
}

func authority(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }

func server(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, n := range names {
			if ip := net.ParseIP(n); ip != nil {
				c.IPAddresses = append(c.IPAddresses, ip)
				continue
			}
			c.DNSNames = append(c.DNSNames, n)
		}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
}

func bundleOf(all ...*issued) []byte {
	var b bytes.Buffer
	for _, c := range all {
		b.WriteString("# a comment\n")
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes all
	}
	return b.Bytes()
}

// TestRoots compares what the roots of a bundle say of a server's certificates with what crypto/x509 says with a pool
// of the whole bundle.
func TestRoots(t *testing.T) {
	const host = "acct.file.core.windows.net"
	root, other := issue(t, "root", nil, authority), issue(t, "other", nil, authority)
	twin := issue(t, "root", nil, authority) // of the same subject, with another key
	middle := issue(t, "middle", root, authority)
	crossed := issue(t, "middle", other, func(c *x509.Certificate) { authority(c) })
	leaf := issue(t, "leaf", middle, server(host, "10.0.0.1"))
	self := issue(t, "self", nil, server(host))
	expired := issue(t, "old", middle, func(c *x509.Certificate) {
		server(host)(c)
		c.NotAfter = time.Now().Add(-time.Minute)
	})
	client := issue(t, "client", middle, func(c *x509.Certificate) {
		server(host)(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	noCA := issue(t, "nobody", root, server("nobody.example"))
	forged := issue(t, "forged", noCA, server(host))
	good := 0
	for name, c := range map[string]struct {
		host   string
		bundle []*issued
		chain  []*issued
	}{
		"good":                          {host, []*issued{other, root}, []*issued{leaf, middle}},
		"an address":                    {"10.0.0.1", []*issued{root}, []*issued{leaf, middle}},
		"another address":               {"10.0.0.2", []*issued{root}, []*issued{leaf, middle}},
		"twins":                         {host, []*issued{twin, root}, []*issued{leaf, middle}},
		"the wrong twin":                {host, []*issued{twin}, []*issued{leaf, middle}},
		"the root is sent too":          {host, []*issued{root}, []*issued{leaf, middle, root}},
		"in a mess":                     {host, []*issued{root}, []*issued{leaf, other, root, middle}},
		"without the one between":       {host, []*issued{root}, []*issued{leaf}},
		"trusted in the middle":         {host, []*issued{middle}, []*issued{leaf}},
		"trusted itself":                {host, []*issued{self, root}, []*issued{self}},
		"trusts itself alone":           {host, []*issued{root}, []*issued{self}},
		"unknown":                       {host, []*issued{other}, []*issued{leaf, middle}},
		"another issuer of the same":    {host, []*issued{other}, []*issued{leaf, middle, crossed}},
		"another host":                  {"acct2.file.core.windows.net", []*issued{root}, []*issued{leaf, middle}},
		"expired":                       {host, []*issued{root}, []*issued{expired, middle}},
		"not a server's":                {host, []*issued{root}, []*issued{client, middle}},
		"issued by one that is no CA":   {host, []*issued{root}, []*issued{forged, noCA}},
		"trusted, but for another name": {"example.com", []*issued{self}, []*issued{self}},
	} {
		t.Run(name, func(t *testing.T) {
			text := bundleOf(c.bundle...)
			whole := x509.NewCertPool()
			whole.AppendCertsFromPEM(text)
			options := x509.VerifyOptions{DNSName: c.host, Roots: whole, Intermediates: x509.NewCertPool()}
			var chain []*x509.Certificate
			for i, one := range c.chain {
				chain = append(chain, one.Certificate)
				if i > 0 {
					options.Intermediates.AddCert(one.Certificate)
				}
			}
			_, want := chain[0].Verify(options)
			got := parseRoots(text).verify(c.host, chain)
			var wrapped *tls.CertificateVerificationError
			if (want == nil) != (got == nil) || want != nil && (!errors.As(got, &wrapped) || wrapped.Err.Error() != want.Error()) {
				t.Errorf("%v\nwant %v", got, want)
			}
			if got == nil {
				good++
			}
		})
	}
	if good != 7 {
		t.Errorf("%d were accepted", good)
	}
	for _, c := range []struct {
		host  string
		chain []*x509.Certificate
	}{{"", []*x509.Certificate{leaf.Certificate, middle.Certificate}}, {host, nil}} {
		if parseRoots(bundleOf(root)).verify(c.host, c.chain) == nil {
			t.Errorf("%q with %d certificates was accepted", c.host, len(c.chain))
		}
	}
}

// TestRootsOfTheMachine reads the subjects of the machine's own bundle as crypto/x509 does.
func TestRootsOfTheMachine(t *testing.T) {
	text, err := os.ReadFile(caBundles[0])
	if err != nil {
		t.Skipf("needs the bundle of Debian's ca-certificates: %v", err)
	}
	found := parseRoots(text)
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		if n++; len(found[string(c.RawSubject)]) == 0 {
			t.Errorf("%s is missing", c.Subject)
		}
	}
	if n == 0 {
		t.Error("the bundle holds nothing")
	}
}

// TestTrustOfTheTransport meets a server that the bundle knows, and one that it does not.
func TestTrustOfTheTransport(t *testing.T) {
	known := issue(t, "root", nil, authority)
	for name, by := range map[string]*issued{"known": known, "a namesake": issue(t, "root", nil, authority)} {
		leaf := issue(t, "leaf", by, server("127.0.0.1"))
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: leaf.key}}} //nolint:gosec // a test
		s.StartTLS()
		file := filepath.Join(t.TempDir(), "bundle")
		if err := os.WriteFile(file, bundleOf(known), 0o600); err != nil {
			t.Fatal(err)
		}
		way, err := New(Options{Bundles: []string{"/nonexistent", file}})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: way}).Get(s.URL)
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != (by == known) {
			t.Errorf("%s: %v", name, err)
		}
		way.CloseIdleConnections()
		s.Close()
	}
}

// TestSingleCertificates trusts a file of its own in the machine's directory of certificates, where containers have those of
// their network, directly and through a proxy. crypto/x509 reads the directories once, hence the child process.
func TestSingleCertificates(t *testing.T) {
	if address := os.Getenv("TEST_SERVER"); address != "" {
		askBothWays(t, address)
		return
	}
	root := issue(t, "root", nil, authority)
	leaf := issue(t, "leaf", root, server("acct.file.core.windows.net"))
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: leaf.key}}} //nolint:gosec // a test
	s.StartTLS()
	defer s.Close()
	for name, trusted := range map[string]*issued{"its authority": root, "a namesake": issue(t, "root", nil, authority)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "corp.pem"), bundleOf(trusted), 0o600); err != nil {
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSingleCertificates$")
		child.Env = []string{"SSL_CERT_DIR=" + dir, "TEST_SERVER=" + s.Listener.Addr().String(), "PATH=" + os.Getenv("PATH")}
		out, err := child.CombinedOutput()
		if (err == nil) != (trusted == root) || err != nil && strings.Count(string(out), "certificate signed by unknown authority") != 2 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func askBothWays(t *testing.T, address string) {
	tunnel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		onward, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(onward, conn); _ = onward.Close() }()
		_, _ = io.Copy(conn, onward)
		_ = conn.Close()
	}))
	defer tunnel.Close()
	proxy, err := url.Parse(tunnel.URL)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == "acct.file.core.windows.net:443" {
			addr = address
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	for _, o := range []Options{{Dial: dial}, {Dial: dial, Proxy: proxy}} {
		way, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: way}).Get("https://acct.file.core.windows.net/")
		if err != nil {
			t.Errorf("by %v: %v", o.Proxy, err)
			continue
		}
		_ = resp.Body.Close()
		way.CloseIdleConnections()
	}
}

// TestRootsOfOddBundles trusts what crypto/x509 trusts, however the bundle is written.
func TestRootsOfOddBundles(t *testing.T) {
	const host = "acct.file.core.windows.net"
	root, other := issue(t, "root", nil, authority), issue(t, "other", nil, authority)
	large := issue(t, strings.Repeat("a name that does not end ", 100), nil, authority) // behind what is decoded first
	good := string(bundleOf(root))
	one, _ := strings.CutPrefix(good, "# a comment\n")
	replaced := func(old, by string) string { return strings.ReplaceAll(one, old, by) }
	for name, text := range map[string]string{
		"as it should be":      good,
		"a large name":         string(bundleOf(large)),
		"CRLF":                 replaced("\n", "\r\n"),
		"spaces at the ends":   replaced("\n", " \n"),
		"no line's end":        strings.TrimSpace(one),
		"text around it":       "subject=root\nissuer=root\n" + one + "more of it\n",
		"not a line's start":   "x" + one,
		"headers":              replaced("CERTIFICATE-----\nM", "CERTIFICATE-----\nProc-Type: 4\n\nM"),
		"another type":         replaced("CERTIFICATE", "TRUSTED CERTIFICATE"),
		"a key before it":      "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + one,
		"half a block":         one[:len(one)/2],
		"half a block, then":   one[:len(one)/2] + "\n" + one,
		"half of another":      string(bundleOf(other))[:200] + "\n" + one,
		"damaged":              replaced("A", "B"),
		"damaged at its end":   replaced("\n-----END", "*\n-----END"),
		"an empty one before":  "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" + one,
		"the end alone before": "-----END CERTIFICATE-----\n" + one,
		"twice":                one + one,
		"nothing":              "",
	} {
		by := root
		if name == "a large name" {
			by = large
		}
		leaf := issue(t, "leaf", by, server(host))
		whole := x509.NewCertPool()
		whole.AppendCertsFromPEM([]byte(text))
		_, want := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: whole})
		got := parseRoots([]byte(text)).verify(host, []*x509.Certificate{leaf.Certificate})
		if (got == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
