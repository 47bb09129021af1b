package tickets

import (
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

// A cache has one ticket of an account under its service principal, which every reader finds, and one for each further
// identity, which our handler finds by the user name of the mount. The last identity that was set has the first place,
// unless a mount is live there whose user name tells no identity: such a mount logs in with whatever is there, and must
// go on as who it is. A mount that tells who it is takes the place only where nobody has it and no line of fstab needs it.

// place is where the ticket of a login is.
type place struct {
	name     string            // in the cache, without a realm; "" when there is no such place
	rec      ccache.Record     // of the ticket
	id       identity.Identity // the record's
	recorded bool              // there is a record that can be read
}

// placeAt looks at a place. A record that cannot be parsed is none. Its aliases are left out: see aliasesOf.
func placeAt(c *ccache.Cache, name string) place {
	p := place{name: name}
	if c == nil {
		return p
	}
	rec, known := c.RecordAlone(name)
	if !known {
		return p
	}
	id, err := identity.Parse(rec.Identity)
	p.rec, p.id, p.recorded = rec, id, err == nil
	return p
}

// aliasesOf are the hosts under which the ticket of a place is stored as well.
func aliasesOf(c *ccache.Cache, p place) []string {
	rec, _ := c.Record(p.name)
	return rec.Aliases
}

// placeOf finds the place for the mounts of an account that call themselves user, a selector. Those whose name tells
// nothing have the first one.
func placeOf(c *ccache.Cache, e endpoint.Endpoint, user string) place {
	first := placeAt(c, e.SPN())
	if user == "" || first.answersTo(user) {
		return first
	}
	if p := placeAt(c, ccache.Private(e.Host(), user)); p.answersTo(user) {
		return p
	}
	return place{}
}

// answersTo reports whether a place is that of the identity whose mounts call themselves user. A managed identity that
// is named in another way is mounted under its client id by some, which its token has told.
func (p place) answersTo(user string) bool {
	return p.recorded && (p.id.Username() == user || p.rec.Principal.App == user)
}

// anyRecord reports whether it is known of any ticket of an account who obtained it.
func anyRecord(c *ccache.Cache, e endpoint.Endpoint) bool {
	if placeAt(c, e.SPN()).recorded {
		return true
	}
	for name := range c.Records() {
		if strings.HasPrefix(name, ccache.Private(e.Host(), "")) {
			return true
		}
	}
	return false
}

// Separates reports whether every mount of an account logs in as its own identity: by the rules of request-key, whose
// programs are beneath root, our own handler answers the kernel, and answers itself. A stock one finds the first place
// alone.
func Separates(cfg *config.Config, rules requestkey.Files, root, host string) bool {
	return cfg.Upcall.Mode == "native" && rules.AnswersOurs(host, root)
}

// Separates is the function of that name for the machine on which the kernel starts its programs.
func (m *Manager) Separates(e endpoint.Endpoint) bool {
	if m.Handles != nil {
		return m.cfg.Upcall.Mode == "native" && m.Handles(e.Host())
	}
	rules, root := requestkey.Node()
	return Separates(m.cfg, rules, root, e.Host())
}

// put stores a ticket of the call's identity, which is one for cifs/<host>, where its mounts find it.
func (c *Call) put(cache *ccache.Cache, cred ccache.Credential, rec ccache.Record) {
	host, user := c.Endpoint.Host(), c.Identity.Username()
	cred.Server.Components = []string{"cifs", host}
	if c.private = !c.isFirst(cache); c.private {
		cache.PutPrivate(user, cred, rec)
		return
	}
	if old := placeAt(cache, c.Endpoint.SPN()); old.recorded && old.id.Username() != user {
		cache.SetAside(host, old.id.Username())
	}
	cache.Put(cred, rec)
	cache.RemovePrivate(host, user)
}

// isFirst reports whether the call's ticket belongs into the first place of its account. A mount whose user name tells who it
// is needs no such place where our handler answers, and takes none that a mount whose name tells nothing may log in with.
func (c *Call) isFirst(cache *ccache.Cache) bool {
	first := placeAt(cache, c.Endpoint.SPN())
	if first.answersTo(c.Identity.Username()) || c.Replace || c.owned && c.user == "" {
		return true
	}
	if c.owned && (first.recorded || c.unnamed) { // a login or a renewal takes no other's place
		return false
	}
	if c.owned || c.Username != "" {
		return !c.m.Separates(c.Endpoint) || !first.recorded && !c.unnamed && !c.isMeantForAnother()
	}
	return !c.separated || !c.unnamed || !c.tells()
}

// isMeantForAnother reports whether a line of fstab is there for a mount of the account that tells nothing, as somebody else.
func (c *Call) isMeantForAnother() bool {
	return slices.ContainsFunc(c.m.meantByFstab(c.Endpoint, c.CRUID), func(id identity.Identity) bool {
		return !identity.SamePrincipal(id.String(), c.line)
	})
}

// tells reports whether the identity can be told from the mounts that the call is for. That is known of what
// mount.azfiles mounts, and of managed identities, which everybody mounts under their client id.
func (c *Call) tells() bool {
	return c.Username != "" || c.Identity.Kind == identity.UserAssigned && c.Identity.ClientID != ""
}

// hasUnnamed reports whether a mount's user name tells no identity.
func hasUnnamed(live []mounts.Mount) bool {
	return slices.ContainsFunc(live, func(m mounts.Mount) bool { return identity.Selector(m.Username) == "" })
}
