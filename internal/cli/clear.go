package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// erased is the result of clear.
type erased struct {
	Endpoints []string `json:"erased"` // hosts whose tickets were erased
	CCache    string   `json:"ccache"` // path of the credential cache

	forgotten string // that there was no ticket, but an identity; "" is not so
}

// forgotten is the result of clear --tokens.
type forgotten struct {
	Forgotten bool `json:"forgotten"` // whether anything was kept
}

// clear erases the ticket of the endpoint in args, or all without one; or it forgets the access tokens.
func (s *session) clear(c *cobra.Command, args []string) error {
	if s.tokens {
		return s.forgetTokens()
	}
	cfg, m, uid, err := s.openCache()
	if err != nil {
		return err
	}
	var target named
	if len(args) > 0 {
		if target, err = s.resolveName(args[0], cfg); err != nil {
			return err
		}
	}
	if s.cruid == "" && target.place.Path != "" {
		r, err := m.OfPlace(target.place)
		if fault.Is(err, fault.UIDUnknown) {
			return err
		}
		if err == nil && !r.Endpoint.IsZero() { // whose ticket it is does not matter
			uid = r.CRUID
		}
	}
	e, err := s.erase(c.Context(), m, uid, target.Endpoint)
	if err != nil {
		return err
	}
	return s.result(e, func(w io.Writer) {
		if e.forgotten != "" {
			_, _ = fmt.Fprintln(w, e.forgotten)
			return
		}
		for _, host := range e.Endpoints {
			_, _ = fmt.Fprintf(w, "%s: ticket erased from %s\n", legible.Line(host), e.CCache)
		}
		if len(e.Endpoints) == 0 {
			_, _ = fmt.Fprintf(w, "there are no tickets in %s\n", e.CCache)
		}
	})
}

func (s *session) forgetTokens() error {
	was, err := keyring.ForgetSealed(s.Host)
	if err != nil {
		return fault.RunDir.New(s.Host.Run).Because(err)
	}
	return s.result(forgotten{was}, func(w io.Writer) {
		if was {
			_, _ = fmt.Fprintln(w, "the access tokens that were kept are forgotten")
		} else {
			_, _ = fmt.Fprintln(w, "no access tokens are kept")
		}
	})
}

// erase erases the ticket of an endpoint, or all for the zero one.
func (s *session) erase(ctx context.Context, m *tickets.Manager, uid int, target endpoint.Endpoint) (erased, error) {
	listing, err := m.List(uid)
	e := erased{Endpoints: []string{}, CCache: listing.CCache}
	if err != nil {
		return e, err
	}
	if !target.IsZero() {
		had, err := m.Clear(ctx, uid, target)
		if had || err != nil {
			e.Endpoints = append(e.Endpoints, target.Host())
			return e, err
		}
		e.forgotten = target.Host() + ": there was no ticket in " + e.CCache + "; the identity that was stored for it is forgotten"
		if s.json {
			s.warn(e.forgotten)
		}
		return e, nil
	}
	hosts, err := m.ClearAll(ctx, uid)
	e.Endpoints = append(e.Endpoints, hosts...)
	return e, err
}
