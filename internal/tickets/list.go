package tickets

import (
	"context"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// Ticket is one service ticket of a cache and what is known of who obtained it. Its Credential holds
// secrets; print the fields that are wanted.
type Ticket struct {
	ccache.Credential
	ccache.Record
	Known   bool // there is a record
	Trusted bool // nobody but root could have written it
}

// Listing is what a credential cache holds.
type Listing struct {
	CCache  string   // its path
	Tickets []Ticket // without aliases, in the order of the file; none when there is no file
	Further []Ticket // those of the accounts' further identities, which only our own handler finds
	Refused []Ticket // identities without a ticket: all that is known of these is the name, the record and whether it counts

	seen   Evidence          // of a login at any endpoint
	byName map[string]Ticket // both lists
}

// Name is where the ticket is in its cache, without the realm: cifs/<canonical host> or a ccache.Private name.
func (t Ticket) Name() string { return t.Server.Name() }

// Host is the host that the ticket is for, in lower case: older tools stored it as it was typed.
func (t Ticket) Host() string { return strings.ToLower(t.Server.Components[1]) }

// Private reports whether the ticket is a further identity's, which only our own handler finds.
func (t Ticket) Private() bool { return len(t.Server.Components) > 2 }

// User is the selector of the mounts that the ticket is for, "" when its owner is not known for sure.
func (t Ticket) User() string {
	if t.Private() {
		return t.Server.Components[len(t.Server.Components)-1]
	}
	id, err := identity.Parse(t.Identity)
	if !t.Known || !t.Trusted || err != nil {
		return ""
	}
	return id.Username()
}

// Serving gives the ticket that a login at an endpoint with the mount's user name is answered with, as Held does, but
// also one that has expired.
func (l Listing) Serving(e endpoint.Endpoint, username string) (Ticket, bool) {
	at := l.seen
	at.Endpoint, at.Username = e, username
	_, cred, ok := at.serving()
	if !ok {
		return Ticket{}, false
	}
	t, ok := l.byName[Ticket{Credential: cred}.Name()]
	return t, ok
}

// Replaced gives the identity whose ticket a request has replaced under the service principal of its endpoint, as a line
// of text; "" when it is the same principal's, or nobody knows.
func (l Listing) Replaced(r Request, got Result) string {
	for _, t := range l.Tickets {
		if !got.Private && t.Host() == r.Endpoint.Host() && t.Known && !identity.SamePrincipal(t.Identity, r.Identity.String()) {
			return t.Identity
		}
	}
	return ""
}

// Owner is OwnerOf for mounts with a user name.
func (l Listing) Owner(e endpoint.Endpoint, username string) (identity.Identity, error) {
	at := l.seen
	at.Endpoint, at.Username = e, username
	return OwnerOf(at)
}

// Bare gives the service tickets of the cache of a credential uid without what is known of them, to be shown: they are
// those of a ccache.Outline. path is the cache's. Its errors are faults.
func (m *Manager) Bare(cruid int) (path string, found []*ccache.Credential, err error) {
	c, err := m.cache(cruid)
	if err != nil {
		return "", nil, err
	}
	snap, err := c.Look()
	if err == nil && snap.Cache != nil {
		found = snap.Cache.Tickets()
	}
	return c.Path(), found, err
}

// List reads the cache of a credential uid. Its errors are faults.
func (m *Manager) List(cruid int) (Listing, error) {
	c, err := m.cache(cruid)
	if err != nil {
		return Listing{}, err
	}
	snap, err := c.Load()
	if err != nil {
		return Listing{}, err
	}
	l := Listing{CCache: c.Path(), seen: Evidence{CRUID: cruid, Config: m.cfg, Cache: snap, Path: c.Path()}}
	if snap.Cache == nil {
		return l, nil
	}
	l.seen.Cache.Cache = snap.Cache.Indexed()
	records, found := snap.Cache.Records(), snap.Cache.AllTickets()
	l.Tickets, l.byName = make([]Ticket, 0, len(found)), make(map[string]Ticket, len(found))
	for _, cred := range found {
		t := Ticket{Credential: *cred, Trusted: snap.Trusted}
		name := t.Name()
		t.Record, t.Known = records[name]
		l.byName[name] = t
		if t.Private() {
			l.Further = append(l.Further, t)
		} else {
			l.Tickets = append(l.Tickets, t)
		}
	}
	for name, rec := range records {
		if _, has := l.byName[name]; !has {
			t := Ticket{Record: rec, Known: true, Trusted: snap.Trusted}
			t.Server.Components = strings.Split(name, "/")
			l.Refused = append(l.Refused, t)
		}
	}
	slices.SortFunc(l.Refused, func(a, b Ticket) int { return strings.Compare(a.Name(), b.Name()) })
	return l, nil
}

// Clear erases the tickets of an endpoint, their aliases and their records, and reports whether there was a ticket: a call that
// failed can have left a record alone. A cache with neither is fault TicketUnknown.
func (m *Manager) Clear(ctx context.Context, cruid int, e endpoint.Endpoint) (had bool, err error) {
	err = m.erase(ctx, cruid, func(c *ccache.Cache, path string) error {
		before := len(c.AllTickets())
		if !c.Remove(e.SPN()) {
			return fault.TicketUnknown.New(e.Host(), path)
		}
		had = len(c.AllTickets()) < before
		return nil
	})
	return had, err
}

// ClearAll erases all service tickets of a cache and gives the hosts that they were for, sorted.
func (m *Manager) ClearAll(ctx context.Context, cruid int) (hosts []string, err error) {
	err = m.erase(ctx, cruid, func(c *ccache.Cache, _ string) error {
		hosts = nil
		for _, cred := range c.AllTickets() {
			hosts = append(hosts, Ticket{Credential: *cred}.Host())
		}
		c.RemoveAll()
		return nil
	})
	slices.Sort(hosts)
	return slices.Compact(hosts), err
}

// erase changes the cache under its lock; a cache that is not there is not made.
func (m *Manager) erase(ctx context.Context, cruid int, change func(c *ccache.Cache, path string) error) error {
	c, err := m.cache(cruid)
	if err != nil {
		return err
	}
	if _, err := c.Load(); err != nil { // a damaged one is not moved aside by an erasure
		return err
	}
	return c.Update(ctx, func(cc *ccache.Cache) error { return change(cc, c.Path()) })
}

// DropExpired erases the tickets of a cache that have expired, unless keep names them by their service
// principal, cifs/<canonical host>, or a ccache.Private name. A cache that is not there is not made. Its errors are faults.
func (m *Manager) DropExpired(ctx context.Context, cruid int, keep func(name string) bool) error {
	return m.erase(ctx, cruid, func(c *ccache.Cache, _ string) error {
		c.DropExpired(m.Host.Now(), keep)
		return nil
	})
}
