package transport

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// detour is another name of a host.
type detour struct{ host, other string }

type detourKey struct{}

// WithDetour makes connections for ctx go to another name of a host where the addresses of the host itself cannot
// be reached. An account's own name has IPv4 addresses alone; one with IPv6 has them under another name. The
// certificate must be that of the host all the same. An empty other name is none.
func WithDetour(ctx context.Context, host, other string) context.Context {
	if other == "" {
		return ctx
	}
	return context.WithValue(ctx, detourKey{}, detour{host, other})
}

// detouring is dial with the detours of its contexts. The error is that of the host itself.
func detouring(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		d, ok := ctx.Value(detourKey{}).(detour)
		host, port, _ := net.SplitHostPort(addr) // without a port it is not the host
		if err == nil || !ok || host != d.host || !noWay(err) {
			return conn, err
		}
		if other, otherErr := dial(ctx, network, net.JoinHostPort(d.other, port)); otherErr == nil {
			return other, nil
		}
		return nil, err
	}
}

// noWay reports whether a connection failed because no address of its host can be reached from here.
func noWay(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound || unrouted(err)
}

// unrouted are the errors of a machine that has no address of the kind, or no way to it.
func unrouted(err error) bool {
	return isAny(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT)
}

// interfaceAddrs is net.InterfaceAddrs but in tests.
var interfaceAddrs = net.InterfaceAddrs

// onlyIPv6 reports whether a connection failed because the address is of IPv4 and this machine has IPv6 alone.
func onlyIPv6(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || !unrouted(err) {
		return false
	}
	to, ok := op.Addr.(*net.TCPAddr)
	if !ok || to.IP.To4() == nil {
		return false
	}
	addrs, err := interfaceAddrs()
	v6 := false
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || !ip.IP.IsGlobalUnicast() {
			continue
		}
		if ip.IP.To4() != nil {
			return false
		}
		v6 = true
	}
	return err == nil && v6
}
