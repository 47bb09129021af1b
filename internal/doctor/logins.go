package doctor

import (
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
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
	use := login{where: "the configuration", cruid: s.Config.CredentialUID()}
	if use.identity, use.err = s.owner(t.Endpoint, use.cruid, ""); use.err != nil {
		use.identity, use.err = identity.Identity{Kind: identity.System}, nil
	}
	return []login{use}
}

func isKerberos(sec string) bool { return strings.HasPrefix(sec, "krb5") }

func entryPlace(l mounts.FstabLine) string { return fileLine("/etc/fstab", l.Line) }

// ownLine is the use that a line of type azfiles makes.
func (s *Subject) ownLine(e endpoint.Endpoint, l mounts.FstabLine) login {
	use := login{where: entryPlace(l), target: l.Target}
	use.identity, use.cruid, use.err = l.Options.Login().Resolve(s.Config, e, s.Path(s.Passwd))
	return use
}

// cifsLine is the use that a line of type cifs makes, whose ticket somebody else sees to at the mount.
func (s *Subject) cifsLine(e endpoint.Endpoint, l mounts.FstabLine) login {
	use := login{where: entryPlace(l), target: l.Target}
	cruid, username := l.Options.MountCIFS()
	if use.cruid, use.err = s.Config.CRUID(cruid, s.Path(s.Passwd)); use.err == nil {
		id, err := s.owner(e, use.cruid, username)
		use.identity, use.err = tickets.OwnerOfLine(l, id, err)
	}
	return use
}

// mounted is the use that a live mount makes.
func (s *Subject) mounted(e endpoint.Endpoint, m *mounts.Mount) login {
	use := login{where: "the mount " + m.Target, target: m.Target, cruid: max(m.CRUID, 0), live: true}
	use.identity, use.err = s.owner(e, use.cruid, m.Username)
	return use
}

// owner finds who logs in where nobody tells, as the kernel's upcall does. The error is a fault.
func (s *Subject) owner(e endpoint.Endpoint, cruid int, username string) (identity.Identity, error) {
	c := s.cacheOf(cruid)
	if c.err != nil && !fault.Is(c.err, fault.CCacheDamaged) {
		return identity.Identity{}, c.err
	}
	return tickets.OwnerOf(tickets.Evidence{
		Endpoint: e, CRUID: cruid, Config: s.Config, Cache: c.Snapshot, Path: c.path, Damage: c.err, Username: username, Mounted: s.Mounts,
	})
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
