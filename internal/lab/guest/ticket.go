package main

import (
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

// ticket-for HOST CACHE writes a new credential cache with a ticket for a server that Azure knows
// nothing of, as the domain controller of an administrator's own domain would issue it.
func ticketFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ticket-for HOST CACHE")
	}
	keys, err := keytab.Load(serviceKeys)
	ts.Check(err)
	const etype, realm = int32(azurefake.DefaultEtype), azurefake.DefaultRealm
	client := ccache.Principal{NameType: 1, Realm: realm, Components: []string{azurefake.DefaultClient}}
	server := ccache.Principal{NameType: 2, Realm: realm, Components: []string{"cifs", args[0]}}
	now := time.Now().UTC().Truncate(time.Second)
	end := now.Add(time.Hour)
	ticket, key, err := messages.NewTicket(name(client), realm, name(server), realm, types.NewKrbFlags(), keys, etype, 1, now, now, end, end)
	ts.Check(err)
	der, err := ticket.Marshal()
	ts.Check(err)
	cache := ccache.Cache{Principal: client, Credentials: []ccache.Credential{{
		Client: client, Server: server,
		Key:      ccache.Key{Etype: uint16(etype), Value: secret.New(key.KeyValue)},
		AuthTime: now, StartTime: now, EndTime: end,
		Ticket: secret.New(der),
	}}}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), cache.Marshal(), 0o600))
}

func name(p ccache.Principal) types.PrincipalName {
	return types.PrincipalName{NameType: int32(p.NameType), NameString: p.Components}
}
