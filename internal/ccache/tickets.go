package ccache

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"
)

// A ticket is stored under several labels: cifs/<canonical host> first, then cifs/<alias> for each
// other name under which the account is mounted, and each of these also in the client's realm when
// the service's realm is another, because libkrb5 looks there when krb5.conf does not map the host.
// The labels hold the same ticket, byte by byte. That is how they are recognised: the first label
// of a ticket in the file owns it, the others are its aliases. A host that has a record is never one.
//
// The tickets of an account's further identities have one label each, a Private name, and no aliases: only our own
// handler looks for them.

// Bounds of the private tickets: those of one account, and of all. Beyond them what ends first goes.
const (
	maxPrivateHere = 16
	maxPrivate     = 512
)

// Ticket gives the service ticket with a name ("cifs/host", canonical or alias, or a Private one, in any realm)
// that ends last. Like libkrb5 it overlooks entries of another client than the cache's.
func (c *Cache) Ticket(name string) (Credential, bool) {
	place, best := placeOf(name), -1
	for i := range c.Credentials {
		if !c.Credentials[i].Server.isAt(place) || !c.usable(i) {
			continue
		}
		if best < 0 || c.Credentials[i].EndTime.After(c.Credentials[best].EndTime) {
			best = i
		}
	}
	if best < 0 {
		return Credential{}, false
	}
	return c.Credentials[best], true
}

// Tickets gives the service tickets that every reader finds, one for each canonical host, without their aliases, private
// tickets and configuration entries, in the order of the file. They are the cache's own and must not be changed.
func (c *Cache) Tickets() []*Credential {
	return slices.DeleteFunc(c.AllTickets(), func(cred *Credential) bool { return cred.Server.host() == "" })
}

// AllTickets is Tickets with the private ones.
func (c *Cache) AllTickets() []*Credential {
	owners := c.owners()
	tickets := make([]*Credential, 0, len(owners))
	index := make(map[string]int, len(owners)/2) // the other half are records
	for i := range c.Credentials {
		cred, place := &c.Credentials[i], owners[i]
		if place == "" || place != cred.Server.place() || !c.usable(i) {
			continue
		}
		if n, seen := index[place]; !seen {
			index[place] = len(tickets)
			tickets = append(tickets, cred)
		} else if cred.EndTime.After(tickets[n].EndTime) {
			tickets[n] = cred
		}
	}
	return tickets
}

// usable reports whether libkrb5 could choose the credential i for a connection.
func (c *Cache) usable(i int) bool {
	return !c.Credentials[i].IsSKey && c.Credentials[i].Client.Equal(c.Principal)
}

// owners gives for each credential the place where its ticket is stored first, "" for what is
// no service ticket.
func (c *Cache) owners() []string {
	type digest struct {
		sum uint64
		len int
	}
	recorded := c.recorded
	if recorded == nil {
		recorded = make(map[string]bool, len(c.Credentials)/2)
		for i := range c.Credentials {
			recorded[recordPlace(&c.Credentials[i])] = true
		}
	}
	owners := make([]string, len(c.Credentials))
	ownerless := false
	for i := range c.Credentials {
		place := c.Credentials[i].Server.place()
		if recorded[place] || strings.Contains(place, "/") {
			owners[i] = place
		}
		ownerless = ownerless || place != "" && owners[i] == ""
	}
	if !ownerless {
		return owners // whose tickets need not be compared
	}
	seed := maphash.MakeSeed()
	first := make(map[digest]string, len(c.Credentials))
	for i := range c.Credentials {
		if c.Credentials[i].Server.host() == "" {
			continue // a private ticket has no aliases
		}
		place, ticket := c.Credentials[i].Server.place(), c.Credentials[i].Ticket.Reveal()
		d := digest{maphash.Bytes(seed, ticket), len(ticket)}
		if _, seen := first[d]; !seen {
			first[d] = place
		}
		if owners[i] == "" {
			owners[i] = first[d]
		}
	}
	return owners
}

// aliases gives the other hosts under which the tickets that host owns are stored.
func (c *Cache) aliases(host string) []string {
	if !c.mayHaveAliases(host) {
		return nil
	}
	var list []string
	for i, owner := range c.owners() {
		alias := c.Credentials[i].Server.host()
		if owner == host && alias != "" && alias != host && !slices.Contains(list, alias) {
			list = append(list, alias)
		}
	}
	return list
}

// mayHaveAliases reports whether a ticket of host is stored under another host as well. It saves a pass with owners for
// each of the hundreds of tickets that are replaced at once.
func (c *Cache) mayHaveAliases(host string) bool {
	var own [][]byte
	for i := range c.Credentials {
		if c.Credentials[i].Server.isAt(host) {
			own = append(own, c.Credentials[i].Ticket.Reveal())
		}
	}
	for i := range c.Credentials {
		cred := &c.Credentials[i]
		same := func(ticket []byte) bool { return bytes.Equal(ticket, cred.Ticket.Reveal()) }
		if slices.ContainsFunc(own, same) && !cred.Server.isAt(host) {
			return true
		}
	}
	return false
}

// Put stores the service ticket cred, whose server is cifs/<canonical host>, and its record. It
// replaces that host's ticket in whatever realm, its record, and every alias: those of rec and
// those the old ticket had. Nothing of other hosts is touched, nor a private ticket. A rec without identity is not
// stored.
//
// The first ticket makes its client the cache's default principal. A cache of another client stays
// as it is, and the Update around this Put fails with fault CCachePrincipal; only a change of the
// client's realm is followed, when no other ticket would be lost by it.
func (c *Cache) Put(cred Credential, rec Record) {
	host := cred.Server.host()
	if host == "" {
		c.refused = fmt.Errorf("%s is not a service of Azure Files", cred.Server)
		return
	}
	hosts := []string{host}
	for _, alias := range append(slices.Clone(rec.Aliases), c.aliases(host)...) {
		if alias = strings.ToLower(alias); alias != "" && !slices.Contains(hosts, alias) {
			hosts = append(hosts, alias)
		}
	}
	c.replaceEntries(cred, labels(cred, rec, hosts), inPlaces(hosts))
}

// PutPrivate is Put for a further identity of the account, whose mounts call themselves user: the ticket stands under
// its Private name alone. Of too many, here or in the cache, those that end first go.
func (c *Cache) PutPrivate(user string, cred Credential, rec Record) {
	host := cred.Server.host()
	if host == "" || !oneLine(user) || strings.ContainsAny(user, "/@\\") {
		c.refused = fmt.Errorf("%s is not a service of Azure Files, or its user has no name", cred.Server)
		return
	}
	cred.Server.Components = []string{private, host, user}
	entries := []Credential{cred}
	if entry, ok := rec.entry(cred.Client, cred.Server); ok {
		entries = append(entries, entry)
	}
	c.replaceEntries(cred, entries, inPlaces([]string{cred.Server.place()}))
	c.evictPrivate(cred.Server.place(), func(place string) bool { return hostOfPlace(place) == host }, maxPrivateHere)
	c.evictPrivate(cred.Server.place(), func(string) bool { return true }, maxPrivate)
}

// SetAside gives the ticket of cifs/host and its record a Private name besides, where they stay when another identity's
// ticket takes the place.
func (c *Cache) SetAside(host, user string) {
	name := service + "/" + host
	rec, known := c.Record(name)
	if !known {
		return
	}
	rec.Aliases = nil
	if cred, ok := c.Ticket(name); ok {
		cred.Server = Principal{NameType: cred.Server.NameType, Realm: cred.Server.Realm, Components: []string{service, host}}
		c.PutPrivate(user, cred, rec)
		return
	}
	c.Note(Private(host, user), rec)
}

// replaceEntries stores the entries of the ticket cred in the place of what old finds.
func (c *Cache) replaceEntries(cred Credential, entries []Credential, old func(Credential) bool) {
	follow := !cred.Client.Equal(c.Principal)
	if follow && !c.mayAdopt(cred.Client, old) {
		c.refused = &clientError{have: c.Principal, want: cred.Client}
		return
	}
	at := slices.IndexFunc(c.Credentials, old) // the new ticket takes the place of the old one
	c.Credentials = slices.DeleteFunc(c.Credentials, old)
	if follow {
		c.Principal = cred.Client
		c.Credentials = slices.DeleteFunc(c.Credentials, Credential.IsConfig) // they describe the old principal
	}
	if at < 0 || follow {
		at = len(c.Credentials)
	}
	c.Credentials = slices.Insert(c.Credentials, at, entries...)
}

// evictPrivate drops private tickets, of those that among names, until there are at most so many. keep, which is there, stays.
func (c *Cache) evictPrivate(keep string, among func(place string) bool, most int) {
	ends := map[string]time.Time{}
	for i := range c.Credentials {
		if place := c.Credentials[i].Server.place(); strings.Contains(place, "/") && place != keep && among(place) {
			ends[place] = c.Credentials[i].EndTime
		}
	}
	first := slices.SortedFunc(maps.Keys(ends), func(a, b string) int { return cmp.Or(ends[a].Compare(ends[b]), strings.Compare(a, b)) })
	gone := map[string]bool{}
	for _, place := range first[:max(len(first)+1-most, 0)] {
		gone[place] = true
	}
	if len(gone) > 0 {
		c.remove(gone)
	}
}

// Azure Files issues its tickets for one client, in one realm. A ticket can say otherwise, and then that counts.
const (
	AzureRealm  = "FILES.AZURE.STORAGE.MICROSOFT.COM"
	AzureClient = "AzureFileClient"
)

// unproven is the client of a cache that holds identities and no ticket yet. The first ticket says who it is.
var unproven = Principal{NameType: nameTypePrincipal, Realm: AzureRealm, Components: []string{AzureClient}}

// Note stores who is to obtain the ticket of name, cifs/<canonical host> or a Private one, in whatever realm, and
// leaves the ticket that may be there.
func (c *Cache) Note(name string, rec Record) {
	if c.Principal.isZero() {
		c.Principal = unproven
	}
	server := Principal{NameType: nameTypePrincipal, Realm: unproven.Realm, Components: strings.Split(name, "/")}
	if cred, ok := c.Ticket(name); ok {
		server.Realm = cred.Server.Realm
	}
	entry, ok := rec.entry(c.Principal, server)
	if !ok {
		return
	}
	place := placeOf(name)
	c.Credentials = slices.DeleteFunc(c.Credentials, func(cred Credential) bool { return isRecordOf(&cred, place) })
	c.Credentials = append(c.Credentials, entry)
}

// labels gives the entries that store cred under all hosts, the canonical one first, and the record.
func labels(cred Credential, rec Record, hosts []string) []Credential {
	realms := []string{cred.Server.Realm}
	if cred.Client.Realm != cred.Server.Realm {
		realms = append(realms, cred.Client.Realm)
	}
	var list []Credential
	for _, host := range hosts {
		for _, realm := range realms {
			label := cred
			label.Server = Principal{NameType: cred.Server.NameType, Realm: realm, Components: []string{service, host}}
			list = append(list, label)
		}
	}
	if entry, ok := rec.entry(cred.Client, list[0].Server); ok {
		list = append(list, entry)
	}
	return list
}

// inPlaces finds the tickets and records of places.
func inPlaces(places []string) func(Credential) bool {
	return func(cred Credential) bool {
		return slices.ContainsFunc(places, func(place string) bool { return cred.Server.isAt(place) || isRecordOf(&cred, place) })
	}
}

// mayAdopt reports whether client may become the default principal of the cache once what old
// finds is gone.
func (c *Cache) mayAdopt(client Principal, old func(Credential) bool) bool {
	if c.Principal.isZero() {
		return true
	}
	others := slices.ContainsFunc(c.Credentials, func(cred Credential) bool { return !old(cred) && !cred.IsConfig() })
	return !others && (slices.Equal(client.Components, c.Principal.Components) || c.Principal.Equal(unproven))
}

// IsConfig reports whether an entry is a setting of the cache, libkrb5's or a record of ours, in whose ticket is no ticket.
func (c Credential) IsConfig() bool { return c.Server.Realm == configRealm }

// clientError says that a cache belongs to another client.
type clientError struct{ have, want Principal }

func (e *clientError) Error() string {
	return fmt.Sprintf("its client is %s, the new ticket's is %s", e.have, e.want)
}

// Remove drops the ticket of name in every realm, its aliases and its record, and reports whether there was anything.
// That of cifs/<canonical host> takes the private ones of the account with it; of an alias it drops that name alone.
func (c *Cache) Remove(name string) bool {
	place, before := placeOf(name), len(c.Credentials)
	if place == "" {
		return false
	}
	gone := map[string]bool{place: true}
	for i := range c.Credentials {
		for _, other := range []string{c.Credentials[i].Server.place(), recordPlace(&c.Credentials[i])} {
			if hostOfPlace(other) == place {
				gone[other] = true
			}
		}
	}
	c.remove(gone)
	return len(c.Credentials) != before
}

// RemovePrivate drops a further identity's ticket and record.
func (c *Cache) RemovePrivate(host, user string) {
	c.Credentials = slices.DeleteFunc(c.Credentials, inPlaces([]string{placeOf(Private(host, user))}))
}

// RemoveAll drops all service tickets, with their aliases and records.
func (c *Cache) RemoveAll() {
	c.Credentials = slices.DeleteFunc(c.Credentials, func(cred Credential) bool { return cred.Server.place() != "" || recordPlace(&cred) != "" })
}

// remove drops the tickets of places, their aliases and their records, in one pass.
func (c *Cache) remove(places map[string]bool) {
	owners, kept := c.owners(), c.Credentials[:0:0]
	for i, cred := range c.Credentials {
		if !places[cmp.Or(owners[i], recordPlace(&cred))] && !places[cred.Server.place()] {
			kept = append(kept, cred)
		}
	}
	c.Credentials = kept
}

// DropExpired removes, with their aliases and records, the service tickets that have ended by now,
// and records whose ticket is gone. What keep names, by cifs/<canonical host> or a Private name, stays; a nil keep
// names nothing.
func (c *Cache) DropExpired(now time.Time, keep func(name string) bool) {
	live, gone := map[string]bool{}, map[string]bool{}
	drop := func(place string) {
		if keep == nil || !keep(nameOf(place)) {
			gone[place] = true
		}
	}
	for _, t := range c.AllTickets() {
		place := t.Server.place()
		live[place] = true
		if !t.EndTime.After(now) {
			drop(place)
		}
	}
	for i := range c.Credentials {
		if place := recordPlace(&c.Credentials[i]); place != "" && !live[place] {
			drop(place)
		}
	}
	if len(gone) > 0 {
		c.remove(gone)
	}
}
