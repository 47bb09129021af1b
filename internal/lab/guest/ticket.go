package main

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// serviceKeys is the keytab of Samba.
const serviceKeys = "/run/samba/cifs.keytab"

// ticket-for HOST CACHE [LIFETIME] puts a ticket for a server into a credential cache, which it makes if
// there is none. Nobody is asked and no record is made: so would the domain controller of an
// administrator's own domain issue it, or another program write it.
func ticketFor(ts *testscript.TestScript, neg bool, args []string) {
	lifetime := time.Hour
	if len(args) == 3 {
		d, err := time.ParseDuration(args[2])
		ts.Check(err)
		lifetime, args = d, args[:2]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ticket-for HOST CACHE [LIFETIME]")
	}
	keys, err := keytab.Load(serviceKeys)
	ts.Check(err)
	const etype, realm = int32(azurefake.DefaultEtype), azurefake.DefaultRealm
	client := ccache.Principal{NameType: 1, Realm: realm, Components: []string{azurefake.DefaultClient}}
	server := ccache.Principal{NameType: 2, Realm: realm, Components: []string{"cifs", args[0]}}
	now := time.Now().UTC().Truncate(time.Second)
	end := now.Add(lifetime)
	ticket, key, err := messages.NewTicket(name(client), realm, name(server), realm, types.NewKrbFlags(), keys, etype, 1, now, now, end, end)
	ts.Check(err)
	der, err := ticket.Marshal()
	ts.Check(err)
	cache, err := cacheAt(ts.MkAbs(args[1]), client)
	ts.Check(err)
	cache.Credentials = append(cache.Credentials, ccache.Credential{
		Client: client, Server: server,
		Key:      ccache.Key{Etype: uint16(etype), Value: secret.New(key.KeyValue)},
		AuthTime: now, StartTime: now, EndTime: end,
		Ticket: secret.New(der),
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), cache.Marshal(), 0o600))
}

// cacheAt reads a credential cache; where there is none it is a new one of the client's.
func cacheAt(path string, client ccache.Principal) (*ccache.Cache, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &ccache.Cache{Principal: client}, nil
	}
	if err != nil {
		return nil, err
	}
	return ccache.Parse(text)
}

func name(p ccache.Principal) types.PrincipalName {
	return types.PrincipalName{NameType: int32(p.NameType), NameString: p.Components}
}
