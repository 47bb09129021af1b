package doctor

import (
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// login is one way in which an endpoint is used: where that is said, whose credential cache serves and
// who logs in.
type login struct {
	where    string // such as "/etc/fstab:12"
	target   string // the mount point, "" when none is named
	cruid    int
	identity identity.Identity
	err      error // why there is no identity or no credential uid, a fault
	live     bool  // it is mounted
}

// logins gives the uses of a target that log in with a ticket. A target that is not used yet, but
// named by a person or in the configuration, has the use that a mount without options would be.
func (s *Subject) logins(t *Target) []login {
	var all []login
	for _, from := range t.From {
		switch {
		case from.Fstab != nil && from.Fstab.IsOurs():
			all = append(all, s.ownLine(t.Endpoint, *from.Fstab))
		case from.Fstab != nil && from.Fstab.IsKerberos():
			all = append(all, s.cifsLine(t.Endpoint, *from.Fstab))
		case from.Mount != nil && isKerberos(from.Mount.Sec):
			all = append(all, s.mounted(t.Endpoint, from.Mount))
		}
	}
	named := slices.ContainsFunc(t.From, func(o Origin) bool { return o.Config || o.Argument })
	if len(all) > 0 || !named {
		return all
	}
	cruid := s.Config.CredentialUID()
	id, ok := s.ownerOf(t.Endpoint, cruid, "")
	if !ok {
		id = identity.Identity{Kind: identity.System}
	}
	return []login{{where: "the configuration", cruid: cruid, identity: id}}
}

func isKerberos(sec string) bool { return strings.HasPrefix(sec, "krb5") }

func entryPlace(l mounts.FstabLine) string { return fileLine("/etc/fstab", l.Line) }

// ownLine is the use that a line of type azfiles makes.
func (s *Subject) ownLine(e endpoint.Endpoint, l mounts.FstabLine) login {
	use := login{where: entryPlace(l), target: l.Target}
	use.identity, use.cruid, use.err = l.Options.Login().Resolve(s.Config, e, s.Path("/etc/passwd"))
	return use
}

// cifsLine is the use that a line of type cifs makes, whose ticket somebody else sees to at the mount.
func (s *Subject) cifsLine(e endpoint.Endpoint, l mounts.FstabLine) login {
	use := login{where: entryPlace(l), target: l.Target}
	cruid, username := l.Options.MountCIFS()
	if use.cruid, use.err = s.Config.CRUID(cruid, s.Path("/etc/passwd")); use.err == nil {
		use.identity, use.err = s.ownerFault(e, use.cruid, username)
	}
	return use
}

// mounted is the use that a live mount makes.
func (s *Subject) mounted(e endpoint.Endpoint, m *mounts.Mount) login {
	use := login{where: "the mount " + m.Target, target: m.Target, cruid: max(m.CRUID, 0), live: true}
	use.identity, use.err = s.ownerFault(e, use.cruid, m.Username)
	return use
}

func (s *Subject) ownerFault(e endpoint.Endpoint, cruid int, username string) (identity.Identity, error) {
	id, ok := s.ownerOf(e, cruid, username)
	if !ok {
		return id, fault.IdentityUnknown.New(e.Host())
	}
	return id, nil
}

// ownerOf finds who logs in where nobody tells, by the rules of the kernel's upcall: a record that
// nobody but root could have written, or one that something of root's confirms; the client id in the
// user name; what the configuration says.
func (s *Subject) ownerOf(e endpoint.Endpoint, cruid int, username string) (identity.Identity, bool) {
	named := s.Config.NamedIdentities()
	client := identity.ClientID(username)
	var byClient []identity.Identity
	if client != "" {
		byClient = slices.DeleteFunc(slices.Clone(named), func(i identity.Identity) bool { return i.ClientID != client })
		if len(byClient) == 0 {
			byClient = []identity.Identity{{Kind: identity.UserAssigned, ClientID: client}}
		}
	}
	c := s.cacheOf(cruid)
	if id, ok := c.recorded(e); ok && (c.trusted || slices.Contains(named, id) || len(byClient) == 1 && byClient[0] == id) {
		return id, true
	}
	if len(byClient) == 1 {
		return byClient[0], true
	}
	if id, ok := s.Config.EndpointIdentity(e.Host()); ok {
		return id, true
	}
	return s.Config.DefaultIdentity()
}

// identities are those that log in at the target, each once.
func (s *Subject) identities() []identity.Identity {
	var ids []identity.Identity
	for _, use := range s.logins(s.Target) {
		if use.err == nil && !slices.Contains(ids, use.identity) {
			ids = append(ids, use.identity)
		}
	}
	return ids
}
