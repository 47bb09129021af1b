package doctor

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// tries bounds how often a check asks: a person waits for the answer, and the checks' own bound ends it.
const tries = 2

// ways are the transports to Azure.
type ways struct {
	azure, imds http.RoundTripper
	err         error // a fault
}

// ways gives the transports of the Subject, and those of the configuration where it has none. That to an endpoint goes
// through the proxy that its ticket was obtained through, as its renewal will.
func (s *Subject) ways(e endpoint.Endpoint) ways {
	return once(s, "transports "+e.Host(), func() ways {
		w := ways{azure: s.Transport, imds: s.IMDS}
		if w.imds == nil {
			w.imds, w.err = transport.New(transport.Options{ConnectTimeout: s.Config.Transport.ConnectTimeout})
		}
		if w.azure == nil && w.err == nil {
			w.azure, w.err = transport.NewRoute(s.Config.Transport)
		}
		if route, ok := w.azure.(*transport.Route); ok && w.err == nil {
			w.azure, w.err = route.Through(s.chosen(e))
		}
		return w
	})
}

// chosen is the proxy that a record of a ticket for the endpoint names.
func (s *Subject) chosen(e endpoint.Endpoint) transport.Choice {
	for _, uid := range s.cruids() {
		if c := tickets.Chosen(s.cacheOf(uid).Snapshot, e.SPN()); c.Proxy != nil {
			return c
		}
	}
	return transport.Choice{}
}

// client exchanges tokens for tickets, and writes them nowhere.
func (s *Subject) client(e endpoint.Endpoint) (*azfiles.Client, error) {
	w := s.ways(e)
	return &azfiles.Client{Transport: w.azure, Now: s.Now, Attempts: tries}, w.err
}

// grant is what came of asking for an access token.
type grant struct {
	identity.AccessToken
	claims identity.Claims
	known  bool // the token tells its claims
	err    error
}

// token asks for an access token for the endpoint, as a mount does.
func (s *Subject) token(ctx context.Context, e endpoint.Endpoint, use login) grant {
	w := s.ways(e)
	o := tickets.TokenOptions(identity.Options{Transport: w.azure, IMDS: w.imds, Host: s.Host, Attempts: tries}, s.Config, e, use.cruid)
	if e.IsZero() { // of no account, hence of the cloud that nearly all are in
		o.Cloud.Name, o.Cloud.Resource = endpoint.Public.Name, endpoint.Public.Resource
		o.Cloud.Authority = cmp.Or(o.Cloud.Authority, endpoint.Public.Authority)
	}
	return once(s, "token "+use.identity.TokenName(o), func() grant {
		if w.err != nil {
			return grant{err: w.err}
		}
		var g grant
		g.AccessToken, g.err = use.identity.Token(ctx, o)
		if g.err == nil {
			g.claims, g.known = identity.ClaimsOf(g.Value)
		}
		return g
	})
}

// greeting is what came of asking the endpoint without a token.
type greeting struct {
	azfiles.Greeting
	err error
}

func (s *Subject) greet(ctx context.Context, e endpoint.Endpoint) greeting {
	return once(s, "greeting "+e.Host(), func() greeting {
		c, err := s.client(e)
		if err != nil {
			return greeting{err: err}
		}
		var g greeting
		g.Greeting, g.err = c.Greet(ctx, e)
		return g
	})
}

// left is a time with how far it is from now, for people.
func (s *Subject) left(t time.Time) string {
	d := t.Sub(s.Now()).Round(time.Second)
	if d < 0 {
		return t.UTC().Format(time.RFC3339) + " (" + (-d).String() + " ago)"
	}
	return t.UTC().Format(time.RFC3339) + " (in " + d.String() + ")"
}

func checkExchange(ctx context.Context, s *Subject) Result {
	return each(s.principals(), func(use login) Result { return s.exchange(ctx, use) }, noIdentity())
}

func (s *Subject) exchange(ctx context.Context, use login) Result {
	e, id := s.Target.Endpoint, use.identity
	g := s.token(ctx, e, use)
	if g.err != nil {
		return NotChecked("%s: there is no access token", id)
	}
	client, err := s.client(e)
	if err != nil {
		return Failed(err)
	}
	cred, err := client.Exchange(ctx, e, g.Value, azfiles.Caller{Identity: id.String(), Principal: g.claims.ObjectID})
	if err != nil {
		return Failed(err)
	}
	defer cred.Key.Value.Wipe()
	defer cred.Ticket.Wipe()
	if problem := s.foreignClient(id, cred); problem != nil {
		return Failed(problem)
	}
	return Good("%s: a ticket for %s until %s, encryption type %d, client %s", id, cred.Server, s.left(cred.EndTime), cred.Key.Etype, cred.Client)
}

// foreignClient is the fault of a credential cache that holds the tickets of another client, beside which
// the ticket cannot be stored.
func (s *Subject) foreignClient(id identity.Identity, cred ccache.Credential) error {
	for _, use := range s.logins(s.Target) {
		c := s.cacheOf(use.cruid)
		if use.identity != id || c.Cache == nil || c.Cache.Principal.Equal(cred.Client) {
			continue
		}
		if slices.ContainsFunc(c.Cache.Tickets(), func(t *ccache.Credential) bool { return t.Server.Components[1] != s.Target.Endpoint.Host() }) {
			return fault.CCachePrincipal.New(c.path, "its client is "+c.Cache.Principal.String()+", the new ticket's is "+cred.Client.String())
		}
	}
	return nil
}
