package tickets

import (
	"context"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// fetch obtains a new ticket and writes it. The endpoint's lock is held.
func (m *Manager) fetch(ctx context.Context, c *cache, r Request) (Result, error) {
	c.writer.expect()
	cred, kept, err := m.obtain(ctx, c, r, false)
	if kept && refused(err) {
		cred, _, err = m.obtain(ctx, c, r, true)
	}
	if err != nil {
		c.writer.giveUp()
		return Result{}, err
	}
	m.Step("ticket: obtained from %s, ends at %s", r.Endpoint, cred.EndTime.Format(time.RFC3339))
	rec := ccache.Record{Identity: r.Identity.String(), ObtainedAt: m.Now(), Refreshable: r.Identity.Refreshable(), Aliases: slices.Clone(r.Aliases)}
	if alias := r.Endpoint.Alias(); alias != "" && !slices.Contains(rec.Aliases, alias) {
		rec.Aliases = append(rec.Aliases, alias)
	}
	if err := c.writer.put(ctx, c.Store, cred, rec); err != nil {
		return Result{}, err
	}
	m.forget()
	return Result{CCache: c.Path(), Server: cred.Server.String(), EndTime: cred.EndTime, Ticket: cred}, nil
}

func (m *Manager) forget() {
	if m.ForgetFailures == nil {
		return
	}
	if cleared, err := m.ForgetFailures(); err == nil && cleared {
		m.Step("kernel: it has forgotten its failed requests")
	}
}

// obtain gets a ticket for a token; kept says that the token was an earlier one, unless renew forbids that.
func (m *Manager) obtain(ctx context.Context, c *cache, r Request, renew bool) (cred ccache.Credential, kept bool, err error) {
	token, kept, err := m.token(ctx, c, r, renew)
	if err != nil {
		return cred, kept, err
	}
	defer token.Value.Wipe()
	how := "obtained"
	if kept {
		how = "kept from before"
	}
	m.Step("token: %s, identity %s", how, r.Identity)
	if token.Hint != "" {
		m.Step("hint: %s", token.Hint)
	}
	caller := azfiles.Caller{Identity: r.Identity.String()}
	if claims, ok := identity.ClaimsOf(token.Value); ok {
		caller.Principal = claims.ObjectID
	}
	cred, err = m.client.Exchange(ctx, r.Endpoint, token.Value, caller)
	return cred, kept, err
}
