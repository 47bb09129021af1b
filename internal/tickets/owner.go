package tickets

import (
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// Owner finds the identity with which a credential uid logs in at an endpoint, for a face that
// nobody tells. username is what the mount calls itself, "" when that is not known.
//
// It is the identity of a trusted record; else that of an untrusted one, but only if root's
// configuration or a live mount names it too; else the one whose client id the mount has as its
// username=; else what the configuration says of the endpoint or in general. Any other user name,
// such as root, tells nothing.
//
// Errors are faults: RecordUntrusted, IdentityUnknown and CCacheDamaged when there is no such identity,
// IdentityConflict when the mount was made with another client id than the one that was found.
func (m *Manager) Owner(e endpoint.Endpoint, cruid int, username string) (identity.Identity, error) {
	o, err := m.newOwner(e, cruid, username)
	if err != nil {
		return identity.Identity{}, err
	}
	id, ok := o.find()
	switch {
	case !ok && o.damage != nil:
		return id, o.damage
	case !ok && o.known:
		return id, fault.New(fault.RecordUntrusted, fault.V{"host": e.Host(), "ccache": o.path})
	case !ok:
		return id, fault.New(fault.IdentityUnknown, fault.V{"host": e.Host()})
	case o.client != "" && id.ClientID != "" && id.ClientID != o.client:
		return id, fault.New(fault.IdentityConflict, fault.V{
			"endpoint": e.Host(), "other": "username=" + o.client, "identity": id.String(),
		})
	}
	return id, nil
}

// owner is what is known of who logs in.
type owner struct {
	*Manager
	host    string
	path    string // of the cache
	damage  error  // of the cache
	record  identity.Identity
	known   bool // there is a record
	trusted bool // and nobody but root could have written it
	named   []identity.Identity
	client  string // the client id that the mount has as its user name, "" when that is none
}

func (m *Manager) newOwner(e endpoint.Endpoint, cruid int, username string) (owner, error) {
	c, err := m.cache(cruid)
	if err != nil {
		return owner{}, err
	}
	snap, err := c.Load()
	if err != nil && !fault.Is(err, fault.CCacheDamaged) { // a damaged one has no record
		return owner{}, err
	}
	o := owner{Manager: m, host: e.Host(), path: c.Path(), damage: err, named: m.cfg.NamedIdentities()}
	o.record, o.known = recordOf(snap.Cache, e)
	o.trusted = snap.Trusted
	if username == "" {
		if username, err = m.mountedAs(e, cruid); err != nil {
			return owner{}, err
		}
	}
	o.client = clientID(username)
	return o, nil
}

func recordOf(c *ccache.Cache, e endpoint.Endpoint) (id identity.Identity, known bool) {
	if c == nil {
		return id, false
	}
	rec, known := c.Record(e.SPN())
	if !known {
		return id, false
	}
	id, err := identity.Parse(rec.Identity)
	return id, err == nil
}

// mountedAs gives the user name that all live mounts of the endpoint under the credential uid share.
func (m *Manager) mountedAs(e endpoint.Endpoint, cruid int) (string, error) {
	live, err := m.live(Request{Endpoint: e, CRUID: cruid})
	if err != nil || len(live) == 0 {
		return "", err
	}
	for _, mnt := range live {
		if mnt.Username != live[0].Username {
			return "", nil
		}
	}
	return live[0].Username, nil
}

// clientID gives a user name in the form of a client id if it is one, else "".
func clientID(username string) string {
	id := identity.Identity{Kind: identity.UserAssigned, ClientID: username}.Clean()
	if id.Validate() != nil {
		return ""
	}
	return id.ClientID
}

func (o owner) find() (identity.Identity, bool) {
	byClient, one := o.byClient()
	switch {
	case o.known && o.trusted:
		return o.record, true
	case o.known && (slices.Contains(o.named, o.record) || one && byClient == o.record):
		return o.record, true
	case one:
		return byClient, true
	}
	if id, ok := o.cfg.EndpointIdentity(o.host); ok {
		return id, true
	}
	return o.cfg.DefaultIdentity()
}

// byClient gives the identity with the client id that the mount names: the only one that the
// configuration has with it, or a managed identity when it has none.
func (o owner) byClient() (id identity.Identity, ok bool) {
	if o.client == "" {
		return id, false
	}
	found := slices.DeleteFunc(slices.Clone(o.named), func(i identity.Identity) bool { return i.ClientID != o.client })
	switch len(found) {
	case 0:
		return identity.Identity{Kind: identity.UserAssigned, ClientID: o.client}, true
	case 1:
		return found[0], true
	}
	return id, false
}
