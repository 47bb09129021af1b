package doctor

import (
	"context"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

func exchangeCheck() Check {
	return Check{
		ID: "exchange", Group: Exchange, Title: "ticket for the access token", Severity: Fails, PerEndpoint: true, Needs: []ID{"identity", "https", "clock"}, Timeout: azureTimeout,
		Proves: "The storage account issues a ticket to the identity; it is thrown away.",
		Why:    "The role of the identity, the settings of the account and its network rules are all tried by it.",
		Run:    checkExchange,
	}
}

func checkExchange(ctx context.Context, s *Subject) Result {
	var f several
	for _, id := range s.identities() {
		f.add(s.exchange(ctx, id))
	}
	return f.result(Result{Status: OK}.orUnknown(len(f.results)))
}

func (s *Subject) exchange(ctx context.Context, id identity.Identity) Result {
	e := s.Target.Endpoint
	g := s.token(ctx, e, id)
	if g.err != nil {
		return NotChecked("%s: there is no access token", id)
	}
	client, err := s.client()
	if err != nil {
		return Failed(err)
	}
	cred, err := client.Exchange(ctx, e, g.Value, azfiles.Caller{Identity: id.String(), Principal: g.claims.ObjectID})
	if err != nil {
		return Failed(err)
	}
	defer cred.Key.Value.Wipe()
	defer cred.Ticket.Wipe()
	if problem := s.stranger(id, cred); problem != nil {
		return Failed(problem)
	}
	return Good("%s: a ticket for %s until %s, encryption type %d, client %s", id, cred.Server, s.left(cred.EndTime), cred.Key.Etype, cred.Client)
}

// stranger is the fault of a credential cache that holds the tickets of another client, beside which
// the ticket cannot be stored.
func (s *Subject) stranger(id identity.Identity, cred ccache.Credential) error {
	for _, use := range s.logins(s.Target) {
		c := s.cacheOf(use.cruid)
		if use.identity != id || c.cache == nil || len(c.cache.Tickets()) == 0 || c.cache.Principal.Equal(cred.Client) {
			continue
		}
		others := false
		for _, t := range c.cache.Tickets() {
			others = others || t.Server.Components[1] != s.Target.Endpoint.Host()
		}
		if others {
			return c.fault(fault.CCachePrincipal, "its client is "+c.cache.Principal.String()+", the new ticket's is "+cred.Client.String())
		}
	}
	return nil
}
