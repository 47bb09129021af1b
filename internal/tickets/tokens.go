package tickets

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// tokenMargin is the time before its end from which a kept token is not used any more: it must
// outlive the exchange and the difference of the clocks.
const tokenMargin = 5 * time.Minute

// token obtains an access token, unless the caller was handed one. kept says that it was obtained
// earlier; one that was refused is not used again. The identity's lock makes twenty mounts at boot
// that find none ask one after the other, so that the first asks Entra and the others find its token,
// or that it got none.
func (c *Call) token(ctx context.Context, refused secret.Value) (t identity.AccessToken, kept bool, err error) {
	o := c.tokenOptions()
	if !c.Token.Empty() {
		t, err = c.Identity.FromText(c.Token.Reveal(), "the caller", o)
		return t, false, err
	}
	name := c.Identity.TokenName(o)
	recall := func() (identity.AccessToken, bool) {
		t, ok := c.recall(name)
		return t, ok && !t.Value.Equal(refused)
	}
	if t, ok := recall(); ok {
		return t, true, nil
	}
	unlock, err := c.locked(ctx, "identity", forIdentity, func(ctx context.Context) (func(), error) { return c.cache.LockIdentity(ctx, c.line) })
	if err != nil {
		return t, false, err
	}
	defer unlock()
	if t, ok := recall(); ok {
		return t, true, nil // whoever held the lock has kept one
	}
	if failure := c.m.memory.failure(c.attempt(name), c.number); failure != nil {
		return t, false, failure
	}
	t, err = c.Identity.Token(ctx, o)
	if err == nil {
		c.keep(name, t)
	} else if ctx.Err() == nil { // who ran out of time says nothing of the others
		err = c.m.memory.fail(c.attempt(name), &TokenError{c.line, c.m.Host.Now(), err})
	}
	return t, false, err
}

// attempt names what failed when there is no token: another proxy may lead to one.
func (c *Call) attempt(name string) string {
	if c.chosen.Proxy == nil {
		return name
	}
	return name + " through " + c.chosen.Proxy.String()
}

func (c *Call) tokenOptions() identity.Options {
	o := c.m.tokens
	o.Transport = c.way
	return TokenOptions(o, c.m.cfg, c.Endpoint, c.CRUID)
}

// TokenOptions are o as the configuration, an endpoint and a credential uid complete them: of which cloud, from
// whom and with whose files a token is asked for.
func TokenOptions(o identity.Options, cfg *config.Config, e endpoint.Endpoint, cruid int) identity.Options {
	o.Cloud, o.Owner = e.Cloud(), max(cruid, 0)
	if host := cfg.AuthorityHost(); host != "" {
		o.Cloud.Authority = host
	}
	o.Authorities, o.Environment = cfg.Authorities(), cfg.Environment
	return o
}

// forgetEvery bounds how often a process drops a token: an identity whose token 500 accounts refuse, or that has no role on
// them, must not ask Entra 500 times.
const forgetEvery = 30 * time.Second

// forget drops the kept token after an exchange that another token could have passed, so that the next try sees
// what was repaired meanwhile. It reports whether it did.
func (c *Call) forget(err error) bool {
	name := c.Identity.TokenName(c.tokenOptions())
	if !azfiles.RefusesToken(err) && !azfiles.RefusesIdentity(err) || !c.m.memory.mayForget(name, c.m.Host.Now()) {
		return false
	}
	c.drop(name)
	return true
}

func (c *Call) drop(name string) {
	c.m.memory.forget(name)
	if ring := c.m.ring(); ring != nil {
		_ = ring.Remove(name) // what stays is refused again
	}
}

// ring is where other processes find tokens, nil when there is no such place.
func (m *Manager) ring() keyring.Ring {
	if m.OpenRing == nil {
		return nil
	}
	ring, err := m.OpenRing()
	if err != nil {
		return nil
	}
	return keyring.Seal(ring, m.Host)
}

// keep keeps a token in the ring or, where that takes none, in the memory: many containers have no
// keyring, and 500 endpoints of one identity would be 500 requests to the identity service. A token
// file is as near as either.
func (c *Call) keep(name string, t identity.AccessToken) {
	ttl := t.ExpiresOn.Sub(c.m.Host.Now()) - tokenMargin
	if ttl < time.Second || c.Identity.Kind == identity.Token {
		return
	}
	// A token in the ring is its end in Unix seconds, a space and the token.
	text := append(strconv.AppendInt(nil, t.ExpiresOn.Unix(), 10), ' ')
	text = append(text, t.Value.Reveal()...)
	if ring := c.m.ring(); ring != nil && ring.Set(name, secret.New(text), ttl) == nil {
		c.m.memory.forget(name) // an older token must not come up again
		return
	}
	c.m.memory.keep(name, t, c.m.Host.Now())
}

// recall gives a copy of a token that was kept and lasts long enough.
func (c *Call) recall(name string) (t identity.AccessToken, ok bool) {
	if c.Identity.Kind == identity.Token {
		return t, false
	}
	if c.m.memory.isOverdue(name, c.m.Host.Now()) {
		c.drop(name)
		return t, false
	}
	if ring := c.m.ring(); ring != nil {
		t, ok = fromRing(ring, name)
	}
	if !ok {
		t, ok = c.m.memory.recall(name)
	}
	return t, ok && t.ExpiresOn.Sub(c.m.Host.Now()) >= tokenMargin
}

func fromRing(ring keyring.Ring, name string) (identity.AccessToken, bool) {
	v, err := ring.Get(name)
	if err != nil {
		return identity.AccessToken{}, false
	}
	end, token, found := bytes.Cut(v.Reveal(), []byte(" "))
	unix, err := strconv.ParseInt(string(end), 10, 64)
	return identity.AccessToken{Value: secret.New(token), ExpiresOn: time.Unix(unix, 0)}, found && err == nil
}
