package doctor

import (
	"context"
	"net/http"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// tries bounds how often a check asks: a person waits for the answer, and the checks' own bound ends it.
const tries = 2

// ways are the transports to Azure.
type ways struct {
	azure, imds http.RoundTripper
	err         error // a fault
}

// ways gives the transports of the Subject, and those of the configuration where it has none.
func (s *Subject) ways() ways {
	return once(s, "transports", func() ways {
		w := ways{azure: s.Transport, imds: s.IMDS}
		o := transport.Options{ConnectTimeout: s.Config.ConnectTimeout()}
		if w.imds == nil {
			w.imds, w.err = transport.New(o)
		}
		if w.azure == nil && w.err == nil {
			o.Proxy = s.Config.Proxy()
			w.azure, w.err = transport.New(o)
		}
		return w
	})
}

// client exchanges tokens for tickets, and writes them nowhere.
func (s *Subject) client() (*azfiles.Client, error) {
	w := s.ways()
	return &azfiles.Client{Transport: w.azure, Now: s.Now, Attempts: tries}, w.err
}

// grant is what came of asking for an access token.
type grant struct {
	identity.AccessToken
	claims identity.Claims
	known  bool // the token tells its claims
	err    error
}

// token asks for an access token for the endpoint.
func (s *Subject) token(ctx context.Context, e endpoint.Endpoint, id identity.Identity) grant {
	cloud := e.Cloud()
	if host := s.Config.AuthorityHost(); host != "" {
		cloud.Authority = host
	}
	return once(s, "token "+id.String()+" "+cloud.Authority+" "+cloud.Resource, func() grant {
		w := s.ways()
		if w.err != nil {
			return grant{err: w.err}
		}
		var g grant
		g.AccessToken, g.err = id.Token(ctx, identity.Options{
			Cloud: cloud, Transport: w.azure, IMDS: w.imds, Host: s.Host, Attempts: tries,
			Authorities: s.Config.Authorities(), Environment: s.Config.Environment(),
		})
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
		c, err := s.client()
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
