package tickets

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// Evidence is everything that can tell who logs in at an endpoint with a credential uid when nobody
// says so. OwnerOf is the only judge of it; Manager.Owner gathers it on a running machine.
type Evidence struct {
	Endpoint endpoint.Endpoint
	CRUID    int            // the credential uid
	Config   *config.Config // the identities that root has named

	Cache  ccache.Snapshot // the credential cache of the uid, the zero value when there is none
	Path   string          // of the cache, for messages
	Damage error           // why nothing can be read from the cache, nil when it can be

	Username string         // what the mount calls itself, "" when that is not known
	Mounted  []mounts.Mount // the live mounts of any endpoint; they count when there is no Username, and tell of guests

	// Meant gives what the function Meant says of the uid, nil is nobody. It is asked where nothing else tells: at boot a line
	// of fstab asks for its ticket before it has one, and the ticket of another program has no record.
	Meant func(endpoint.Endpoint) []identity.Identity
}

// OwnerOf finds the identity that logs in. But for e.Meant it is pure: it reads no file, no clock and no network.
//
// A user name that tells an identity, its client id or a label that mount.azfiles gave, selects it: among the trusted
// records of the account, else in the configuration. Any other user name, such as root, tells nothing: then it is the
// identity of the ticket that every reader finds, else what the configuration says of the endpoint or in general. An
// untrusted record, which any user can have forged, selects nothing
// but one of several identities of the configuration that have the mount's client id. Who logs in at a mount of somebody
// else's, as multiuser lets every user do, is nobody but whom a trusted record of his own cache names.
//
// Errors are faults: RecordUntrusted, IdentityUnknown and e.Damage when there is no such identity,
// IdentityConflict when the mount was made with another client id than the one that was found.
func OwnerOf(e Evidence) (identity.Identity, error) {
	user := e.selector()
	p := placeOf(e.Cache.Cache, e.Endpoint, user)
	id, found := e.find(p, user)
	if !found || e.isGuest() && !(p.recorded && e.Cache.Trusted) {
		return e.unknown(p.recorded, user)
	}
	if user != "" && id.Username() != user && !(p.recorded && p.id == id) {
		return id, fault.IdentityConflict.New(e.Endpoint.Host(), "username="+user, id.String())
	}
	return id, nil
}

// isGuest reports whether the login is a user's at a mount of somebody else's, whose user name the kernel tells. The credential
// uid of the configuration is a guest nowhere.
func (e Evidence) isGuest() bool {
	if e.CRUID == e.Config.CredentialUID {
		return false
	}
	open := false
	for _, m := range e.Mounted {
		if m.Endpoint.Host() != e.Endpoint.Host() {
			continue
		}
		if m.CRUID == e.CRUID {
			return false
		}
		_, shared := m.Options.Get("multiuser")
		open = open || shared
	}
	return open
}

// unknown is whom a line of fstab means where nothing else tells, else why nobody is known.
func (e Evidence) unknown(recorded bool, user string) (id identity.Identity, err error) {
	if e.Damage != nil {
		return id, e.Damage
	}
	if recorded {
		return id, fault.RecordUntrusted.New(e.Path, e.Endpoint.Host())
	}
	if user == "" && e.Meant != nil {
		if meant := e.Meant(e.Endpoint); len(meant) > 0 {
			return meant[0], nil
		}
	}
	return id, fault.IdentityUnknown.New(e.Endpoint.Host())
}

// selector gives what the mount's user name tells of its identity, "" when it tells nothing. Without
// a user name it is the one that all live mounts share.
func (e Evidence) selector() string {
	if e.Username != "" {
		return identity.Selector(e.Username)
	}
	live := mountsOf(e.Mounted, e.Endpoint, e.CRUID)
	if len(live) == 0 || slices.ContainsFunc(live, func(m mounts.Mount) bool { return m.Username != live[0].Username }) {
		return ""
	}
	return identity.Selector(live[0].Username)
}

func (e Evidence) find(p place, user string) (identity.Identity, bool) {
	named := e.Config.NamedIdentities()
	client := identity.ClientID(user)
	byClient, one := identityOf(client, named)
	// Of several entries with the client id that the mount names, an untrusted record may choose.
	if p.recorded && (e.Cache.Trusted || client != "" && p.id.ClientID == client && slices.Contains(named, p.id)) {
		return p.id, true
	}
	if one {
		return byClient, true
	}
	said, found := e.Config.IdentityFor(e.Endpoint.Host())
	if user == "" || client != "" {
		return said, found
	}
	// A label tells what it was made of.
	for _, id := range slices.Concat([]identity.Identity{said}, named, []identity.Identity{{Kind: identity.System}, {Kind: identity.Arc}}) {
		if id.Username() == user {
			return id, true
		}
	}
	return identity.Identity{}, false
}

// identityOf gives the identity with a client id: the only one that the configuration has with it, or
// a managed identity when it has none.
func identityOf(client string, named []identity.Identity) (id identity.Identity, ok bool) {
	if client == "" {
		return id, false
	}
	found := slices.DeleteFunc(slices.Clone(named), func(i identity.Identity) bool { return i.ClientID != client })
	switch len(found) {
	case 0:
		return identity.Identity{Kind: identity.UserAssigned, ClientID: client}, true
	case 1:
		return found[0], true
	}
	return id, false
}

// mountsOf gives the mounts of an endpoint under a credential uid.
func mountsOf(all []mounts.Mount, e endpoint.Endpoint, cruid int) (of []mounts.Mount) {
	for _, m := range all {
		if m.Endpoint.Host() == e.Host() && m.CRUID == cruid {
			of = append(of, m)
		}
	}
	return of
}

// Owner gathers the evidence on this machine and gives what OwnerOf makes of it. username is what the mount calls itself, "" when that is not known. Of the token files of a trusted record it takes the newest that is there.
// Its errors are faults, those of OwnerOf among them.
func (m *Manager) Owner(e endpoint.Endpoint, cruid int, username string) (identity.Identity, error) {
	id, _, err := m.owner(e, cruid, username)
	return id, err
}

// owner is Owner, with the selector of the mounts that log in, as far as it is known.
func (m *Manager) owner(e endpoint.Endpoint, cruid int, username string) (id identity.Identity, user string, err error) {
	found, err := m.evidence(e, cruid, username)
	if err != nil {
		return id, "", err
	}
	user = found.selector()
	id, err = OwnerOf(found)
	if fault.Is(err, fault.IdentityUnknown) {
		live, _ := m.Mounted() // what cannot be read gives no advice
		fstab, _ := mounts.Fstab(m.Host)
		return identity.Identity{}, user, AdviseMachine(err, e, m.cfg, live, fstab)
	}
	if p := placeOf(found.Cache.Cache, e, user); err == nil && p.recorded && p.id == id && found.Cache.Trusted {
		id.TokenFile = m.presentFile(id.TokenFile, p.rec.Files)
	}
	return id, user, err
}

// IsMachines reports whether a login whose user name tells no identity is the machine's: by its credential uid, and as root, as
// mount.cifs calls who names nobody.
func IsMachines(cfg *config.Config, cruid int, username string) bool {
	return cruid == cfg.CredentialUID && (username == "" || username == "root")
}

// MayBeOthers reports whether a login may be one with a ticket of a user's own, of a domain or of Entra Kerberos: neither the
// mount nor a record says who logs in, and it is not the machine's (see IsMachines). Those are mounted into containers, and a
// program that looks for a ticket where the waiting process has its files is none for them. What the configuration says of an
// account or in general must not answer such a login before a user's own ticket had its turn.
func (m *Manager) MayBeOthers(l Login) bool {
	found, err := m.evidence(l.Endpoint, l.CRUID, l.Username)
	if err != nil || found.selector() != "" || placeOf(found.Cache.Cache, l.Endpoint, "").recorded {
		return false
	}
	return !IsMachines(m.cfg, l.CRUID, l.Username)
}

func (m *Manager) evidence(e endpoint.Endpoint, cruid int, username string) (Evidence, error) {
	c, err := m.cache(cruid)
	if err != nil {
		return Evidence{}, err
	}
	found := Evidence{
		Endpoint: e, CRUID: cruid, Config: m.cfg, Path: c.Path(), Username: username,
		Meant: func(e endpoint.Endpoint) []identity.Identity { return m.meantByFstab(e, cruid) },
	}
	if found.Cache, err = c.Load(); err != nil {
		if !fault.Is(err, fault.CCacheDamaged) {
			return Evidence{}, err
		}
		found.Damage = err
	}
	if username != "" && cruid == m.cfg.CredentialUID { // the table would tell nothing
		return found, nil
	}
	found.Mounted, err = m.Mounted()
	return found, err
}

// presentFile is the first of some token files that is there. The CSI driver deletes a volume's file with its volume;
// when all are gone the first one's absence is what is to be told.
func (m *Manager) presentFile(file string, others []string) string {
	for _, f := range append([]string{file}, others...) {
		if f == "" {
			break
		}
		if _, err := os.Lstat(m.Host.Path(f)); !errors.Is(err, fs.ErrNotExist) {
			return f
		}
	}
	return file
}
