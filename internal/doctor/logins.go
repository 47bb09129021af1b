package doctor

import (
	"errors"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
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
		case from.Fstab != nil && from.Fstab.Type == azfilesType:
			all = append(all, s.ownLine(t.Endpoint, *from.Fstab))
		case from.Fstab != nil && isKerberos(optionOf(*from.Fstab, "sec")):
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

// azfilesType is the file system type of the lines of fstab that are ours.
const azfilesType = "azfiles"

func isKerberos(sec string) bool { return strings.HasPrefix(sec, "krb5") }

func optionOf(l mounts.FstabLine, name string) string {
	value, _ := l.Option(name)
	return value
}

func entryPlace(l mounts.FstabLine) string { return fileLine("/etc/fstab", l.Line) }

// ownLine is the use that a line of type azfiles makes.
func (s *Subject) ownLine(e endpoint.Endpoint, l mounts.FstabLine) login {
	use := login{where: entryPlace(l), target: l.Target}
	use.cruid, use.err = s.Config.CRUID(optionOf(l, "cruid"), s.Path("/etc/passwd"))
	id, err := s.Config.Choose(e.Host(), choiceOf(l))
	var unfit *config.ChoiceError
	switch {
	case errors.As(err, &unfit):
		err = fault.OptionInvalid.New(unfit.Key, unfit.Problem)
	case err == nil && id.Kind == identity.Token && id.TokenFile == "":
		err = fault.OptionInvalid.New("identity", "the access token has to come from somewhere: give its file with token_file=")
	}
	if use.identity = id; use.err == nil {
		use.err = err
	}
	return use
}

// choiceOf is what the options of a line say of the identity.
func choiceOf(l mounts.FstabLine) config.Choice {
	ch := config.Choice{
		Name: optionOf(l, "identity"), ClientID: optionOf(l, "client_id"), ObjectID: optionOf(l, "object_id"),
		ResourceID: optionOf(l, "resource_id"), TenantID: optionOf(l, "tenant_id"), TokenFile: optionOf(l, "token_file"),
		Authority: optionOf(l, "authority_host"), Resource: optionOf(l, "resource"),
	}
	if name := clientID(userOf(l)); name != "" && ch.ClientID == "" {
		ch.ClientID = name
	}
	return ch
}

func userOf(l mounts.FstabLine) string {
	if name := optionOf(l, "username"); name != "" {
		return name
	}
	return optionOf(l, "user")
}

// cifsLine is the use that a line of type cifs makes, whose ticket somebody else sees to at the mount.
func (s *Subject) cifsLine(e endpoint.Endpoint, l mounts.FstabLine) login {
	use := login{where: entryPlace(l), target: l.Target}
	want := optionOf(l, "cruid")
	if want == "" {
		want = "0" // mount.cifs runs as root
	}
	if use.cruid, use.err = s.Config.CRUID(want, s.Path("/etc/passwd")); use.err == nil {
		use.identity, use.err = s.ownerFault(e, use.cruid, userOf(l))
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
	client := clientID(username)
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

// clientID gives a user name in the form of a client id if it is one, else "".
func clientID(username string) string {
	id := identity.Identity{Kind: identity.UserAssigned, ClientID: username}.Clean()
	if id.Validate() != nil {
		return ""
	}
	return id.ClientID
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
