package identity

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// Claims are what an access token says of itself.
type Claims struct {
	Audience string    // what it is for; the first one when there are several
	ObjectID string    // the principal, as role assignments name it
	AppID    string    // the client id
	TenantID string    // the tenant that issued it
	Expiry   time.Time // zero when it does not say
	Managed  string    // the resource id of the managed identity it was issued to; the machine's for a system-assigned one
}

// UserAssigned reports whether the token was issued to a user-assigned managed identity.
func (c Claims) UserAssigned() bool {
	return strings.Contains(strings.ToLower(c.Managed), "/userassignedidentities/")
}

// payload is the part of a JWT's claims set that matters here (RFC 7519, 4.1, and the access token
// claims of the Microsoft identity platform).
type payload struct {
	Audience audience    `json:"aud"`
	Expiry   json.Number `json:"exp"`
	ObjectID string      `json:"oid"`
	AppID    string      `json:"appid"`
	Party    string      `json:"azp"` // takes the place of appid in tokens of version 2
	TenantID string      `json:"tid"`
	Managed  string      `json:"xms_mirid"`
	Issuer   string      `json:"iss"`
	Subject  string      `json:"sub"`
}

// audience is one string or a list of them (RFC 7519, 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

func (a audience) first() string {
	if len(a) == 0 {
		return ""
	}
	return a[0]
}

// ClaimsOf reads the claims of an access token that is a JWT. Nothing is verified: it serves
// messages and early warnings, never a decision about trust. It reports false for any other token.
func ClaimsOf(token secret.Value) (Claims, bool) {
	p, ok := payloadOf(token)
	if !ok {
		return Claims{}, false
	}
	return Claims{
		Audience: p.Audience.first(), ObjectID: p.ObjectID, AppID: cmp.Or(p.AppID, p.Party), TenantID: p.TenantID,
		Managed: p.Managed, Expiry: p.expiry(),
	}, true
}

// Issued reports whether an access token that somebody brought says of itself that it was issued to this
// identity. Nothing is verified: it tells who is to be asked for the next one, not what is allowed.
func (i Identity) Issued(token secret.Value) bool {
	claims, ok := ClaimsOf(token)
	if !ok {
		return false
	}
	if i.Kind == System {
		return claims.Managed != "" && !claims.UserAssigned()
	}
	for _, id := range [][2]string{{i.ClientID, claims.AppID}, {i.ObjectID, claims.ObjectID}, {i.ResourceID, claims.Managed}} {
		if id[0] != "" {
			return strings.EqualFold(id[0], id[1])
		}
	}
	return false
}

// payloadOf decodes the middle one of the three parts of a signed JWT (RFC 7515, 7.1).
func payloadOf(token secret.Value) (p payload, ok bool) {
	if token.Len() > maxToken {
		return p, false
	}
	parts := strings.SplitN(token.RevealString(), ".", 4)
	if len(parts) != 3 {
		return p, false
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	return p, err == nil && json.Unmarshal(b, &p) == nil
}

// expiry is a time in seconds since 1970, possibly with a fraction (RFC 7519, 2, NumericDate).
func (p payload) expiry() time.Time {
	s, err := p.Expiry.Float64()
	if err != nil || s <= 0 || s > math.MaxUint32 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// isFor reports whether the token may be used for a resource. A token that does not say is left
// for the storage account to judge.
func (p payload) isFor(resource string) bool {
	return len(p.Audience) == 0 || slices.Contains(p.Audience, resource)
}
