package cli

import (
	"cmp"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// account is a storage account as one credential uid has it mounted, under user names that tell one identity or none.
type account struct {
	endpoint.Endpoint
	cruid    int    // -1: the login is not by Kerberos
	user     string // what its mounts' user names tell, see identity.Selector
	username string // "" when its mounts do not agree
	mounts   []control.Mount
}

// accounts gathers the mounts by endpoint, credential uid and identity, in that order.
func accounts(all []mounts.Mount) []account {
	var found []account
	for _, m := range all {
		user := identity.Selector(m.Username)
		i := slices.IndexFunc(found, func(a account) bool { return a.Host() == m.Endpoint.Host() && a.cruid == m.CRUID && a.user == user })
		if i < 0 {
			found = append(found, account{Endpoint: m.Endpoint, cruid: m.CRUID, user: user, username: m.Username})
			i = len(found) - 1
		}
		if found[i].username != m.Username {
			found[i].username = ""
		}
		found[i].mounts = append(found[i].mounts, control.Mount{Source: m.Source, Target: m.Target})
	}
	slices.SortFunc(found, func(a, b account) int {
		return cmp.Or(cmp.Compare(a.Host(), b.Host()), cmp.Compare(a.cruid, b.cruid), cmp.Compare(a.user, b.user))
	})
	return found
}

// mounted gives what the mount table has.
func (s *session) mounted(cfg *config.Config) ([]account, error) {
	all, err := mounts.ListFrom(s.Mounts, cfg.Resolver)
	return accounts(all), err
}

// named is what a user named: an endpoint, by its mount point or otherwise.
type named struct {
	endpoint.Endpoint
	place mounts.Place
	lines []mounts.FstabLine // of fstab, for the endpoint, that log in by Kerberos
}

// resolveName finds the endpoint that a person names: as mounts.Named, or by where it is mounted or is to be.
func (s *session) resolveName(text string, cfg *config.Config) (named, error) {
	mounted, _ := mounts.ListFrom(s.Mounts, cfg.Resolver) // a path that is not known is refused below
	lines, _ := mounts.Fstab(s.Host)
	n := named{place: mounts.At(text, mounted, lines)}
	if source := n.place.Source(); source != "" {
		text = source
	}
	var known []string
	for _, m := range mounted {
		known = append(known, m.Endpoint.Host())
	}
	for _, l := range lines {
		if host, problem := mounts.HostOf(l.Spec); problem == "" {
			known = append(known, host)
		}
	}
	var err error
	n.Endpoint, err = mounts.NamedAmong(text, cfg.Resolver, known)
	for _, l := range lines {
		if e, problem := mounts.Named(l.Spec, cfg.Resolver); problem == nil && e.Host() == n.Host() && (l.IsOurs() || l.IsKerberos()) {
			n.lines = append(n.lines, l)
		}
	}
	return n, err
}

// collectStatus tells without the daemon what can be told: nothing of plans and attempts.
func (s *session) collectStatus() (control.Status, error) {
	cfg, m, err := s.openTickets()
	if err != nil {
		return control.Status{}, err
	}
	all, err := s.mounted(cfg)
	if err != nil {
		return control.Status{}, err
	}
	status := control.Status{Schema: control.Schema, CCache: cfg.CCacheName(cfg.CredentialUID), Mountinfo: s.Mounts}
	for _, a := range all {
		status.Endpoints = append(status.Endpoints, s.inspect(m, cfg, a))
	}
	return status, nil
}

// inspect looks for the ticket of one account. A cache that cannot be read is a reason to show.
func (s *session) inspect(m *tickets.Manager, cfg *config.Config, a account) control.Endpoint {
	e := control.Endpoint{Host: a.Host(), CRUID: a.cruid, Mounts: a.mounts, State: control.Missing}
	if a.cruid < 0 {
		e.State, e.Why = control.Foreign, "it is mounted with a password, not by Kerberos"
		return e
	}
	e.CCache = cfg.CCacheName(a.cruid)
	if id, err := m.Owner(a.Endpoint, a.cruid, a.username); err != nil {
		e.Why = err.Error()
	} else {
		e.Identity = id.String()
	}
	listing, err := m.List(a.cruid)
	if err != nil {
		e.Why = err.Error()
	}
	if t, found := listing.Serving(a.Endpoint, a.username); found {
		e.TicketEnd, e.State = t.EndTime, control.Fresh
	}
	if e.State == control.Fresh && !e.TicketEnd.After(s.Now()) {
		e.State = control.Expired
	}
	return e
}
