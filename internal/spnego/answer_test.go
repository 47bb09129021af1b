package spnego_test

import (
	stdasn1 "encoding/asn1"
	"encoding/binary"
	"testing"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers as people write them.
const (
	spnegoOID = "1.3.6.1.5.5.2"
	krb5OID   = "1.2.840.113554.1.2.2"
	msKrb5OID = "1.2.840.48018.1.2.2"
)

// answer is a payload taken apart by other code than that which built it: what the kernel and the
// server see. The server's part needs the service key.
type answer struct {
	version, flags uint32
	key, token     []byte
	slack          []byte // what follows the token
	framing        string // object identifier of the outer framing
	mechanism      string // the one mechanism that is offered
	inner          string // object identifier of the inner framing
	ticket         []byte
	cipher         []byte // the encrypted authenticator
	sessionKey     []byte // of the ticket
	req            messages.APReq
	plain          []byte  // the decrypted authenticator
	fields         []uint8 // tags of the authenticator's fields, in order
}

// open takes a payload apart and fails the test where its form is wrong.
func open(t testing.TB, payload []byte, service *keytab.Keytab) answer {
	t.Helper()
	a := openMessage(t, payload)
	req := a.openToken(t)
	a.openRequest(t, req, service)
	return a
}

func openMessage(t testing.TB, payload []byte) answer {
	t.Helper()
	if len(payload) < 16 {
		t.Fatalf("a payload of %d bytes has no header", len(payload))
	}
	word := func(i int) uint32 { return binary.NativeEndian.Uint32(payload[4*i:]) }
	data := payload[16:]
	if uint64(word(2))+uint64(word(3)) > uint64(len(data)) {
		t.Fatalf("lengths %d and %d are beyond the %d bytes that follow the header", word(2), word(3), len(data))
	}
	key, data := data[:word(2)], data[word(2):]
	return answer{version: word(0), flags: word(1), key: key, token: data[:word(3)], slack: data[word(3):]}
}

// take reads one element that must be there, and gives what is in it.
func take(t testing.TB, s *cryptobyte.String, tag asn1.Tag) cryptobyte.String {
	t.Helper()
	var content cryptobyte.String
	if !s.ReadASN1(&content, tag) {
		t.Fatalf("no element with the tag %#x at the front of %x", uint8(tag), []byte(*s))
	}
	return content
}

func last(t testing.TB, s cryptobyte.String) {
	t.Helper()
	if !s.Empty() {
		t.Fatalf("%d bytes more than expected: %x", len(s), []byte(s))
	}
}

func takeOID(t testing.TB, s *cryptobyte.String) string {
	t.Helper()
	var oid stdasn1.ObjectIdentifier
	if !s.ReadASN1ObjectIdentifier(&oid) {
		t.Fatal("no object identifier")
	}
	return oid.String()
}

func context(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// openToken checks the form of both framings and gives the AP-REQ.
func (a *answer) openToken(t testing.TB) []byte {
	t.Helper()
	s := cryptobyte.String(a.token)
	outer := take(t, &s, 0x60)
	last(t, s)
	a.framing = takeOID(t, &outer)
	choice := take(t, &outer, context(0))
	last(t, outer)
	init := take(t, &choice, asn1.SEQUENCE)
	last(t, choice)
	types, mech := take(t, &init, context(0)), take(t, &init, context(2))
	last(t, init)
	list := take(t, &types, asn1.SEQUENCE)
	a.mechanism = takeOID(t, &list)
	last(t, list)
	gss := take(t, &mech, asn1.OCTET_STRING)
	last(t, mech)
	inner := take(t, &gss, 0x60)
	last(t, gss)
	a.inner = takeOID(t, &inner)
	var id uint16
	if !inner.ReadUint16(&id) || id != 0x0100 {
		t.Fatalf("the token's id is %#x", id)
	}
	return inner
}

// openRequest decrypts the ticket with the service key, and the authenticator with the key in it.
func (a *answer) openRequest(t testing.TB, req []byte, service *keytab.Keytab) {
	t.Helper()
	if err := a.req.Unmarshal(req); err != nil {
		t.Fatal(err)
	}
	a.ticket = rawTicket(t, req)
	a.cipher = a.req.EncryptedAuthenticator.Cipher
	if err := a.req.Ticket.DecryptEncPart(service, nil); err != nil {
		t.Fatal(err)
	}
	key := a.req.Ticket.DecryptedEncPart.Key
	a.sessionKey = key.KeyValue
	plain, err := crypto.DecryptEncPart(a.req.EncryptedAuthenticator, key, keyusage.AP_REQ_AUTHENTICATOR)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.req.DecryptAuthenticator(key); err != nil {
		t.Fatal(err)
	}
	a.plain, a.fields = plain, fieldsOf(t, plain)
}

func rawTicket(t testing.TB, req []byte) []byte {
	t.Helper()
	s := cryptobyte.String(req)
	app := take(t, &s, 0x6e)
	seq := take(t, &app, asn1.SEQUENCE)
	take(t, &seq, context(0))
	take(t, &seq, context(1))
	take(t, &seq, context(2))
	ticket := take(t, &seq, context(3))
	take(t, &seq, context(4))
	last(t, seq)
	return ticket
}

// fieldsOf lists the tag numbers in an authenticator.
func fieldsOf(t testing.TB, plain []byte) (tags []uint8) {
	t.Helper()
	s := cryptobyte.String(plain)
	app := take(t, &s, 0x62)
	seq := take(t, &app, asn1.SEQUENCE)
	for !seq.Empty() {
		var content cryptobyte.String
		var tag asn1.Tag
		if !seq.ReadAnyASN1(&content, &tag) {
			t.Fatal("the authenticator is not DER")
		}
		tags = append(tags, uint8(tag)&0x1f)
	}
	return tags
}
