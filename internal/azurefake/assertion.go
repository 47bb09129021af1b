package azurefake

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" // the x5t of RFC 7515 4.1.7 is a SHA-1 thumbprint
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// clockTolerance is how far Entra lets a client's clock be wrong.
const clockTolerance = 5 * time.Minute

// assertion is a JSON Web Token by which a client authenticates (RFC 7523), not verified.
type assertion struct {
	text   string // as it was sent
	header struct {
		Algorithm        string `json:"alg"`
		Thumbprint       string `json:"x5t"`
		ThumbprintSHA256 string `json:"x5t#S256"`
	}
	claims struct {
		Audience  audience `json:"aud"`
		Expiry    int64    `json:"exp"`
		Issuer    string   `json:"iss"`
		NotBefore int64    `json:"nbf"`
		Subject   string   `json:"sub"`
	}
	signed    []byte
	signature []byte
}

// audience is one text or a list of them (RFC 7519 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// parseAssertion takes no line end, though the decoder would skip it: a client must not send that of
// a file.
func parseAssertion(text string) (*assertion, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	a := &assertion{text: text, signed: []byte(parts[0] + "." + parts[1])}
	var err error
	if a.signature, err = base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return nil, false
	}
	return a, decodeSegment(parts[0], &a.header) && decodeSegment(parts[1], &a.claims)
}

func decodeSegment(text string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && json.Unmarshal(raw, into) == nil
}

// byCertificate tells an assertion that the client signed from one that it was given.
func (a *assertion) byCertificate() bool {
	return a.header.Thumbprint != "" || a.header.ThumbprintSHA256 != ""
}

// certificateProblem says what is wrong with an assertion that the app's key should have signed; nil
// is nothing.
func (a *assertion) certificateProblem(app registration, audiences []string, now time.Time) *refusal {
	switch {
	case app.cert == nil || !a.names(app.cert.Raw):
		return &refusal{700027, fmt.Sprintf("The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '%X'.]", a.thumbprint())}
	case !a.signedBy(app.cert.PublicKey):
		return &refusal{700027, "Client assertion failed signature validation."}
	case now.After(app.cert.NotAfter) || now.Before(app.cert.NotBefore):
		return &refusal{700027, "Client assertion failed signature validation. [Reason - The key used is expired.]"}
	case a.claims.Issuer != a.claims.Subject || !strings.EqualFold(a.claims.Subject, app.ClientID):
		return &refusal{700021, "Client assertion application identifier doesn't match 'client_id' parameter."}
	case !slices.ContainsFunc(a.claims.Audience, func(s string) bool { return slices.Contains(audiences, s) }):
		return &refusal{700023, "Client assertion audience claim does not match Realm issuer."}
	}
	return a.timeProblem(now)
}

// thumbprint is the hash by which the header names a certificate. Some clients write it with the
// alphabet of plain base64 and with padding, which Entra takes too.
func (a *assertion) thumbprint() []byte {
	text := a.header.ThumbprintSHA256
	if text == "" {
		text = a.header.Thumbprint
	}
	text = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(text)
	hash, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return hash
}

// names reports whether the header names this certificate (RFC 7515 4.1.7 and 4.1.8).
func (a *assertion) names(der []byte) bool {
	if a.header.ThumbprintSHA256 != "" {
		hash := sha256.Sum256(der)
		return bytes.Equal(a.thumbprint(), hash[:])
	}
	hash := sha1.Sum(der)
	return bytes.Equal(a.thumbprint(), hash[:])
}

// signedBy verifies the two signatures that Entra takes from clients (RFC 7518 3.3 and 3.5).
func (a *assertion) signedBy(key crypto.PublicKey) bool {
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return false
	}
	hash := sha256.Sum256(a.signed)
	switch a.header.Algorithm {
	case "RS256":
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, hash[:], a.signature) == nil
	case "PS256":
		return rsa.VerifyPSS(public, crypto.SHA256, hash[:], a.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	}
	return false
}

func (a *assertion) timeProblem(now time.Time) *refusal {
	from, to := time.Unix(a.claims.NotBefore, 0), time.Unix(a.claims.Expiry, 0)
	if now.Before(from.Add(-clockTolerance)) || now.After(to.Add(clockTolerance)) {
		return a.outOfTime(now)
	}
	return nil
}

func (a *assertion) outOfTime(now time.Time) *refusal {
	from, to := time.Unix(a.claims.NotBefore, 0), time.Unix(a.claims.Expiry, 0)
	return &refusal{700024, fmt.Sprintf("Client assertion is not within its valid time range. Current time: %s, assertion valid from %s, expiry time of assertion %s.",
		timeText(now), timeText(from), timeText(to))}
}

// federatedProblem says what is wrong with an assertion that should be the app's federated token;
// nil is nothing. One that was superseded is treated as one whose time is over, which is what a
// client that keeps tokens meets in truth.
func (f *Fake) federatedProblem(app registration, a *assertion, now time.Time) *refusal {
	var c federatedClaims
	if !app.Federated || !f.federation.open(a.text, &c) || c.Subject != federatedSubject+app.ClientID {
		return &refusal{70021, fmt.Sprintf("No matching federated identity record found for presented assertion. Assertion Issuer: '%s'. Assertion Subject: '%s'. Assertion Audience: '%s'.",
			a.claims.Issuer, a.claims.Subject, strings.Join(a.claims.Audience, " "))}
	}
	if a.text != app.federated {
		return a.outOfTime(now)
	}
	return a.timeProblem(now)
}
