package ccache

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

// A ticket is stored under several labels: cifs/<canonical host> first, then cifs/<alias> for each
// other name under which the account is mounted, and each of these also in the client's realm when
// the service's realm is another, because libkrb5 looks there when krb5.conf does not map the host.
// The labels hold the same ticket, byte by byte. That is how they are recognised: the first label
// of a ticket in the file owns it, the others are its aliases. A host that has a record is never one.

// Ticket gives the service ticket labelled spn ("cifs/host", canonical or alias, in any realm)
// that ends last. Like libkrb5 it overlooks entries of another client than the cache's.
func (c *Cache) Ticket(spn string) (Credential, bool) {
	host, best := hostOf(spn), -1
	for i := range c.Credentials {
		if host == "" || c.Credentials[i].Server.host() != host || !c.usable(i) {
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

// Tickets gives the service tickets, one for each canonical host, without their aliases and
// without configuration entries, in the order of the file.
func (c *Cache) Tickets() []Credential {
	owners := c.owners()
	tickets := make([]Credential, 0, len(owners)/2) // the other half are records
	index := make(map[string]int, cap(tickets))
	for i := range c.Credentials {
		cred := &c.Credentials[i]
		host := cred.Server.host()
		if host == "" || owners[i] != host || !c.usable(i) {
			continue
		}
		if n, seen := index[host]; !seen {
			index[host] = len(tickets)
			tickets = append(tickets, *cred)
		} else if cred.EndTime.After(tickets[n].EndTime) {
			tickets[n] = *cred
		}
	}
	return tickets
}

// usable reports whether libkrb5 could choose the credential i for a connection.
func (c *Cache) usable(i int) bool {
	return !c.Credentials[i].IsSKey && c.Credentials[i].Client.Equal(c.Principal)
}

// owners gives for each credential the host under which its ticket is stored first, "" for what is
// no service ticket.
func (c *Cache) owners() []string {
	type digest struct {
		sum uint64
		len int
	}
	seed := maphash.MakeSeed()
	first := make(map[digest]string, len(c.Credentials))
	recorded := make(map[string]bool, len(c.Credentials))
	for i := range c.Credentials {
		recorded[recordHost(&c.Credentials[i])] = true
	}
	owners := make([]string, len(c.Credentials))
	for i := range c.Credentials {
		host, ticket := c.Credentials[i].Server.host(), c.Credentials[i].Ticket.Reveal()
		if host == "" {
			continue
		}
		d := digest{maphash.Bytes(seed, ticket), len(ticket)}
		if _, seen := first[d]; !seen {
			first[d] = host
		}
		if owners[i] = first[d]; recorded[host] {
			owners[i] = host
		}
	}
	return owners
}

// aliases gives the other hosts under which the tickets that host owns are stored.
func (c *Cache) aliases(host string) []string {
	var list []string
	for i, owner := range c.owners() {
		alias := c.Credentials[i].Server.host()
		if owner == host && alias != host && !slices.Contains(list, alias) {
			list = append(list, alias)
		}
	}
	return list
}

// Put stores the service ticket cred, whose server is cifs/<canonical host>, and its record. It
// replaces that host's ticket in whatever realm, its record, and every alias: those of rec and
// those the old ticket had. Nothing of other hosts is touched. A rec without identity is not
// stored.
//
// The first ticket makes its client the cache's default principal. A cache of another client stays
// as it is, and the Update around this Put fails with fault CCachePrincipal; only a change of the
// client's realm is followed, when no other ticket would be lost by it.
func (c *Cache) Put(cred Credential, rec Record) {
	host := cred.Server.host()
	if host == "" {
		c.refused = fmt.Errorf("%s is no service of Azure Files", cred.Server)
		return
	}
	hosts := []string{host}
	for _, alias := range append(slices.Clone(rec.Aliases), c.aliases(host)...) {
		if alias = strings.ToLower(alias); alias != "" && !slices.Contains(hosts, alias) {
			hosts = append(hosts, alias)
		}
	}
	old := about(hosts)
	follow := !cred.Client.Equal(c.Principal)
	if follow && !c.mayAdopt(cred.Client, old) {
		c.refused = &clientError{have: c.Principal, want: cred.Client}
		return
	}
	at := slices.IndexFunc(c.Credentials, old) // the new ticket takes the place of the old one
	c.Credentials = slices.DeleteFunc(c.Credentials, old)
	if follow {
		c.Principal = cred.Client
		c.Credentials = slices.DeleteFunc(c.Credentials, isConfig) // they describe the old principal
	}
	if at < 0 || follow {
		at = len(c.Credentials)
	}
	c.Credentials = slices.Insert(c.Credentials, at, labels(cred, rec, hosts)...)
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

// about finds the tickets and records of hosts.
func about(hosts []string) func(Credential) bool {
	return func(cred Credential) bool {
		return slices.Contains(hosts, cred.Server.host()) || slices.Contains(hosts, recordHost(&cred))
	}
}

// mayAdopt reports whether client may become the default principal of the cache once what old
// finds is gone.
func (c *Cache) mayAdopt(client Principal, old func(Credential) bool) bool {
	if c.Principal.isZero() {
		return true
	}
	others := slices.ContainsFunc(c.Credentials, func(cred Credential) bool { return !old(cred) && !isConfig(cred) })
	return !others && slices.Equal(client.Components, c.Principal.Components)
}

func isConfig(c Credential) bool { return c.Server.Realm == configRealm }

// clientError says that a cache belongs to another client.
type clientError struct{ have, want Principal }

func (e *clientError) Error() string {
	return fmt.Sprintf("its client is %s, the new ticket's is %s", e.have, e.want)
}

// Remove drops the ticket of spn, a canonical cifs/host, in every realm, its aliases and its
// record, and reports whether there was anything. Of an alias it drops that name alone.
func (c *Cache) Remove(spn string) bool {
	host, before := hostOf(spn), len(c.Credentials)
	if host == "" {
		return false
	}
	c.remove(map[string]bool{host: true})
	return len(c.Credentials) != before
}

// RemoveAll drops all service tickets, with their aliases and records.
func (c *Cache) RemoveAll() {
	c.Credentials = slices.DeleteFunc(c.Credentials, func(cred Credential) bool { return cred.Server.host() != "" || recordHost(&cred) != "" })
}

// remove drops the tickets of hosts, their aliases and their records, in one pass.
func (c *Cache) remove(hosts map[string]bool) {
	owners, kept := c.owners(), c.Credentials[:0:0]
	for i, cred := range c.Credentials {
		if !hosts[cmp.Or(owners[i], recordHost(&cred))] && !hosts[cred.Server.host()] {
			kept = append(kept, cred)
		}
	}
	c.Credentials = kept
}

// DropExpired removes, with their aliases and records, the service tickets that have ended by now,
// and records whose ticket is gone. What keep names, by canonical cifs/host, stays; a nil keep
// names nothing.
func (c *Cache) DropExpired(now time.Time, keep func(spn string) bool) {
	live, gone := map[string]bool{}, map[string]bool{}
	drop := func(host string) {
		if keep == nil || !keep(service+"/"+host) {
			gone[host] = true
		}
	}
	for _, t := range c.Tickets() {
		host := t.Server.host()
		live[host] = true
		if !t.EndTime.After(now) {
			drop(host)
		}
	}
	for i := range c.Credentials {
		if host := recordHost(&c.Credentials[i]); host != "" && !live[host] {
			drop(host)
		}
	}
	if len(gone) > 0 {
		c.remove(gone)
	}
}
