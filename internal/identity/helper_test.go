package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

const (
	tenant = azurefake.TenantID
	public = "login.microsoftonline.com"
	// secretText has what a form encodes.
	secretText = "s3cr3t~/+=&?<\"x"
)

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// mine is this machine with the caller as its trusted user.
func mine() host.Host { return host.Real().Trusting(os.Geteuid()) }

// answer makes an answer of a transport.
func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// noSecret formats an error in every way and looks for the secrets.
func noSecret(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
			for _, s := range secrets {
				if text := fmt.Sprintf(verb, err); strings.Contains(text, s) {
					t.Fatalf("%s of a %T shows %.12s...", verb, err, s)
				}
			}
		}
	}
}

// refuses makes a request that must fail.
func refuses(t *testing.T, i Identity, o Options, want fault.Named, parts ...string) *fault.Fault {
	t.Helper()
	token, err := i.Token(t.Context(), o)
	return failed(t, token, err, want, parts...)
}

func failed(t *testing.T, token AccessToken, err error, want fault.Named, parts ...string) *fault.Fault {
	t.Helper()
	if !fault.Is(err, want) || !token.Value.Empty() {
		t.Fatalf("%v, want %s", err, want)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %q", err, part)
		}
	}
	return fault.From(err)
}

// rsaKey is one for all tests, for it takes a while to make.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// certificate makes a self-signed certificate for a key, in PEM.
func certificate(t *testing.T, public, private any, ends time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "app"},
		NotBefore: ends.Add(-10000 * time.Hour), NotAfter: ends,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// apps are an application by each of its credentials.
type apps struct {
	fake                           *azurefake.Fake
	options                        Options
	workload, secret, certificate  Identity
	tokenFile, secretFile, pemFile string
	cert                           []byte // the one in pemFile
	federated                      string // what is in tokenFile
}

// newApps registers the application in a tenant of a cloud; "" is each cloud.
func newApps(t *testing.T, o azurefake.Options, authority string) *apps {
	t.Helper()
	a := new(apps)
	a.fake, a.options = bench(t, o)
	a.cert = certificate(t, rsaKey().Public(), rsaKey(), time.Now().Add(1000*time.Hour))
	a.register(t, azurefake.App{ClientID: guid, Authority: authority, Secret: secretText, CertPEM: a.cert, Federated: true})
	dir := t.TempDir()
	a.tokenFile, a.secretFile, a.pemFile = filepath.Join(dir, "token"), filepath.Join(dir, "secret"), filepath.Join(dir, "app.pem")
	a.rotate(t)
	write(t, a.secretFile, secretText+"\n", 0o600)
	write(t, a.pemFile, string(a.cert)+string(pkcs8(t, rsaKey())), 0o400)
	a.workload = Identity{Kind: Workload, TenantID: tenant, ClientID: guid, TokenFile: a.tokenFile}
	a.secret = Identity{Kind: ServicePrincipal, TenantID: tenant, ClientID: guid, SecretFile: a.secretFile}
	a.certificate = Identity{Kind: ServicePrincipal, TenantID: tenant, ClientID: guid, CertificateFile: a.pemFile}
	return a
}

func (a *apps) register(t *testing.T, app azurefake.App) {
	t.Helper()
	if err := a.fake.SetApp(app); err != nil {
		t.Fatal(err)
	}
}

// rotate writes a new federated token; the one before is of no use any more.
func (a *apps) rotate(t *testing.T) {
	t.Helper()
	a.federated = a.fake.FederatedToken(guid)
	write(t, a.tokenFile, "\n"+a.federated+"\n", 0o644)
}

// all are the application's identities by name.
func (a *apps) all() map[string]Identity {
	return map[string]Identity{"workload": a.workload, "secret": a.secret, "certificate": a.certificate}
}

// write replaces a file.
func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	_ = os.Remove(name) // its mode may forbid to write to it
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
