package azurefake_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // the x5t of RFC 7515 4.1.7
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// identityCert is the certificate of an app with its key.
type identityCert struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
	pem  []byte // both
	err  error
}

// Making RSA keys takes long; there are only two.
var (
	newGoodCert  = sync.OnceValue(func() identityCert { return makeCert(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)) })
	newOtherCert = sync.OnceValue(func() identityCert { return makeCert(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)) })
)

func makeCert(end time.Time) (c identityCert) {
	if c.key, c.err = rsa.GenerateKey(rand.Reader, 2048); c.err != nil {
		return c
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, t, t, c.key.Public(), c.key)
	if err != nil {
		c.err = err
		return c
	}
	c.cert, c.err = x509.ParseCertificate(der)
	c.pem = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(c.key)})
	c.pem = append(c.pem, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	return c
}

func goodCert(t *testing.T) identityCert { return whole(t, newGoodCert()) }

// otherCert is one that ended in 2001.
func otherCert(t *testing.T) identityCert { return whole(t, newOtherCert()) }

func whole(t *testing.T, c identityCert) identityCert {
	t.Helper()
	if c.err != nil {
		t.Fatal(c.err)
	}
	return c
}

const tokenURL = "https://login.microsoftonline.com/" + azurefake.TenantID + "/oauth2/v2.0/token"

// newTokenRequest is a right request with a secret, after changes to its form; an empty value removes.
func newTokenRequest(t *testing.T, to string, changes ...string) *http.Request {
	t.Helper()
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {appID}, "client_secret": {appSecret},
		"scope": {"https://storage.azure.com/.default openid offline_access profile"},
	}
	for i := 0; i < len(changes); i += 2 {
		if form.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	req, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// byAssertion is a right request with an assertion.
func byAssertion(t *testing.T, assertion string) *http.Request {
	t.Helper()
	return newTokenRequest(t, tokenURL, "client_secret", "", "client_assertion", assertion,
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
}

// jwt is an assertion in the making. The zero one is right.
type jwt struct {
	signer         *rsa.PrivateKey
	names          *x509.Certificate
	alg            string
	sha1           bool
	issuer, sub    string
	audience       any
	from, to       time.Duration // from noon
	padded, noSign bool
}

func (j jwt) text(t *testing.T) string {
	t.Helper()
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	set(&j.alg, "PS256")
	set(&j.issuer, appID)
	set(&j.sub, j.issuer)
	if j.audience == nil {
		j.audience = tokenURL
	}
	if j.signer == nil {
		j.signer = goodCert(t).key
	}
	if j.names == nil {
		j.names = goodCert(t).cert
	}
	if j.to == 0 {
		j.to = 10 * time.Minute
	}
	claims := map[string]any{
		"iss": j.issuer, "sub": j.sub, "aud": j.audience, "jti": "x",
		"nbf": noon.Add(j.from).Unix(), "exp": noon.Add(j.to).Unix(),
	}
	text := segment(t, j.header()) + "." + segment(t, claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(j.sign(t, text))
}

func (j jwt) header() map[string]string {
	encode := base64.RawURLEncoding
	if j.padded {
		encode = base64.StdEncoding
	}
	if j.sha1 {
		hash := sha1.Sum(j.names.Raw)
		return map[string]string{"alg": j.alg, "x5t": encode.EncodeToString(hash[:])}
	}
	hash := sha256.Sum256(j.names.Raw)
	return map[string]string{"alg": j.alg, "x5t#S256": encode.EncodeToString(hash[:])}
}

func (j jwt) sign(t *testing.T, text string) []byte {
	t.Helper()
	hash := sha256.Sum256([]byte(text))
	var signature []byte
	var err error
	switch {
	case j.noSign:
	case j.alg == "RS256":
		signature, err = rsa.SignPKCS1v15(nil, j.signer, crypto.SHA256, hash[:])
	default:
		signature, err = rsa.SignPSS(rand.Reader, j.signer, crypto.SHA256, hash[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func segment(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func TestCertificateAssertions(t *testing.T) {
	f := start(t, azurefake.Options{Apps: apps(t)})
	other := otherCert(t)
	const expiredID = "a9900000-0000-4000-8000-000000000005"
	if err := f.SetApp(azurefake.App{ClientID: expiredID, CertPEM: other.pem}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		jwt  jwt
		want string // the code; "" is a token
	}{
		"PS256":                {jwt{}, ""},
		"RS256":                {jwt{alg: "RS256"}, ""},
		"SHA-1 thumbprint":     {jwt{alg: "RS256", sha1: true}, ""},
		"padded":               {jwt{padded: true}, ""},
		"for the issuer":       {jwt{audience: "https://login.microsoftonline.com/" + azurefake.TenantID + "/v2.0"}, ""},
		"for several":          {jwt{audience: []string{"x", tokenURL}}, ""},
		"within the tolerance": {jwt{from: 4 * time.Minute, to: time.Hour}, ""},
		"other key":            {jwt{signer: other.key}, "AADSTS700027"},
		"other certificate":    {jwt{names: other.cert}, "AADSTS700027"},
		"both":                 {jwt{signer: other.key, names: other.cert}, "AADSTS700027"},
		"no signature":         {jwt{noSign: true}, "AADSTS700027"},
		"alg none":             {jwt{alg: "none", noSign: true}, "AADSTS700027"},
		"alg HS256":            {jwt{alg: "HS256"}, "AADSTS700027"},
		"other audience":       {jwt{audience: "https://login.microsoftonline.us/" + azurefake.TenantID + "/oauth2/v2.0/token"}, "AADSTS700023"},
		"no audience":          {jwt{audience: []string{}}, "AADSTS700023"},
		"other client":         {jwt{issuer: otherID}, "AADSTS700021"},
		"other issuer":         {jwt{issuer: otherID, sub: appID}, "AADSTS700021"},
		"other subject":        {jwt{sub: otherID}, "AADSTS700021"},
		"expired":              {jwt{from: -time.Hour, to: -6 * time.Minute}, "AADSTS700024"},
		"not yet valid":        {jwt{from: 6 * time.Minute, to: time.Hour}, "AADSTS700024"},
	} {
		resp, body := do(t, f, byAssertion(t, tc.jwt.text(t)))
		if tc.want == "" && resp.StatusCode != 200 || tc.want != "" && !strings.Contains(string(body), tc.want) {
			t.Errorf("%s: status %d: %s, want %s", name, resp.StatusCode, body, tc.want)
		}
	}
	req := newTokenRequest(t, tokenURL, "client_secret", "", "client_id", expiredID, "client_assertion", jwt{signer: other.key, names: other.cert, issuer: expiredID}.text(t),
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	if _, body := do(t, f, req); !strings.Contains(string(body), "expired") {
		t.Errorf("certificate of 2001: %s", body)
	}
}

// TestFederatedAssertions has those that a client can come by in wrong ways.
func TestFederatedAssertions(t *testing.T) {
	now := noon
	var mu sync.Mutex
	f := start(t, azurefake.Options{Apps: apps(t), Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	token := f.FederatedToken(appID)
	head, _, _ := strings.Cut(token, ".")
	for name, tc := range map[string]struct {
		assertion, want string
	}{
		"right":           {token, ""},
		"line end":        {token + "\n", "AADSTS50027"},
		"two parts":       {token[:strings.LastIndexByte(token, '.')], "AADSTS50027"},
		"not JSON":        {"e.e.e", "AADSTS50027"},
		"other's":         {f.FederatedToken(otherID), "AADSTS70021"},
		"forged":          {head + "." + segment(t, map[string]any{"iss": "i", "sub": "s", "aud": "a"}) + ".AAAA", "AADSTS70021"},
		"an access token": {f.MintToken(azurefake.MintOptions{AppID: appID}), "AADSTS70021"},
	} {
		resp, body := do(t, f, byAssertion(t, tc.assertion))
		if tc.want == "" && resp.StatusCode != 200 || tc.want != "" && !strings.Contains(string(body), tc.want+":") {
			t.Errorf("%s: status %d: %s, want %s", name, resp.StatusCode, body, tc.want)
		}
	}
	if resp, _ := do(t, f, newExchange(t, exchangeTo, token)); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("storage takes the federated token: status %d", resp.StatusCode)
	}
	mu.Lock()
	now = noon.Add(time.Hour + 6*time.Minute)
	mu.Unlock()
	if _, body := do(t, f, byAssertion(t, token)); !strings.Contains(string(body), "AADSTS700024:") {
		t.Errorf("after an hour: %s", body)
	}
}
