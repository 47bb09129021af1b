package tickets

import (
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// OfLine is the request that a line of fstab makes: for one of type azfiles what mount.azfiles asks for, else a ticket for
// the login that the kernel will ask for. Its errors are faults, with as much of the request as is known.
func (m *Manager) OfLine(l mounts.FstabLine) (r Request, err error) {
	if _, r.Endpoint, err = mounts.Mountable(l.Spec, m.cfg.Resolver); err != nil {
		return r, err
	}
	if l.IsOurs() {
		r.Identity, r.CRUID, err = l.Options.Login().Resolve(m.cfg, r.Endpoint, m.Host)
		r.Username = r.Identity.Username()
		return r, err
	}
	cruid, username := l.Options.MountCIFS()
	if r.CRUID, err = m.cfg.CRUID(cruid, m.Host); err != nil {
		return r, err
	}
	r.Username = identity.Selector(username)
	id, err := m.Owner(r.Endpoint, r.CRUID, username)
	r.Identity, err = OwnerOfLine(l, id, err)
	return r, err
}

// OwnerOfLine completes what OwnerOf gave for a line of fstab that mount.cifs reads: one that asks for its
// ticket means the machine where nothing names an identity. Such lines say username=root or nothing, and
// root wrote them.
func OwnerOfLine(l mounts.FstabLine, id identity.Identity, err error) (identity.Identity, error) {
	if l.WantsTicket() && fault.Is(err, fault.IdentityUnknown) {
		return identity.Identity{Kind: identity.System}, nil
	}
	return id, err
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
