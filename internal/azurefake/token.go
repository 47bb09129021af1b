package azurefake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// Ids that stand in tokens.
const (
	TenantID       = "7e0a0000-0000-4000-8000-000000000001" // the tenant of all identities
	SystemClientID = "5e570000-0000-4000-8000-000000000001" // the system identity's client id
	SystemObjectID = "5e570000-0000-4000-8000-000000000002" // the system identity's object id
	UserObjectID   = "b1000000-0000-4000-8000-000000000001" // MintToken's default
)

// systemName is what orders and the log call the system identity.
const systemName = "system"

// StorageAudience is the audience that storage accounts accept, to the letter.
const StorageAudience = "https://storage.azure.com"

// defaultTokenLifetime is what the metadata service gives.
const defaultTokenLifetime = 24 * time.Hour

// MintOptions describe a token that a user brings along.
type MintOptions struct {
	ObjectID string        `json:"objectID,omitempty"` // default UserObjectID
	AppID    string        `json:"appID,omitempty"`    // default none
	TenantID string        `json:"tenantID,omitempty"` // default TenantID
	Audience string        `json:"audience,omitempty"` // default StorageAudience
	Managed  string        `json:"managed,omitempty"`  // resource id of a managed identity; default none
	Lifetime time.Duration `json:"lifetime,omitempty"` // in JSON nanoseconds; default 1 h, negative = it ended that long ago
}

// MintToken makes an access token that the storage accounts know as issued by Entra.
func (f *Fake) MintToken(o MintOptions) string {
	setDefault(&o.ObjectID, UserObjectID)
	setDefault(&o.TenantID, TenantID)
	setDefault(&o.Audience, StorageAudience)
	setDefault(&o.Lifetime, time.Hour)
	token, _ := f.tokens.issue(claims{
		Audience: o.Audience, ObjectID: o.ObjectID, AppID: o.AppID, TenantID: o.TenantID, Managed: o.Managed,
	}, f.now(), o.Lifetime)
	return token
}

// claims of an access token, by the names that Entra's v1.0 tokens have.
type claims struct {
	Audience  string `json:"aud"`
	Issuer    string `json:"iss"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	Expiry    int64  `json:"exp"`
	AppID     string `json:"appid,omitempty"`
	ObjectID  string `json:"oid"`
	Managed   string `json:"xms_mirid,omitempty"`
	Subject   string `json:"sub"`
	TenantID  string `json:"tid"`
	TokenID   string `json:"uti"`
	Version   string `json:"ver"`
}

// identity is the name by which orders and the log know the owner.
func (c claims) identity() string {
	return ManagedIdentity{ClientID: c.AppID, ObjectID: c.ObjectID}.name()
}

// tokenIssuer signs tokens with a key of its own (HS256, RFC 7518 3.2), so that it recognises its
// own and no other. Clients cannot tell: to them an access token is opaque.
type tokenIssuer struct{ key []byte }

func newTokenIssuer() *tokenIssuer {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // cannot fail
	return &tokenIssuer{key}
}

// issue completes the claims and signs them (RFC 7519).
func (t *tokenIssuer) issue(c claims, now time.Time, lifetime time.Duration) (string, claims) {
	c.TokenID = rand.Text()
	c.Issuer = "https://sts.windows.net/" + c.TenantID + "/"
	c.Subject, c.Version = c.ObjectID, "1.0"
	start, end := validity(now, lifetime)
	c.IssuedAt, c.NotBefore, c.Expiry = start.Unix(), start.Unix(), end.Unix()
	return t.seal(c), c
}

// seal makes a signed token of claims that are texts and numbers only.
func (t *tokenIssuer) seal(claims any) string {
	payload, _ := json.Marshal(claims)
	text := encodeSegment([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." + encodeSegment(payload)
	return text + "." + encodeSegment(t.sign(text))
}

// validity is a span of time that begins now or, when it is negative, ended so long ago.
func validity(now time.Time, lifetime time.Duration) (start, end time.Time) {
	now = now.UTC().Truncate(time.Second)
	if lifetime < 0 {
		end = now.Add(lifetime)
		return end.Add(-time.Hour), end
	}
	return now, now.Add(lifetime)
}

func (t *tokenIssuer) sign(text string) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// verify returns the claims of a token of ours; whether they suffice is for the server to say.
func (t *tokenIssuer) verify(token string) (claims, bool) {
	var c claims
	ok := t.open(token, &c)
	return c, ok
}

// open reads the claims of a token of ours.
func (t *tokenIssuer) open(token string, into any) bool {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 || !hmac.Equal([]byte(token[dot+1:]), []byte(encodeSegment(t.sign(token[:dot])))) {
		return false
	}
	_, payload, _ := strings.Cut(token[:dot], ".")
	return decodeSegment(payload, into)
}

func encodeSegment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
