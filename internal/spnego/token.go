package spnego

import (
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

// Contents of object identifiers.
const (
	oidSPNEGO = "\x2b\x06\x01\x05\x05\x02"             // 1.3.6.1.5.5.2 (RFC 4178)
	oidKrb5   = "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02" // 1.2.840.113554.1.2.2 (RFC 1964, 1)
	oidMSKrb5 = "\x2a\x86\x48\x82\xf7\x12\x01\x02\x02" // 1.2.840.48018.1.2.2 (MS-SPNG)
)

// tokenAPReq is the TOK_ID of an AP-REQ in a GSS-API token (RFC 4121, 4.1).
const tokenAPReq = "\x01\x00"

// negTokenInit is the whole security blob: a NegTokenInit (RFC 4178, 4.2.1) that offers one
// mechanism and carries its first token, and neither request flags nor a MIC. The mechanism's own
// token has the identifier of Kerberos also when mech is MSKrb5.
func negTokenInit(cred ccache.Credential, subkey []byte, mech Mechanism, now time.Time) ([]byte, error) {
	req, err := apReq(cred, subkey, now)
	if err != nil {
		return nil, err
	}
	inner, err := build(gssToken(oidKrb5, text(tokenAPReq), req))
	if err != nil {
		return nil, err
	}
	return build(gssToken(oidSPNEGO, field(0, sequence(
		field(0, sequence(objectIdentifier(mech.oid()))),
		field(2, octets(inner)),
	))))
}

// gssToken is the framing of a mechanism's first token (RFC 2743, 3.1): [APPLICATION 0] of the
// mechanism's identifier and whatever the mechanism wants to say.
func gssToken(mechanism string, content ...item) item {
	return application(0, append([]item{objectIdentifier(mechanism)}, content...)...)
}

func (m Mechanism) oid() string {
	if m == MSKrb5 {
		return oidMSKrb5
	}
	return oidKrb5
}

func objectIdentifier(content string) item { return node(asn1.OBJECT_IDENTIFIER, text(content)) }
