package azurefake

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"time"
)

// App is an application that is registered with Entra, that is a service principal. It has as many
// of the three kinds of credential as its fields give it.
type App struct {
	ClientID string `json:"clientID"`           // the application id, a GUID
	TenantID string `json:"tenantID,omitempty"` // where it is registered, a GUID or a domain; default TenantID
	ObjectID string `json:"objectID,omitempty"` // the principal's id, a GUID; default one that follows from ClientID
	// Authority is a host of the cloud that the app is registered in; "" is every cloud.
	Authority string `json:"authority,omitempty"`

	Secret    string `json:"secret,omitempty"`    // its client secret
	CertPEM   []byte `json:"certPEM,omitempty"`   // the certificate of its RSA key, in PEM; whatever else is in it is skipped
	Federated bool   `json:"federated,omitempty"` // it trusts the tokens of Fake.FederatedToken
}

// registration is an app as Entra knows it.
type registration struct {
	App
	cloud     string            // of Authority; "" is every cloud
	cert      *x509.Certificate // of CertPEM; nil is none
	federated string            // the one federated token that is not superseded
}

func (r *registration) isIn(cloud, tenant string) bool {
	return (r.cloud == "" || r.cloud == cloud) && strings.EqualFold(r.TenantID, tenant)
}

// directory holds the registered apps by client id in lower case.
type directory struct {
	mu   sync.Mutex
	apps map[string]*registration
}

// SetApp registers an app, in the place of one with the same client id if there is one. A federated
// token of the former one is of no use any more.
func (f *Fake) SetApp(a App) error {
	r, err := f.register(a)
	if err != nil {
		return err
	}
	f.apps.mu.Lock()
	defer f.apps.mu.Unlock()
	f.apps.apps[strings.ToLower(a.ClientID)] = r
	return nil
}

func (f *Fake) register(a App) (*registration, error) {
	if a.ClientID == "" {
		return nil, fmt.Errorf("azurefake: an app without a client id")
	}
	setDefault(&a.TenantID, TenantID)
	sum := sha256.Sum256([]byte(strings.ToLower(a.ClientID)))
	setDefault(&a.ObjectID, guidText(sum[:16]))
	r := &registration{App: a}
	if a.Authority != "" {
		if r.cloud = f.clouds[strings.ToLower(a.Authority)]; r.cloud == "" {
			return nil, fmt.Errorf("azurefake: app %s: %q is no authority's host", a.ClientID, a.Authority)
		}
	}
	var err error
	if a.CertPEM != nil {
		if r.cert, err = parseCertificate(a.CertPEM); err != nil {
			return nil, fmt.Errorf("azurefake: app %s: %w", a.ClientID, err)
		}
	}
	return r, nil
}

// parseCertificate finds the first certificate in a PEM file, which may have a private key as well.
func parseCertificate(text []byte) (*x509.Certificate, error) {
	for {
		block, rest := pem.Decode(text)
		switch {
		case block == nil:
			return nil, fmt.Errorf("there is no certificate in its PEM text")
		case block.Type == "CERTIFICATE":
			return x509.ParseCertificate(block.Bytes)
		}
		text = rest
	}
}

// hasTenant reports whether a cloud has the tenant: the one of all identities, or that of an app there.
func (d *directory) hasTenant(cloud, tenant string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.apps {
		if r.isIn(cloud, tenant) {
			return true
		}
	}
	return strings.EqualFold(tenant, TenantID)
}

// find returns a copy of the app that a tenant of a cloud has by this client id.
func (d *directory) find(cloud, tenant, client string) (registration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.apps[strings.ToLower(client)]
	if r == nil || !r.isIn(cloud, tenant) {
		return registration{}, false
	}
	return *r, true
}

// What a federated token says.
const (
	federatedLifetime = time.Hour
	federatedIssuer   = "https://oidc.azurefake.test/"
	federatedAudience = "api://AzureADTokenExchange" // what Entra expects by default
	federatedSubject  = "system:serviceaccount:default:"
)

// federatedClaims are those of a Kubernetes service account token.
type federatedClaims struct {
	Audience  []string `json:"aud"`
	Expiry    int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	Issuer    string   `json:"iss"`
	TokenID   string   `json:"jti"`
	NotBefore int64    `json:"nbf"`
	Subject   string   `json:"sub"`
}

// FederatedToken makes the service account token with which a Federated app authenticates, as the
// kubelet projects it into a pod: valid for an hour. The one before it is invalid from now on, so
// that a client is found out that keeps it. It panics when there is no such app, which is a mistake
// in the test.
func (f *Fake) FederatedToken(clientID string) string {
	token, err := f.federate(clientID)
	if err != nil {
		panic("azurefake: " + err.Error())
	}
	return token
}

func (f *Fake) federate(clientID string) (string, error) {
	f.apps.mu.Lock()
	defer f.apps.mu.Unlock()
	r := f.apps.apps[strings.ToLower(clientID)]
	if r == nil || !r.Federated {
		return "", fmt.Errorf("%q is no app that trusts federated tokens", clientID)
	}
	start, end := validity(f.now(), federatedLifetime)
	r.federated = f.federation.seal(federatedClaims{
		Audience: []string{federatedAudience}, Issuer: federatedIssuer, Subject: federatedSubject + r.ClientID,
		TokenID: newGUID(), IssuedAt: start.Unix(), NotBefore: start.Unix(), Expiry: end.Unix(),
	})
	return r.federated, nil
}

func newGUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // cannot fail
	return guidText(b)
}

func guidText(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
