package doctor

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// targets finds the endpoints under test: what a person named, or everything that is mounted, in
// fstab or in the configuration. Their order is that of the canonical hosts.
func (s *Subject) targets(resolver endpoint.Resolver) ([]Target, error) {
	all := map[string]*Target{}
	add := func(host string, from Origin) {
		e, err := resolver.Resolve(host)
		if err != nil { // what is no endpoint is no concern of ours
			return
		}
		t := all[e.Host()]
		if t == nil {
			t = &Target{Endpoint: e}
			all[e.Host()] = t
		}
		from.Host = host
		t.From = append(t.From, from)
	}
	s.collectHosts(add)
	if s.Endpoint != "" {
		e, err := mounts.NamedAmong(s.namedHost(), resolver, slices.Sorted(maps.Keys(all)))
		if err != nil {
			return nil, err
		}
		add(cmp.Or(e.Alias(), e.Host()), Origin{Argument: true})
		t := all[e.Host()]
		t.keepPlace(s.place)
		return []Target{*t}, nil
	}
	var list []Target
	for _, host := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[host])
	}
	return list, nil
}

// keepPlace sets aside what is not of a mount point; "" is none, and keeps all.
func (t *Target) keepPlace(place string) {
	if place == "" {
		return
	}
	all := t.From
	t.From = nil
	for _, from := range all {
		if at := from.target(); at == "" || at == place {
			t.From = append(t.From, from)
		} else if from.Attempt == nil { // a mount at another place that failed is no use of the endpoint
			t.Aside = append(t.Aside, from)
		}
	}
}

// target is the mount point of an origin, "" where it has none.
func (o Origin) target() string {
	if o.Mount != nil {
		return o.Mount.Target
	}
	if o.Fstab != nil {
		return filepath.Clean(o.Fstab.Target)
	}
	if o.Attempt != nil {
		return o.Attempt.Target
	}
	return ""
}

// collectHosts gives every place that may name an endpoint.
func (s *Subject) collectHosts(add func(host string, from Origin)) {
	for i, m := range s.Mounts {
		if src, err := mounts.ParseSource(m.Source); err == nil {
			add(src.Host, Origin{Mount: &s.Mounts[i]})
		}
	}
	for i, l := range s.Fstab {
		if l.IsOurs() || l.IsSMB() {
			add(hostOf(l.Spec), Origin{Fstab: &s.Fstab[i]})
		}
	}
	for i, a := range s.Attempts {
		if s.isOfInterest(a) {
			add(hostOf(a.Source), Origin{Attempt: &s.Attempts[i]})
		}
	}
	for host := range s.Config.Resolver.Custom {
		add(host, Origin{Config: true})
	}
}

// namedHost is the host of what a person named: that of the mount on a path, the one in a share, a URL or a
// host; or the text itself.
func (s *Subject) namedHost() string {
	at := mounts.At(s.Endpoint, s.Mounts, s.Fstab)
	if source := at.Source(); source != "" {
		s.place = at.Path
		return hostOf(source)
	}
	for _, a := range slices.Backward(s.Attempts) {
		if at.Path != "" && at.Path == a.Target {
			s.place = at.Path
			return hostOf(a.Source)
		}
	}
	return hostOf(s.Endpoint)
}

// isOfInterest reports whether a mount that failed is still of interest: nothing else is mounted there or to be, and it
// was not long ago unless a user asks for it.
func (s *Subject) isOfInterest(a lastfault.Attempt) bool {
	const lately = time.Hour
	return mounts.At(a.Target, s.Mounts, s.Fstab).Source() == "" && (s.Endpoint != "" || s.Now().Sub(a.At) < lately)
}

// hostOf takes the host out of a share, an https URL or a host, whatever else is wrong with it.
func hostOf(text string) string {
	host, _ := mounts.HostOf(text)
	return host
}

// tests reports whether a host is under test: it is one of the targets, or no endpoint was named.
func (s *Subject) tests(host string) bool {
	return s.Endpoint == "" || slices.ContainsFunc(s.Targets, func(t Target) bool { return t.Endpoint.Host() == host })
}

// login is one way in which an endpoint is used: where that is said, whose credential cache serves and
// who logs in.
type login struct {
	where    string // such as "/etc/fstab:12"
	target   string // the mount point, "" when none is named
	cruid    int
	identity identity.Identity
	err      error  // why there is no identity or no credential uid, a fault
	live     bool   // it is mounted
	failed   bool   // it is that of a mount that failed
	user     string // the selector of its user name
	apart    bool   // it has, or will have where it must, a session of its own
	foreign  bool   // it may be one with a ticket of a user's own, of a domain
}

// logins gives the uses of a target that log in with a ticket. A target that is not used yet, but
// named by a person or in the configuration, has the use that a mount without options would be.
func (s *Subject) logins(t *Target) []login {
	if t.Endpoint.IsZero() {
		use := login{where: s.chooser(""), cruid: s.Config.CredentialUID}
		use.identity, use.err = s.Config.Choose("", config.Choice{})
		return []login{use}
	}
	all := s.loginsFrom(t.Endpoint, t.From)
	if len(all) == 0 { // a mount that failed is no use of an endpoint that has others: last-mount tells of it
		for _, from := range t.From {
			if from.Attempt != nil {
				all = append(all, s.loginOfAttempt(t.Endpoint, from.Attempt))
			}
		}
	}
	named := slices.ContainsFunc(t.From, func(o Origin) bool { return o.Config || o.Argument })
	if len(all) > 0 || !named {
		return all
	}
	use := login{where: s.chooser(t.Endpoint.Host()), cruid: s.Config.CredentialUID}
	if use.identity, use.err = s.owner(t.Endpoint, use.cruid, ""); use.err != nil {
		use.identity, use.err = identity.Identity{Kind: identity.System}, nil
	} else if use.where == byDefault {
		use.where = "the credential cache"
	}
	return []login{use}
}

// byDefault is who chooses the identity where nobody else does.
const byDefault = "the default"

// chooser says who chooses the identity of a mount without options at a host.
func (s *Subject) chooser(host string) string {
	if _, ok := s.Config.IdentityFor(host); ok {
		return "the configuration"
	}
	return byDefault
}

// loginsFrom gives the uses that mounts and lines of fstab make or would make.
func (s *Subject) loginsFrom(e endpoint.Endpoint, origins []Origin) (all []login) {
	for _, from := range origins {
		if l := from.Fstab; l != nil && (l.IsOurs() || l.IsKerberos()) {
			all = append(all, s.loginOfLine(e, *l))
		} else if m := from.Mount; m != nil && m.IsKerberos() {
			all = append(all, s.loginOfMount(e, m))
		}
	}
	return all
}

func entryPlace(l mounts.FstabLine) string { return fileLine("/etc/fstab", l.Line) }

func (s *Subject) loginOfLine(e endpoint.Endpoint, l mounts.FstabLine) login {
	foreign := false
	r, err := tickets.LoginOfLine(l, e, s.Config, s.Host, func(cruid int, username string) (identity.Identity, error) {
		foreign = !tickets.IsMachines(s.Config, cruid, username)
		return s.owner(e, cruid, username)
	})
	_, unshared := l.Options.Get(mounts.UnsharedSocket)
	return login{
		where: entryPlace(l), target: filepath.Clean(l.Target), cruid: r.CRUID, identity: r.Identity, err: err, user: r.Username, apart: unshared || l.IsOurs(),
		foreign: foreign,
	}
}

// loginOfAttempt is the use that a mount would have made that failed.
func (s *Subject) loginOfAttempt(e endpoint.Endpoint, a *lastfault.Attempt) login {
	use := s.loginOfLine(e, mounts.FstabLine{Type: mounts.OurType, Target: a.Target, Options: mounts.ParseOptions(a.Options)})
	use.where, use.failed = "the mount on "+a.Target+" that failed", true
	return use
}

func (s *Subject) loginOfMount(e endpoint.Endpoint, m *mounts.Mount) login {
	use := login{where: "the mount " + m.Target, target: m.Target, cruid: max(m.CRUID, 0), live: true, user: identity.Selector(m.Username)}
	_, use.apart = m.Options.Get(mounts.UnsharedSocket)
	use.identity, use.err = s.owner(e, use.cruid, m.Username)
	use.foreign = !tickets.IsMachines(s.Config, use.cruid, m.Username)
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
		Meant: func(e endpoint.Endpoint) []identity.Identity {
			return tickets.Meant(s.Fstab, e, cruid, s.Config, s.Host)
		},
	})
}

// principals are the uses of the target that have an identity, the first for each.
func (s *Subject) principals() []login {
	var all []login
	for _, use := range s.logins(s.Target) {
		if use.err == nil && !slices.ContainsFunc(all, func(o login) bool { return o.identity == use.identity }) {
			all = append(all, use)
		}
	}
	return all
}
