package spnego_test

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/spnego"
)

// realCredential is a ticket of MIT's KDC, and the service's keytab.
func realCredential(t testing.TB) (ccache.Credential, *keytab.Keytab) {
	t.Helper()
	data, err := os.ReadFile("testdata/svconly")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := ccache.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	cred, ok := cache.Ticket("cifs/" + testHost)
	if !ok {
		t.Fatal("testdata/svconly holds no ticket")
	}
	service, err := keytab.Load("testdata/svc.keytab")
	if err != nil {
		t.Fatal(err)
	}
	return cred, service
}

func payloadOf(t testing.TB, cred ccache.Credential, mech spnego.Mechanism, now time.Time) []byte {
	t.Helper()
	p, err := spnego.Payload(cred, mech, now)
	if err != nil {
		t.Fatal(err)
	}
	return p.Reveal()
}

// blank gives data with the one occurrence of part, which is random, replaced by zeroes.
func blank(t testing.TB, data, part []byte) []byte {
	t.Helper()
	if bytes.Count(data, part) != 1 {
		t.Fatalf("found %d times, not once", bytes.Count(data, part))
	}
	return bytes.Replace(data, part, make([]byte, len(part)), 1)
}

// At the same moment, our answer is cifs.upcall's, byte for byte, but for the random parts and the
// four bytes of slack that it sends.
func TestSameAsCIFSUpcall(t *testing.T) {
	for _, name := range []string{"blob.74", "blob.79"} {
		t.Run(name, func(t *testing.T) {
			cred, service := realCredential(t)
			blob, err := os.ReadFile("testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			theirs := open(t, blob, service)
			sent := theirs.req.Authenticator
			ours := open(t, payloadOf(t, cred, spnego.Krb5, sent.CTime.Add(time.Duration(sent.Cusec)*time.Microsecond)), service)

			if !bytes.Equal(blank(t, ours.token, ours.cipher), blank(t, theirs.token, theirs.cipher)) {
				t.Errorf("the tokens differ\nours   %x\ntheirs %x", ours.token, theirs.token)
			}
			if !bytes.Equal(blank(t, ours.plain, ours.key), blank(t, theirs.plain, theirs.key)) {
				t.Errorf("the authenticators differ\nours   %x\ntheirs %x", ours.plain, theirs.plain)
			}
			if ours.version != theirs.version || ours.flags != theirs.flags {
				t.Errorf("header: %d %d, theirs %d %d", ours.version, ours.flags, theirs.version, theirs.flags)
			}
			if len(ours.slack) != 0 || !bytes.Equal(theirs.slack, make([]byte, 4)) {
				t.Errorf("slack: ours %x, theirs %x", ours.slack, theirs.slack)
			}
			if bytes.Equal(ours.key, theirs.key) || bytes.Equal(ours.key, ours.sessionKey) {
				t.Error("the subkey is not fresh")
			}
		})
	}
}

// cifs.upcall 7.0 logs in by libgssapi: with flags and a sequence number, which we do without.
func TestDifferenceToGSSAPI(t *testing.T) {
	cred, service := realCredential(t)
	blob, err := os.ReadFile("testdata/blob.70")
	if err != nil {
		t.Fatal(err)
	}
	theirs := open(t, blob, service)
	ours := open(t, payloadOf(t, cred, spnego.Krb5, theirs.req.Authenticator.CTime), service)
	if !bytes.Equal(ours.ticket, theirs.ticket) || ours.mechanism != theirs.mechanism || ours.inner != theirs.inner {
		t.Error("the framing or the ticket differs")
	}
	if !slices.Equal(theirs.fields, append(slices.Clone(ours.fields), 7)) {
		t.Errorf("fields: ours %d, theirs %d", ours.fields, theirs.fields)
	}
	mine, other := ours.req.Authenticator.Cksum, theirs.req.Authenticator.Cksum
	if !bytes.Equal(mine.Checksum[:20], other.Checksum[:20]) || !bytes.Equal(other.Checksum[20:], []byte{0x30, 1, 0, 0}) {
		t.Errorf("checksums: ours %x, theirs %x", mine.Checksum, other.Checksum)
	}
	if !bytes.Equal(theirs.key, theirs.req.Authenticator.SubKey.KeyValue) {
		t.Error("their key is not their subkey")
	}
}

func TestPayload(t *testing.T) {
	service := newKeytab(t)
	now := time.Date(2031, 2, 3, 4, 5, 6, 789_012_345, time.FixedZone("", 3600))
	for _, etype := range etypes {
		for mech, oid := range map[spnego.Mechanism]string{spnego.Krb5: krb5OID, spnego.MSKrb5: msKrb5OID} {
			t.Run(strconv.Itoa(int(etype))+" "+oid, func(t *testing.T) {
				cred := newCredential(t, service, 18, etype, alice(), now)
				a := open(t, payloadOf(t, cred, mech, now), service)
				if a.version != 2 || a.flags != 0 || len(a.slack) != 0 {
					t.Errorf("header: version %d, flags %d, %d bytes of slack", a.version, a.flags, len(a.slack))
				}
				if a.framing != spnegoOID || a.mechanism != oid || a.inner != krb5OID {
					t.Errorf("mechanisms: %s, %s, %s", a.framing, a.mechanism, a.inner)
				}
				checkRequest(t, a, cred)
				checkAuthenticator(t, a, cred, now)
			})
		}
	}
}

func checkRequest(t *testing.T, a answer, cred ccache.Credential) {
	t.Helper()
	r := a.req
	if r.PVNO != 5 || r.MsgType != 14 || r.APOptions.BitLength != 32 || !bytes.Equal(r.APOptions.Bytes, make([]byte, 4)) {
		t.Errorf("AP-REQ: version %d, type %d, options %x of %d bits", r.PVNO, r.MsgType, r.APOptions.Bytes, r.APOptions.BitLength)
	}
	if !bytes.Equal(a.ticket, cred.Ticket.Reveal()) {
		t.Error("the ticket's bytes have changed")
	}
	if e := r.EncryptedAuthenticator; e.EType != int32(cred.Key.Etype) || e.KVNO != 0 {
		t.Errorf("the authenticator is encrypted with the type %d, key version %d", e.EType, e.KVNO)
	}
}

func checkAuthenticator(t *testing.T, a answer, cred ccache.Credential, now time.Time) {
	t.Helper()
	au := a.req.Authenticator
	if !slices.Equal(a.fields, []uint8{0, 1, 2, 3, 4, 5, 6}) {
		t.Errorf("fields %d", a.fields)
	}
	if au.AVNO != 5 || au.CRealm != cred.Client.Realm || !slices.Equal(au.CName.NameString, cred.Client.Components) ||
		au.CName.NameType != int32(cred.Client.NameType) {
		t.Errorf("client: version %d, realm %s, name %q of the type %d", au.AVNO, au.CRealm, au.CName.NameString, au.CName.NameType)
	}
	if want := append([]byte{16}, make([]byte, 23)...); au.Cksum.CksumType != 0x8003 || !bytes.Equal(au.Cksum.Checksum, want) {
		t.Errorf("checksum of the type %#x: %x", au.Cksum.CksumType, au.Cksum.Checksum)
	}
	if at := au.CTime.Add(time.Duration(au.Cusec) * time.Microsecond); !at.Equal(now.Truncate(time.Microsecond)) {
		t.Errorf("time %v, want %v", at, now)
	}
	if !bytes.Contains(a.plain, []byte("20310203030506Z")) {
		t.Error("the time is not written in UTC without fractions")
	}
	size, _ := ccache.KeySize(cred.Key.Etype)
	if au.SubKey.KeyType != int32(cred.Key.Etype) || len(au.SubKey.KeyValue) != size {
		t.Errorf("subkey of the type %d with %d bytes", au.SubKey.KeyType, len(au.SubKey.KeyValue))
	}
	if !bytes.Equal(au.SubKey.KeyValue, a.key) || bytes.Equal(a.key, make([]byte, size)) || bytes.Equal(a.key, a.sessionKey) {
		t.Error("the kernel's key is not a fresh subkey")
	}
}

func TestEveryPayloadHasAKeyOfItsOwn(t *testing.T) {
	cred, service := realCredential(t)
	before, now := bytes.Clone(cred.Key.Value.Reveal()), cred.EndTime.Add(-time.Hour)
	first := open(t, payloadOf(t, cred, spnego.Krb5, now), service)
	second := open(t, payloadOf(t, cred, spnego.Krb5, now), service)
	if bytes.Equal(first.key, second.key) || bytes.Equal(first.cipher, second.cipher) {
		t.Error("two payloads share a key")
	}
	if !bytes.Equal(before, cred.Key.Value.Reveal()) {
		t.Error("the credential was changed")
	}
}

func TestParseMechanism(t *testing.T) {
	for sec, want := range map[string]spnego.Mechanism{"krb5": spnego.Krb5, "mskrb5": spnego.MSKrb5} {
		if got, err := spnego.ParseMechanism(sec); err != nil || got != want {
			t.Errorf("%s: %v, %v", sec, got, err)
		}
	}
}

func BenchmarkPayload(b *testing.B) {
	service, now := newKeytab(b), time.Unix(1_900_000_000, 0)
	for _, etype := range etypes {
		cred := newCredential(b, service, etype, etype, alice(), now)
		b.Run(strconv.Itoa(int(etype)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				payloadOf(b, cred, spnego.Krb5, now)
			}
		})
	}
}
