package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

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

func checkDNS(ctx context.Context, s *Subject) Result {
	return each(s.Target.hosts(), func(host string) Result { return s.resolveName(ctx, host) }, quiet)
}

func (s *Subject) resolveName(ctx context.Context, host string) Result {
	addresses, err := s.Lookup.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addresses) == 0 {
		return Failed(fault.DNSFailed.New(host).Because(err))
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
	if a.IsLoopback() {
		return "this machine"
	}
	if a.IsPrivate() || a.IsLinkLocalUnicast() {
		return "private"
	}
	return public
}

func checkHTTPS(ctx context.Context, s *Subject) Result {
	g := s.greet(ctx, s.Target.Endpoint)
	if g.err != nil {
		return Failed(g.err)
	}
	return Good("it answered after %s", g.Took.Round(time.Millisecond))
}

// strangeSkew is the difference of the clocks from which something is wrong with ours.
const strangeSkew = time.Minute

func checkClock(ctx context.Context, s *Subject) Result {
	g := s.greet(ctx, s.Target.Endpoint)
	if g.err != nil {
		return NotChecked("the account did not answer")
	}
	if g.Theirs.IsZero() {
		return NotChecked("the answer of the account has no Date")
	}
	// Theirs was cut to the second.
	skew, direction := transport.Skew(g.Ours, g.Theirs.Add(time.Second/2))
	if skew <= strangeSkew {
		return Good("it differs by %s", skew)
	}
	r := Failed(fault.ClockSkew.New(skew.String(), direction, s.Target.Endpoint.Host()))
	if skew <= transport.MaxSkew {
		r.Status = Warning
	}
	return r
}

const smbPort = "445"

func checkPort445(ctx context.Context, s *Subject) Result {
	return each(s.Target.smbAddresses(), func(address string) Result { return s.connect(ctx, address) }, quiet)
}

// smbAddresses are where the mounts of the target connect: by each of its names, or where a line of
// fstab says so.
func (t *Target) smbAddresses() []string {
	var all []string
	for _, from := range t.From {
		host, port := from.plain(), smbPort
		if from.Fstab != nil {
			for _, name := range []string{"addr", "ip"} {
				if a, _ := from.Fstab.Options.Get(name); a != "" {
					host = a
				}
			}
			if p, _ := from.Fstab.Options.Get("port"); p != "" {
				port = p
			}
		}
		if address := net.JoinHostPort(host, port); !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	if len(all) == 0 {
		all = []string{net.JoinHostPort(t.Endpoint.Host(), smbPort)}
	}
	return all
}

func (s *Subject) connect(ctx context.Context, address string) Result {
	began := s.Now()
	conn, err := s.Dial(ctx, "tcp", address)
	if err != nil {
		server, _, _ := net.SplitHostPort(address)
		why := fault.Plain(err.Error())
		if ctx.Err() != nil {
			why = fault.Plain(ctx.Err().Error())
		}
		return Failed(fault.SMBUnreachable.New(server, why))
	}
	_ = conn.Close() // nothing was said
	return Good("%s accepted a connection after %s", address, s.Now().Sub(began).Round(time.Millisecond))
}
