package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const (
	tickets    = 1000
	ticketSize = 1500 // bytes, of a ticket of Azure
)

// fillCache makes a cache with tickets of as many accounts.
func fillCache(ctx context.Context) error {
	_ = os.Remove(cacheFile)
	store, err := ccache.Open(machine.Real(), cacheFile, 0)
	if err != nil {
		return err
	}
	now := time.Now().Truncate(time.Second)
	rec := ccache.Record{Identity: identity.Identity{Kind: identity.System}.String(), ObtainedAt: now, Refreshable: true}
	return store.Update(ctx, func(c *ccache.Cache) error {
		for i := range tickets {
			c.Put(credential(fmt.Sprintf("acct%d.file.core.windows.net", i), now), rec)
		}
		return nil
	})
}

// credential is a ticket that nobody can read.
func credential(host string, now time.Time) ccache.Credential {
	key, ticket := make([]byte, 32), make([]byte, ticketSize)
	_, _ = rand.Read(key) // cannot fail
	_, _ = rand.Read(ticket)
	return ccache.Credential{
		Client:   ccache.Principal{NameType: 1, Realm: azurefake.DefaultRealm, Components: []string{azurefake.DefaultClient}},
		Server:   ccache.Principal{NameType: 2, Realm: azurefake.DefaultRealm, Components: []string{"cifs", host}},
		Key:      ccache.Key{Etype: azurefake.DefaultEtype, Value: secret.New(key)},
		AuthTime: now, StartTime: now, EndTime: now.Add(time.Hour),
		Ticket: secret.New(ticket),
	}
}

// checkList refuses to measure a list that is not of all tickets.
func (b *bench) checkList() error {
	c := exec.Command(b.binary)
	c.Args = b.manager("list", "--json").args
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	var rows []any
	if err := json.Unmarshal(out, &rows); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if len(rows) != tickets {
		return fmt.Errorf("list: %d tickets, not %d", len(rows), tickets)
	}
	return nil
}
