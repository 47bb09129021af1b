package spnego_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/spnego"
)

// FuzzPayload feeds it credentials as a damaged or forged cache could hold them.
func FuzzPayload(f *testing.F) {
	for _, etype := range etypes {
		size, _ := ccache.KeySize(etype)
		f.Add(ticketOf(256), etype, make([]byte, size), uint32(1), testRealm, "alice", int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, ticket []byte, etype uint16, key []byte, nameType uint32, realm, name string, at int64) {
		now := time.Unix(at, 0)
		cred := ccache.Credential{
			Client:  ccache.Principal{NameType: nameType, Realm: realm, Components: []string{name}},
			Server:  ccache.Principal{Realm: realm, Components: []string{"cifs", name}},
			Key:     ccache.Key{Etype: etype, Value: secret.New(key)},
			EndTime: now.Add(time.Second), Ticket: secret.New(ticket),
		}
		p, err := spnego.Payload(cred, spnego.MSKrb5, now)
		if err != nil {
			if f := new(fault.Fault); !errors.As(err, &f) || !p.Empty() {
				t.Fatalf("%d bytes and %T", p.Len(), err)
			}
			return
		}
		a := openMessage(t, p.Reveal())
		size, _ := ccache.KeySize(etype)
		if len(a.key) != size || len(key) != size || len(a.token) > 65535 || len(a.slack) != 0 || p.Len() >= 1<<20 {
			t.Fatalf("key of %d bytes, token of %d, slack of %d", len(a.key), len(a.token), len(a.slack))
		}
		if got := rawTicket(t, a.openToken(t)); !bytes.Equal(got, ticket) {
			t.Fatalf("the ticket has changed: %x", got)
		}
	})
}
