package spnego_test

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	krbasn1 "github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const (
	testRealm = "KERBEROS.MICROSOFTONLINE.COM"
	testHost  = "acct.file.core.windows.net"
	kvno      = 1
)

var etypes = []uint16{17, 18, 19, 20}

func randomKey(t testing.TB, etype uint16) types.EncryptionKey {
	t.Helper()
	size, ok := ccache.KeySize(etype)
	if !ok {
		t.Fatalf("no key size for the encryption type %d", etype)
	}
	key := make([]byte, size)
	rand.Read(key)
	return types.EncryptionKey{KeyType: int32(etype), KeyValue: key}
}

// newKeytab makes a service with a key of each encryption type.
func newKeytab(t testing.TB) *keytab.Keytab {
	t.Helper()
	kt := keytab.New()
	for i, etype := range etypes {
		if err := kt.AddEntry("cifs/"+testHost, testRealm, "replaced below", time.Unix(1, 0), kvno, int32(etype)); err != nil {
			t.Fatal(err)
		}
		kt.Entries[i].Key = randomKey(t, etype)
	}
	return kt
}

// newCredential issues a service ticket as a KDC would: sealed with the service's key of the one
// type, carrying a session key of the other, good for an hour from now.
func newCredential(t testing.TB, service *keytab.Keytab, serviceEtype, sessionEtype uint16, client ccache.Principal, now time.Time) ccache.Credential {
	t.Helper()
	start, end := now.UTC().Truncate(time.Second), now.UTC().Truncate(time.Second).Add(time.Hour)
	session := randomKey(t, sessionEtype)
	sname := types.PrincipalName{NameType: 2, NameString: []string{"cifs", testHost}}
	part, err := krbasn1.Marshal(messages.EncTicketPart{
		Flags: types.NewKrbFlags(), Key: session, CRealm: client.Realm,
		CName:    types.PrincipalName{NameType: int32(client.NameType), NameString: client.Components},
		AuthTime: start, StartTime: start, EndTime: end,
	})
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := service.GetEncryptionKey(sname, testRealm, kvno, int32(serviceEtype))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, asnAppTag.EncTicketPart), key, keyusage.KDC_REP_TICKET, kvno)
	if err != nil {
		t.Fatal(err)
	}
	ticket := messages.Ticket{TktVNO: 5, Realm: testRealm, SName: sname, EncPart: sealed}
	der, err := ticket.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return ccache.Credential{
		Client: client, Server: ccache.Principal{NameType: 2, Realm: testRealm, Components: sname.NameString},
		Key:      ccache.Key{Etype: sessionEtype, Value: secret.New(bytes.Clone(session.KeyValue))},
		AuthTime: start, StartTime: start, EndTime: end, Ticket: secret.New(der),
	}
}

func alice() ccache.Principal {
	return ccache.Principal{NameType: 1, Realm: testRealm, Components: []string{"alice"}}
}
