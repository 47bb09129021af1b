package doctor

import (
	"context"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

func domainRealmCheck() Check {
	return Check{
		ID: "domain-realm", Group: Kerberos, Title: "realm of the host", Severity: CIFSMode, Offline: true, PerEndpoint: true, Needs: []ID{"krb5-conf"},
		Proves: "[domain_realm] of krb5.conf does not send libkrb5 to another realm than that of the ticket.",
		Why:    "libkrb5 looks in the cache for a ticket of the realm that [domain_realm] names, and does not see the one that is there.",
		Run:    checkDomainRealm,
	}
}

func checkDomainRealm(_ context.Context, s *Subject) Result {
	host := s.Target.Endpoint.Host()
	mapped, ok := s.krb5().realmOf(host)
	if !ok {
		return Good("no mapping, so that of the ticket")
	}
	ticket, ok := s.cachedTicket(host)
	if !ok {
		return Known("%s maps the host to %s; without a ticket in the cache that cannot be compared", mapped.place, mapped.value)
	}
	if realm := ticket.Server.Realm; realm != mapped.value && ticket.Client.Realm != mapped.value {
		return s.forStock(Broken("add to [domain_realm] of "+krb5Path+": "+host+" = "+realm,
			"%s maps the host to %s, and the ticket is of %s", mapped.place, mapped.value, realm))
	}
	return Good("%s", mapped.value)
}

// realmOf finds the mapping of a host as libkrb5 does (lib/krb5/os/hostrealm_profile.c): that of the
// host itself, or else that of the nearest of its domains, with a dot before it or without.
func (c *krb5Conf) realmOf(host string) (relation, bool) {
	for name := strings.ToLower(host); name != ""; {
		if r, ok := c.get("domain_realm", name); ok {
			return r, true
		}
		if strings.HasPrefix(name, ".") {
			name = name[1:]
			continue
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return relation{}, false
		}
		name = name[dot:]
	}
	return relation{}, false
}

// cachedTicket is the ticket of a host in the configured cache.
func (s *Subject) cachedTicket(host string) (ccache.Credential, bool) {
	uid, _ := s.credentialUID() // what is wrong with it is another check's
	content, err := s.ReadFile(strings.TrimPrefix(s.Config.CCacheName(uid), "FILE:"))
	if err != nil {
		return ccache.Credential{}, false
	}
	cache, err := ccache.Parse(content)
	if err != nil {
		return ccache.Credential{}, false
	}
	return cache.Ticket("cifs/" + host)
}
