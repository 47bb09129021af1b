package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func dnsCheck() Check {
	return Check{
		ID: "dns", Group: Network, Title: "name resolution", Severity: Fails, PerEndpoint: true,
		Proves: "The names of the endpoint lead to addresses.",
		Why:    "The ticket is fetched from the account's own name and the share is mounted by the name in the source; the kernel looks that up again at every reconnect.",
		Run:    checkDNS,
	}
}

func checkDNS(ctx context.Context, s *Subject) Result {
	var f several
	for _, host := range s.Target.hosts() {
		f.add(s.resolveName(ctx, host))
	}
	return f.result(Result{Status: OK})
}

// hosts are the canonical host and the other names under which the target is used, in lower case.
func (t *Target) hosts() []string {
	hosts := []string{t.Endpoint.Host()}
	for _, from := range t.From {
		if host := from.plain(); host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// plain is the host of an origin as the DNS knows it.
func (o Origin) plain() string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(o.Host, ":443"), "."))
}

func (s *Subject) resolveName(ctx context.Context, host string) Result {
	addresses, err := s.Lookup.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addresses) == 0 {
		return Failed(fault.Wrap(fault.DNSFailed, err, fault.V{"host": host}))
	}
	list := make([]string, len(addresses))
	for i, a := range addresses {
		list[i] = fmt.Sprintf("%s (%s)", a.Unmap(), reachOf(a.Unmap()))
	}
	r := Good("%s is %s", host, strings.Join(list, ", "))
	name, err := s.Lookup.LookupCNAME(ctx, host)
	if name = strings.TrimSuffix(name, "."); err != nil || name == "" || strings.EqualFold(name, host) {
		return r
	}
	r = r.And("by way of %s", name)
	if strings.Contains(strings.ToLower(name), ".privatelink.") && reachOf(addresses[0].Unmap()) == public {
		r.Status = Info
		r = r.And("the account has a private endpoint, and this network resolves to the public address")
	}
	return r
}

const public = "public"

// reachOf says in which net an address is.
func reachOf(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "this machine"
	case a.IsPrivate(), a.IsLinkLocalUnicast():
		return "private"
	}
	return public
}
