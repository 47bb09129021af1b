package azfiles

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// service is the first component of the principal of an SMB server.
const service = "cifs"

// chooseTicket finds the ticket for the endpoint, the one that lasts longest if there are several.
func (x *exchange) chooseTicket(a *reply.Answer, grants []grant) (*grant, *fault.Fault) {
	if len(grants) == 0 {
		return nil, x.clean(fault.TicketNone.New(x.host()).Because(x.trace(a)))
	}
	var best *grant
	for n := range grants {
		if g := &grants[n]; g.isFor(x.endpoint.Host()) && (best == nil || g.info.EndTime.After(best.info.EndTime)) {
			best = g
		}
	}
	if best == nil {
		return nil, x.clean(fault.TicketServer.New(x.host(), grants[0].server()).Because(x.trace(a)))
	}
	return best, nil
}

// isFor reports whether the ticket, and its description if that says, names the SMB service of a host.
func (g *grant) isFor(host string) bool {
	names := func(p types.PrincipalName) bool {
		s := p.NameString
		return len(s) == 2 && strings.EqualFold(s[0], service) && strings.EqualFold(s[1], host)
	}
	return names(g.ticket.SName) && (len(g.info.SName.NameString) == 0 || names(g.info.SName))
}

func (g *grant) server() string {
	return strings.Join(g.ticket.SName.NameString, "/") + "@" + g.ticket.Realm
}

// credential checks a ticket's description, but for the times' relation to now, and puts it into
// the terms of the cache.
func (x *exchange) credential(a *reply.Answer, g *grant) (ccache.Credential, *fault.Fault) {
	if !acceptsEncryption(g.info.Key.KeyType) {
		return ccache.Credential{}, x.clean(fault.TicketEtype.New(x.host(), etypeName(g.info.Key.KeyType), x.endpoint.Account()).Because(x.trace(a)))
	}
	if err := g.check(); err != nil {
		return ccache.Credential{}, x.invalidAnswer(a, err)
	}
	i := g.info
	cred := ccache.Credential{
		Client: principal(i.PRealm, i.PName),
		Server: principal(g.ticket.Realm, types.PrincipalName{
			NameType: g.ticket.SName.NameType, NameString: []string{service, x.endpoint.Host()},
		}),
		Key:       ccache.Key{Etype: uint16(i.Key.KeyType), Value: secret.New(bytes.Clone(i.Key.KeyValue))},
		AuthTime:  i.AuthTime.UTC(),
		StartTime: i.StartTime.UTC(),
		EndTime:   i.EndTime.UTC(),
		RenewTill: i.RenewTill.UTC(),
		Flags:     flags(i.Flags.Bytes),
		Ticket:    secret.New(bytes.Clone(g.raw)),
	}
	cred.StartTime = cred.ValidFrom() // both times are optional (RFC 4120, 5.8.1)
	if cred.AuthTime.IsZero() {
		cred.AuthTime = cred.StartTime
	}
	for _, h := range i.CAddr {
		cred.Addresses = append(cred.Addresses, ccache.TypedData{Type: uint16(h.AddrType), Data: h.Address})
	}
	return cred, nil
}

// acceptsEncryption reports whether session keys of an encryption type are used.
func acceptsEncryption(etype int32) bool {
	if etype < 0 || etype > math.MaxUint16 || etype == ccache.RC4 {
		return false
	}
	_, known := ccache.KeySize(uint16(etype))
	return known
}

// check finds what is missing or impossible in a description.
func (g *grant) check() error {
	i := g.info
	size, _ := ccache.KeySize(uint16(i.Key.KeyType))
	if len(i.Key.KeyValue) != size {
		return fmt.Errorf("the session key has %d bytes instead of %d", len(i.Key.KeyValue), size)
	}
	if len(i.PName.NameString) == 0 {
		return errors.New("the client is missing")
	}
	if !printable(i.PRealm, i.PName.NameString) || !printable(g.ticket.Realm, nil) {
		return errors.New("a name holds control characters")
	}
	if i.EndTime.IsZero() || i.StartTime.IsZero() && i.AuthTime.IsZero() {
		return errors.New("the ticket's times are missing")
	}
	if i.EndTime.Before(i.StartTime) {
		return errors.New("the ticket expires before it starts")
	}
	for _, t := range []time.Time{i.AuthTime, i.StartTime, i.EndTime, i.RenewTill} {
		if !t.IsZero() && (t.Unix() <= 0 || t.Unix() > math.MaxUint32) { // what a cache can hold
			return errors.New("a time is out of range")
		}
	}
	return nil
}

// printable guards the cache's other readers, who may show names as they are.
func printable(realm string, components []string) bool {
	return strings.IndexFunc(realm+strings.Join(components, ""), unicode.IsControl) < 0
}

func principal(realm string, name types.PrincipalName) ccache.Principal {
	return ccache.Principal{NameType: uint32(name.NameType), Realm: realm, Components: name.NameString}
}

// flags are the first 32 bits of TicketFlags, the first one being the most significant.
func flags(bits []byte) uint32 {
	var v uint32
	for n, b := range bits[:min(len(bits), 4)] {
		v |= uint32(b) << (24 - 8*n)
	}
	return v
}

// etypeName is an encryption type with its name in the IANA registry, where it may help.
func etypeName(etype int32) string {
	if etype == ccache.RC4 {
		return "23 (rc4-hmac)"
	}
	return fmt.Sprint(etype)
}
