package azurefake

import (
	"time"

	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The notation of RFC 4120: DER of SEQUENCEs whose members have explicit, context-specific tags.
// Errors stay in the builder and come out of its Bytes.

type builder = cryptobyte.Builder

// Tags that cryptobyte has no name for.
const (
	classApplication  = asn1.Tag(0x40)
	tagGeneralString  = asn1.Tag(27)
	tagConstructedBit = asn1.Tag(0x20)
)

// application is an [APPLICATION n] SEQUENCE, which all messages of Kerberos are.
func application(n asn1.Tag, members func(*builder)) ([]byte, error) {
	var b builder
	b.AddASN1(classApplication|tagConstructedBit|n, func(b *builder) {
		b.AddASN1(asn1.SEQUENCE, members)
	})
	return b.Bytes()
}

// member is the [n] of a SEQUENCE.
func member(b *builder, n asn1.Tag, content func(*builder)) {
	b.AddASN1(n.ContextSpecific().Constructed(), content)
}

func addSequence(b *builder, n asn1.Tag, members func(*builder)) {
	member(b, n, func(b *builder) { b.AddASN1(asn1.SEQUENCE, members) })
}

func addInt(b *builder, n asn1.Tag, v int64) {
	member(b, n, func(b *builder) { b.AddASN1Int64(v) })
}

func addOctets(b *builder, n asn1.Tag, v []byte) {
	member(b, n, func(b *builder) { b.AddASN1OctetString(v) })
}

func addTime(b *builder, n asn1.Tag, t time.Time) {
	member(b, n, func(b *builder) { b.AddASN1GeneralizedTime(t.UTC()) })
}

func addFlags(b *builder, n asn1.Tag, flags []byte) {
	member(b, n, func(b *builder) { b.AddASN1BitString(flags) })
}

func addString(b *builder, n asn1.Tag, s string) {
	member(b, n, func(b *builder) { generalString(b, s) })
}

func generalString(b *builder, s string) {
	b.AddASN1(tagGeneralString, func(b *builder) { b.AddBytes([]byte(s)) })
}

// addName is a PrincipalName (RFC 4120 5.2.2).
func addName(b *builder, n asn1.Tag, p principal) {
	addSequence(b, n, func(b *builder) {
		addInt(b, 0, p.nameType)
		addSequence(b, 1, func(b *builder) {
			for _, part := range p.parts {
				generalString(b, part)
			}
		})
	})
}

// addKey is an EncryptionKey (RFC 4120 5.2.9).
func addKey(b *builder, n asn1.Tag, key types.EncryptionKey) {
	addSequence(b, n, func(b *builder) {
		addInt(b, 0, int64(key.KeyType))
		addOctets(b, 1, key.KeyValue)
	})
}

// addEncrypted is an EncryptedData (RFC 4120 5.2.9); a version of 0 is left out.
func addEncrypted(b *builder, n asn1.Tag, e types.EncryptedData) {
	addSequence(b, n, func(b *builder) {
		addInt(b, 0, int64(e.EType))
		if e.KVNO != 0 {
			addInt(b, 1, int64(e.KVNO))
		}
		addOctets(b, 2, e.Cipher)
	})
}
