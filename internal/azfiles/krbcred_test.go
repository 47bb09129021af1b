package azfiles

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// testNow is the clock of the tests whose tickets are written down.
var testNow = time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)

func name(kind int32, parts ...string) types.PrincipalName {
	return types.PrincipalName{NameType: kind, NameString: parts}
}

// testGrant is what an account would issue at testNow.
func testGrant(t testing.TB, change func(*ticket, *credInfo)) grant {
	t.Helper()
	g := grant{
		ticket: ticket{
			Version: 5, Realm: "REALM", SName: name(2, "cifs", testHost),
			EncPart: types.EncryptedData{EType: 18, KVNO: 3, Cipher: []byte("sealed")},
		},
		info: credInfo{
			Key:    types.EncryptionKey{KeyType: 18, KeyValue: bytes.Repeat([]byte{7}, 32)},
			PRealm: "REALM", PName: name(1, "AzureFileClient"),
			Flags:    asn1.BitString{Bytes: []byte{0, 0x80, 0, 0}, BitLength: 32},
			AuthTime: testNow, StartTime: testNow, EndTime: testNow.Add(time.Hour), RenewTill: testNow.Add(24 * time.Hour),
			SRealm: "REALM", SName: name(2, "cifs", testHost),
		},
	}
	if change != nil {
		change(&g.ticket, &g.info)
	}
	bare, err := asn1.Marshal(g.ticket)
	if err != nil {
		t.Fatal(err)
	}
	g.raw = asn1tools.AddASNAppTag(bare, 1)
	return g
}

// frame says how a KRB-CRED is to be put together.
type frame struct {
	version, kind, etype int64
	kvno                 bool
	trailing             []byte // behind the EncKrbCredPart
	tickets              []grant
	infos                []grant
}

func frameOf(grants ...grant) frame {
	return frame{version: 5, kind: 22, tickets: grants, infos: grants}
}

func (f frame) marshal(t testing.TB) []byte {
	t.Helper()
	var part cryptobyte.Builder
	part.AddASN1(appEncKrbCredPart, func(b *cryptobyte.Builder) {
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(member(0), func(b *cryptobyte.Builder) {
				b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, g := range f.infos {
						info, err := asn1.Marshal(g.info)
						if err != nil {
							t.Fatal(err)
						}
						b.AddBytes(info)
					}
				})
			})
		})
	})
	part.AddBytes(f.trailing)
	number := func(b *cryptobyte.Builder, n uint8, v int64) {
		b.AddASN1(member(n), func(b *cryptobyte.Builder) { b.AddASN1Int64(v) })
	}
	var all cryptobyte.Builder
	all.AddASN1(appKRBCred, func(b *cryptobyte.Builder) {
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			number(b, 0, f.version)
			number(b, 1, f.kind)
			b.AddASN1(member(2), func(b *cryptobyte.Builder) {
				b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, g := range f.tickets {
						b.AddBytes(g.raw)
					}
				})
			})
			b.AddASN1(member(3), func(b *cryptobyte.Builder) {
				b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
					number(b, 0, f.etype)
					if f.kvno {
						number(b, 1, 1)
					}
					b.AddASN1(member(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(part.BytesOrPanic()) })
				})
			})
		})
	})
	return all.BytesOrPanic()
}

// judge takes a KRB-CRED through everything that an answer goes through.
func judge(t testing.TB, cred []byte) (ccache.Credential, *fault.Fault) {
	return judgeBody(t, []byte(`{"kerberosServiceTicket":"`+base64.StdEncoding.EncodeToString(cred)+`"}`))
}

func judgeBody(t testing.TB, body []byte) (ccache.Credential, *fault.Fault) {
	x := &exchange{
		Client:   &Client{Now: func() time.Time { return testNow }},
		endpoint: resolve(t, testHost), token: secret.FromString("the-token"), who: Caller{Identity: "system"},
	}
	return x.accept(&reply.Answer{Status: 200, Body: body, At: testNow})
}

func TestCredentialHasEverything(t *testing.T) {
	address := types.HostAddresses{{AddrType: 2, Address: []byte{127, 0, 0, 1}}}
	g := testGrant(t, func(_ *ticket, i *credInfo) { i.CAddr = address })
	cred, f := judge(t, frameOf(g).marshal(t))
	if f != nil {
		t.Fatal(f)
	}
	if !bytes.Equal(cred.Ticket.Reveal(), g.raw) || !bytes.Equal(cred.Key.Value.Reveal(), g.info.Key.KeyValue) {
		t.Error("the ticket's or the key's bytes differ")
	}
	cred.Ticket.Wipe()
	want := ccache.Credential{
		Client:    ccache.Principal{NameType: 1, Realm: "REALM", Components: []string{"AzureFileClient"}},
		Server:    ccache.Principal{NameType: 2, Realm: "REALM", Components: []string{"cifs", testHost}},
		Key:       cred.Key,
		AuthTime:  testNow,
		StartTime: testNow,
		EndTime:   testNow.Add(time.Hour),
		RenewTill: testNow.Add(24 * time.Hour),
		Flags:     1 << 23, // renewable
		Addresses: []ccache.TypedData{{Type: 2, Data: []byte{127, 0, 0, 1}}},
		Ticket:    cred.Ticket,
	}
	if d := cmp.Diff(want, cred, cmp.Comparer(func(a, b ccache.Key) bool { return a.Etype == b.Etype && a.Value.Equal(b.Value) })); d != "" {
		t.Error(d)
	}
}

func TestTicketBytesStayAsTheyAre(t *testing.T) {
	// A kvno of 0 is in the DER, and a decoder that writes the ticket anew leaves it out.
	g := testGrant(t, nil)
	raw := bytes.Replace(g.raw, []byte{0xa1, 3, 2, 1, 3}, []byte{0xa1, 3, 2, 1, 0}, 1)
	if bytes.Equal(raw, g.raw) {
		t.Fatal("the kvno is not where it is looked for")
	}
	g.raw = raw
	cred, f := judge(t, frameOf(g).marshal(t))
	if f != nil || !bytes.Equal(cred.Ticket.Reveal(), raw) {
		t.Errorf("%v %x", f, cred.Ticket.Reveal())
	}
}

func TestCredentialForms(t *testing.T) {
	type change = func(*ticket, *credInfo)
	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	for what, c := range map[string]struct {
		change change
		want   fault.Named
		part   string // of the client, or of the fault's text
	}{
		"realm inside the name":  {func(_ *ticket, i *credInfo) { i.PName = name(1, "A@REALM") }, nil, `A\@REALM@REALM`},
		"no client realm":        {func(_ *ticket, i *credInfo) { i.PRealm = "" }, nil, "AzureFileClient@"},
		"no client":              {func(_ *ticket, i *credInfo) { i.PName = types.PrincipalName{} }, fault.AnswerInvalid, "client"},
		"NUL in the client":      {func(_ *ticket, i *credInfo) { i.PName = name(1, "A\x00") }, fault.AnswerInvalid, "control"},
		"newline in the realm":   {func(k *ticket, _ *credInfo) { k.Realm = "R\nX" }, fault.AnswerInvalid, "control"},
		"no server in the info":  {func(_ *ticket, i *credInfo) { i.SName, i.SRealm = types.PrincipalName{}, "" }, nil, "AzureFileClient"},
		"info for another host":  {func(_ *ticket, i *credInfo) { i.SName = name(2, "cifs", "evil") }, fault.TicketServer, ""},
		"no server name at all":  {func(k *ticket, _ *credInfo) { k.SName = name(2) }, fault.TicketServer, ""},
		"no start":               {func(_ *ticket, i *credInfo) { i.StartTime = time.Time{} }, nil, "AzureFileClient"},
		"no authtime":            {func(_ *ticket, i *credInfo) { i.AuthTime = time.Time{} }, nil, "AzureFileClient"},
		"neither":                {func(_ *ticket, i *credInfo) { i.StartTime, i.AuthTime = time.Time{}, time.Time{} }, fault.AnswerInvalid, "times"},
		"no end":                 {func(_ *ticket, i *credInfo) { i.EndTime = time.Time{} }, fault.AnswerInvalid, "times"},
		"ends before its start":  {func(_ *ticket, i *credInfo) { i.EndTime = testNow.Add(-time.Second) }, fault.AnswerInvalid, "before"},
		"ends in 9999":           {func(_ *ticket, i *credInfo) { i.EndTime = year(9999) }, fault.AnswerInvalid, "range"},
		"renewable till 2200":    {func(_ *ticket, i *credInfo) { i.RenewTill = year(2200) }, fault.AnswerInvalid, "range"},
		"issued in 1900":         {func(_ *ticket, i *credInfo) { i.AuthTime = year(1900) }, fault.AnswerInvalid, "range"},
		"ends now":               {func(_ *ticket, i *credInfo) { i.EndTime = testNow }, fault.TicketExpired, "2026-11-23T16:00:00Z"},
		"ticket key of rc4":      {func(k *ticket, _ *credInfo) { k.EncPart.EType = 23 }, nil, "AzureFileClient"}, // the server's own matter
		"no flags":               {func(_ *ticket, i *credInfo) { i.Flags = asn1.BitString{} }, nil, "AzureFileClient"},
		"starts in the future":   {func(_ *ticket, i *credInfo) { i.StartTime = testNow.Add(6 * time.Minute) }, fault.TicketNotYet, "16:06:00"},
		"client that lasts long": {func(_ *ticket, i *credInfo) { i.PName = name(1, strings.Repeat("x", 1000)) }, nil, "xxx"},
	} {
		cred, f := judge(t, frameOf(testGrant(t, c.change)).marshal(t))
		switch {
		case c.want == nil && (f != nil || !strings.Contains(cred.Client.String(), c.part)):
			t.Errorf("%s: %v, client %s", what, f, cred.Client)
		case c.want != nil && (f == nil || !fault.Is(f, c.want) || !strings.Contains(f.What(), c.part)):
			t.Errorf("%s: got %v, want %s with %q", what, f, c.want, c.part)
		case f == nil && (cred.StartTime.IsZero() || cred.AuthTime.IsZero()):
			t.Errorf("%s: a time is missing", what)
		}
	}
}

func TestTheLongestTicketIsChosen(t *testing.T) {
	lasts := func(d time.Duration) grant {
		return testGrant(t, func(_ *ticket, i *credInfo) { i.EndTime = testNow.Add(d) })
	}
	cred, f := judge(t, frameOf(lasts(time.Hour), lasts(3*time.Hour), lasts(2*time.Hour)).marshal(t))
	if f != nil || cred.EndTime != testNow.Add(3*time.Hour) {
		t.Error(f, cred.EndTime)
	}
}

func TestFrames(t *testing.T) {
	g := testGrant(t, nil)
	good := frameOf(g)
	with := func(change func(*frame)) []byte {
		f := good
		change(&f)
		return f.marshal(t)
	}
	for what, c := range map[string]struct {
		cred []byte
		part string // "" is success
	}{
		"good":                        {good.marshal(t), ""},
		"key version":                 {with(func(f *frame) { f.kvno = true }), ""},
		"version 4":                   {with(func(f *frame) { f.version = 4 }), "damaged"},
		"a version beyond all bounds": {with(func(f *frame) { f.version = 5 + 1<<40 }), "damaged"},
		"an AP-REP":                   {with(func(f *frame) { f.kind = 15 }), "damaged"},
		"encrypted":                   {with(func(f *frame) { f.etype = 18 }), "encrypted (type 18)"},
		"more behind the part":        {with(func(f *frame) { f.trailing = []byte{0} }), "damaged"},
		"a ticket without info":       {with(func(f *frame) { f.infos = nil }), "damaged"},
		"an info without ticket":      {with(func(f *frame) { f.tickets = nil }), "damaged"},
		"64 tickets":                  {with(func(f *frame) { f.tickets = many(g, 64); f.infos = f.tickets }), ""},
		"65 tickets":                  {with(func(f *frame) { f.tickets = many(g, 65); f.infos = f.tickets }), "damaged"},
		"too long":                    {bytes.Repeat([]byte{0x76}, maxCred+1), "longer"},
		"just not too long":           {bytes.Repeat([]byte{0x76}, maxCred), "damaged"},
		"a byte behind it":            {append(good.marshal(t), 0), "damaged"},
		"a byte inside it":            {padded(good.marshal(t)), "damaged"},
	} {
		_, f := judge(t, c.cred)
		if c.part == "" && f != nil || c.part != "" && (f == nil || f.ID() != fault.AnswerInvalid.ID || !strings.Contains(f.What(), c.part)) {
			t.Errorf("%s: %v", what, f)
		}
	}
	whole := good.marshal(t)
	for n := range whole {
		if _, f := judge(t, whole[:n]); f == nil {
			t.Errorf("its first %d bytes are accepted", n)
		}
	}
}

// padded puts a NULL behind the SEQUENCE that is the only content of a KRB-CRED.
func padded(cred []byte) []byte {
	whole := cryptobyte.String(cred)
	var content cryptobyte.String
	whole.ReadASN1(&content, appKRBCred)
	var b cryptobyte.Builder
	b.AddASN1(appKRBCred, func(b *cryptobyte.Builder) {
		b.AddBytes(content)
		b.AddBytes([]byte{5, 0})
	})
	return b.BytesOrPanic()
}

func many(g grant, n int) []grant {
	out := make([]grant, n)
	for i := range out {
		out[i] = g
	}
	return out
}

func TestAnswersOfTheFakeAreLikeOurOwn(t *testing.T) {
	b := newBench(t, azurefake.Options{Now: func() time.Time { return testNow }})
	b.client.Now = func() time.Time { return testNow }
	cred, err := b.exchange(t.Context())
	if err != nil || cred.StartTime != testNow || cred.Server.Realm != azurefake.DefaultRealm {
		t.Error(err, cred.StartTime)
	}
}
