package tickets

import (
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// OfLine is the request that a line of fstab makes: for one of type azfiles what mount.azfiles asks for, else a ticket for
// the login that the kernel will ask for. Its errors are faults, with as much of the request as is known.
func (m *Manager) OfLine(l mounts.FstabLine) (Request, error) {
	_, e, err := mounts.Mountable(l.Spec, m.cfg.Resolver)
	if err != nil {
		return Request{}, err
	}
	return LoginOfLine(l, e, m.cfg, m.Host, func(cruid int, username string) (identity.Identity, error) { return m.Owner(e, cruid, username) })
}

// LoginOfLine is OfLine for a line of a machine whose endpoint is known. owner tells who logs in with a credential uid and
// a user name of mount.cifs, as OwnerOf does.
//
// A line for mount.cifs that asks for its ticket means the machine where nothing names an identity: such lines say
// username=root or nothing, and root wrote them.
func LoginOfLine(l mounts.FstabLine, e endpoint.Endpoint, cfg *config.Config, h host.Host, owner func(cruid int, username string) (identity.Identity, error)) (r Request, err error) {
	r.Endpoint = e
	if l.IsOurs() {
		r.Identity, r.CRUID, err = l.Options.Login().Resolve(cfg, e, h)
		r.Username = r.Identity.Username()
		return r, err
	}
	cruid, username := l.Options.MountCIFS()
	r.Username = identity.Selector(username)
	if r.CRUID, err = cfg.CRUID(cruid, h); err != nil {
		return r, err
	}
	r.Identity, err = owner(r.CRUID, username)
	if l.WantsTicket() && fault.Is(err, fault.IdentityUnknown) {
		r.Identity, err = identity.Identity{Kind: identity.System}, nil
	}
	return r, err
}

// Meant gives who the mounts of an account under a credential uid are that tell nothing by their user name, as far as
// lines of fstab and the configuration say so.
func Meant(fstab []mounts.FstabLine, e endpoint.Endpoint, cruid int, cfg *config.Config, h host.Host) (all []identity.Identity) {
	for _, l := range fstab {
		_, at, err := mounts.Mountable(l.Spec, cfg.Resolver)
		if err != nil || at.Host() != e.Host() || !l.IsKerberos() {
			continue
		}
		r, err := LoginOfLine(l, at, cfg, h, func(cruid int, username string) (identity.Identity, error) {
			return OwnerOf(Evidence{Endpoint: at, CRUID: cruid, Config: cfg, Username: username})
		})
		if err == nil && r.CRUID == cruid && r.Username == "" {
			all = append(all, r.Identity)
		}
	}
	return all
}

func (m *Manager) meantByFstab(e endpoint.Endpoint, cruid int) []identity.Identity {
	lines, _ := mounts.Fstab(m.Host) // without it nobody is meant
	return Meant(lines, e, cruid, m.cfg, m.Host)
}

// OfPlace is the request of the share at a mount point: for what is mounted there a ticket of whoever its logins are, else
// what OfLine makes of its line of fstab. It has no Endpoint where neither logs in by Kerberos, and no Identity where
// nobody knows whose a mount is. Its errors are those of OfLine.
func (m *Manager) OfPlace(p mounts.Place) (r Request, err error) {
	l := p.Line()
	if mnt := p.Mount; mnt != nil && mnt.CRUID >= 0 {
		r = Request{Endpoint: mnt.Endpoint, CRUID: mnt.CRUID, Username: mnt.Username}
		r.Identity, err = m.Owner(mnt.Endpoint, mnt.CRUID, mnt.Username)
		if err == nil || l == nil {
			return r, nil
		}
	}
	if l == nil || !l.IsOurs() && !l.IsKerberos() {
		return r, nil
	}
	line, err := m.OfLine(*l)
	if fault.Is(err, fault.IdentityUnknown, fault.RecordUntrusted, fault.CCacheDamaged) {
		line.Identity, err = identity.Identity{}, nil
	}
	if p.Mount == nil || err == nil && line.CRUID == r.CRUID {
		return line, err
	}
	return r, nil
}
