package tickets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// tokenMargin is the time before its end from which a kept token is not used any more: it must
// outlive the exchange and the difference of the clocks.
const tokenMargin = 5 * time.Minute

// token obtains an access token, unless the caller was handed one. kept says that it was obtained
// earlier. The identity's lock makes twenty mounts at boot that find none ask one after the other, so
// that the first asks Entra and the others find its token in the keyring.
func (m *Manager) token(ctx context.Context, c *cache, r Request, renew bool) (t identity.AccessToken, kept bool, err error) {
	o := m.tokens
	o.Cloud = r.Endpoint.Cloud()
	if host := m.cfg.AuthorityHost(); host != "" {
		o.Cloud.Authority = host
	}
	if !r.Token.Empty() {
		t, err = r.Identity.FromText(r.Token.Reveal(), "the caller", o)
		return t, false, err
	}
	ring, name := m.ring(r.Identity), tokenName(r.Identity, o)
	if t, ok := m.recall(ring, name); ok && !renew {
		return t, true, nil
	}
	unlock, err := c.LockIdentity(ctx, r.Identity.String())
	if err != nil {
		return t, false, err
	}
	defer unlock()
	if t, ok := m.recall(ring, name); ok && !renew {
		return t, true, nil // whoever held the lock has kept one
	}
	if t, err = r.Identity.Token(ctx, o); err == nil && ring != nil {
		m.keep(ring, name, t)
	}
	return t, false, err
}

// ring is where tokens of an identity are kept, nil when they are not. A token file is as near as the keyring.
func (m *Manager) ring(i identity.Identity) keyring.Ring {
	if i.Kind == identity.Token || m.OpenRing == nil {
		return nil
	}
	ring, err := m.OpenRing()
	if err != nil {
		return nil
	}
	return ring
}

// tokenName names a token by everything that it depends on. It is a hash because root can list keys by name.
func tokenName(i identity.Identity, o identity.Options) string {
	authority, resource := o.Cloud.Authority, o.Cloud.Resource
	if i.Authority != "" {
		authority = i.Authority
	}
	if i.Resource != "" {
		resource = i.Resource
	}
	h := sha256.New()
	for _, part := range []string{i.String(), authority, resource} {
		h.Write(strconv.AppendInt(nil, int64(len(part)), 10))
		h.Write([]byte(":" + part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// A kept token is its end in Unix seconds, a space and the token.

func (m *Manager) keep(ring keyring.Ring, name string, t identity.AccessToken) {
	ttl := t.ExpiresOn.Sub(m.Now()) - tokenMargin
	if ttl < time.Second {
		return
	}
	text := strconv.AppendInt(nil, t.ExpiresOn.Unix(), 10)
	text = append(append(text, ' '), t.Value.Reveal()...)
	_ = ring.Set(name, secret.New(text), ttl) // a token that is not kept is asked for again
}

// recall gives a token that was kept and lasts long enough; a nil ring has none.
func (m *Manager) recall(ring keyring.Ring, name string) (identity.AccessToken, bool) {
	if ring == nil {
		return identity.AccessToken{}, false
	}
	v, err := ring.Get(name)
	if err != nil {
		return identity.AccessToken{}, false
	}
	end, token, found := bytes.Cut(v.Reveal(), []byte(" "))
	unix, err := strconv.ParseInt(string(end), 10, 64)
	t := identity.AccessToken{Value: secret.New(token), ExpiresOn: time.Unix(unix, 0)}
	if !found || err != nil || t.ExpiresOn.Sub(m.Now()) < tokenMargin {
		return identity.AccessToken{}, false
	}
	return t, true
}

// refused reports whether a new token may help where a kept one did not.
func refused(err error) bool {
	return fault.Is(err, fault.TokenRefused)
}
