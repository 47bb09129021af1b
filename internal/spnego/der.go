package spnego

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Bits of an identifier octet (X.690, 8.1.2).
const (
	classApplication = 0x40
	constructed      = 0x20
)

// tagGeneralString is the type of a KerberosString (RFC 4120, 5.2.1). Implementations put UTF-8 in it.
const tagGeneralString = asn1.Tag(27)

// item writes one DER element, so that a structure in the code has the shape that it has in its RFC.
type item = cryptobyte.BuilderContinuation

func build(i item) ([]byte, error) {
	var b cryptobyte.Builder
	i(&b)
	return b.Bytes()
}

func node(tag asn1.Tag, items ...item) item {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(tag, func(b *cryptobyte.Builder) {
			for _, i := range items {
				i(b)
			}
		})
	}
}

func application(n uint8, items ...item) item {
	return node(asn1.Tag(classApplication|constructed|n), items...)
}

// field is an explicit context tag, as every field of the Kerberos and SPNEGO modules has one.
func field(n uint8, value item) item {
	return node(asn1.Tag(n).ContextSpecific().Constructed(), value)
}

func sequence(items ...item) item { return node(asn1.SEQUENCE, items...) }

func integer(v int64) item {
	return func(b *cryptobyte.Builder) { b.AddASN1Int64(v) }
}

func octets(v []byte) item {
	return func(b *cryptobyte.Builder) { b.AddASN1OctetString(v) }
}

func raw(v []byte) item {
	return func(b *cryptobyte.Builder) { b.AddBytes(v) }
}

func text(v string) item { return raw([]byte(v)) }

func generalString(v string) item { return node(tagGeneralString, text(v)) }

// noOptions is KerberosFlags (RFC 4120, 5.2.8) with none of its 32 bits set.
func noOptions() item {
	return func(b *cryptobyte.Builder) { b.AddASN1BitString(make([]byte, 4)) }
}

// generalizedTime is a KerberosTime (RFC 4120, 5.2.3): UTC without fractions.
func generalizedTime(t time.Time) item {
	return func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(t.UTC()) }
}
