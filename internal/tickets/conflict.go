package tickets

import (
	"context"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// checkLiveMounts looks at the live mounts of the account, and refuses an identity that could not be told from that of one of them.
func (c *Call) checkLiveMounts(ctx context.Context, snap ccache.Snapshot) error {
	if c.Replace || c.owned && c.user == "" {
		return nil
	}
	all, err := c.m.Mounted()
	if err != nil && c.owned { // then no place is changed that could be a mount's
		c.unnamed = true
		return nil
	}
	if err != nil {
		return err
	}
	live := mountsOf(all, c.Endpoint, c.CRUID)
	c.unnamed = hasUnnamed(live)
	if len(live) == 0 || c.owned {
		return nil
	}
	c.separated = c.m.Separates(c.Endpoint)
	for _, mnt := range live {
		other := c.otherThan(identity.Selector(mnt.Username), mnt.Username, snap.Cache)
		if other == nil || c.provesSame(ctx, other.rec) {
			continue
		}
		if c.separated {
			return fault.IdentityUnnamed.New(c.Endpoint.Host(), other.who, c.line)
		}
		return fault.IdentityConflict.New(c.Endpoint.Host(), other.who, c.line)
	}
	return nil
}

// Collide reports whether two identities of an account cannot be mounted at once for one credential uid, under user
// names of which one and two are the selectors (identity.Selector). Where our handler answers, separated, a mount is
// told by its user name.
func Collide(separated bool, one, two string) bool { return !separated || one == two }

// other is a second identity.
type other struct {
	who string
	rec ccache.Record
}

// otherThan gives whose live mount it is, by its user name, if the call's identity cannot be mounted beside it.
//
// Where our handler answers, two identities conflict as Collide says.
// Where a stock handler answers, the second identity would silently run as the first and, after a
// reconnect, the first as the second. The record tells whose the session is, and so does a mount whose user name
// is a client id. Another user name, such as root, can be anybody's but a managed identity's, which is
// mounted under its client id by everyone.
func (c *Call) otherThan(user, shown string, cache *ccache.Cache) *other {
	own := c.Identity.Username()
	if c.separated {
		mine := own
		if user != own && !c.tells() {
			mine = ""
		}
		p := placeOf(cache, c.Endpoint, user)
		if !Collide(true, mine, user) || !p.recorded || c.isSame(p.rec) {
			return nil
		}
		return &other{p.rec.Identity, p.rec}
	}
	first := placeAt(cache, c.Endpoint.SPN())
	if first.recorded && !c.isSame(first.rec) {
		return &other{first.rec.Identity, first.rec}
	}
	unnamed := user == "" && shown != "" && !first.recorded && c.Identity.Kind == identity.UserAssigned
	if unnamed || user != "" && user != own && !(first.answersTo(user) && first.recorded && c.isSame(first.rec)) {
		return &other{who: "username=" + shown}
	}
	return nil
}

// isSame reports whether a record's identity and the call's are one principal: by their text, or by what a token says.
func (c *Call) isSame(rec ccache.Record) bool {
	if claims := claimsOf(c.Token); claims.Object != "" && rec.Principal.Object != "" {
		return claims.Object == rec.Principal.Object && claims.Tenant == rec.Principal.Tenant
	}
	if c.Identity.Kind == identity.Token && rec.Principal.Object != "" {
		return false // a token file can be anybody's: see provesSame
	}
	if identity.SamePrincipal(rec.Identity, c.line) {
		return true
	}
	p := rec.Principal
	return p.App != "" && p.App == c.Identity.ClientID || p.Object != "" && p.Object == c.Identity.ObjectID
}

// provesSame asks for the access token of an identity that would be refused, when that can show that it is the
// principal of the record under another name. The token is kept for what follows.
func (c *Call) provesSame(ctx context.Context, rec ccache.Record) bool {
	if rec.Principal.Object == "" || !c.Token.Empty() || !c.Identity.Refreshable() {
		return false
	}
	way, err := c.m.route(c.chosen)
	if err != nil {
		return false
	}
	c.way = way
	token, _, err := c.token(ctx, c.Token)
	if err != nil {
		return false
	}
	defer token.Value.Wipe()
	return claimsOf(token.Value) == rec.Principal
}

// claimsOf is what an access token says of its principal.
func claimsOf(token secret.Value) ccache.Claimed {
	claims, _ := identity.ClaimsOf(token) // of a token that tells none they are empty
	id := func(text string) string {      // anything else is nothing to compare, and might be long
		if text = strings.ToLower(text); identity.ClientID(text) == text {
			return text
		}
		return ""
	}
	return ccache.Claimed{Tenant: id(claims.TenantID), Object: id(claims.ObjectID), App: id(claims.AppID)}
}
