package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/nearest"
)

// Choice is what a person says of the identity to use, in mount options, in flags or in an entry of
// identities. What is empty was not said.
type Choice struct {
	Name string // a kind of identity, or an entry of identities

	ClientID, ObjectID, ResourceID string
	TenantID                       string
	TokenFile                      string
	SecretFile, CertificateFile    string
	User                           string
	Authority, Resource            string
}

// ChoiceError says which part of a Choice does not fit the others.
type ChoiceError struct {
	Key     string // as in the text form of identities, such as client_id; "identity" is the name
	Problem string // a sentence without its full stop
}

func (e *ChoiceError) Error() string { return e.Key + ": " + e.Problem }

// Choose finds who logs in at the endpoint with the canonical host: what the choice says, else what
// the configuration says of the endpoint or in general, else the machine's own identity. An identity
// of the kind token may come without a file; its token is the caller's to bring. The errors are a
// *ChoiceError, or faults of the kinds IdentityInvalid and ConfigInvalid.
func (c *Config) Choose(host string, ch Choice) (identity.Identity, error) {
	if strings.EqualFold(ch.ClientID, string(identity.System)) {
		if ch.Name != "" && ch.Name != string(identity.System) {
			return identity.Identity{}, &ChoiceError{"client_id", "system cannot be combined with the identity " + ch.Name}
		}
		ch.Name, ch.ClientID = string(identity.System), ""
	}
	if ch == (Choice{}) {
		return c.defaultIdentity(host), nil
	}
	entry, found, err := c.Identity(ch.Name)
	if err != nil {
		return identity.Identity{}, err
	}
	if found {
		return entry, ch.checkBesideName(entry)
	}
	if err := c.unnamed(ch.Name); err != nil {
		return identity.Identity{}, err
	}
	return ch.identity()
}

// unnamed is the fault of a name that is neither a kind of identity nor an entry, nil for others. A
// text that may be a secret in the wrong place is not repeated.
func (c *Config) unnamed(name string) error {
	if name == "" || slices.Contains(kinds, strings.ToLower(name)) {
		return nil
	}
	all := c.IdentityNames()
	what := "its kind is not known"
	if len(name) <= maxName && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_.") == "" {
		what = name + " is neither a kind of identity nor an entry of identities"
	}
	return identity.Unknown(what+"; there are "+strings.Join(all, ", "), nearest.Word(name, all))
}

// maxName is how long the name of an identity may be that is repeated in a message.
const maxName = 32

// defaultIdentity is the identity when nobody chose one.
func (c *Config) defaultIdentity(host string) identity.Identity {
	id, ok := c.IdentityFor(host)
	if !ok {
		id.Kind = identity.System
	}
	return id
}

// checkBesideName checks that nothing is said beside the name of an entry but its own client id.
func (ch Choice) checkBesideName(entry identity.Identity) error {
	if ch.ClientID != "" && !strings.EqualFold(ch.ClientID, entry.ClientID) {
		return &ChoiceError{"client_id", "the identity " + ch.Name + " of the configuration has another one"}
	}
	if ch != (Choice{Name: ch.Name, ClientID: ch.ClientID}) {
		return &ChoiceError{"identity", ch.Name + " is an entry of the configuration, and what belongs to it belongs there"}
	}
	return nil
}

// impliedKind is the kind that the parts tell, "" when they do not.
func (ch Choice) impliedKind() identity.Kind {
	if ch.SecretFile != "" || ch.CertificateFile != "" {
		return identity.ServicePrincipal
	}
	if ch.TokenFile != "" && ch.TenantID != "" {
		return identity.Workload
	}
	if ch.TokenFile != "" {
		return identity.Token
	}
	if ch.User != "" {
		return identity.CLI
	}
	if ch.ClientID != "" || ch.ObjectID != "" || ch.ResourceID != "" {
		return identity.UserAssigned
	}
	return ""
}

// identity makes one of the parts. It goes by the text form, which leaves it to the identities to
// know which kinds there are and which parts belong to which.
func (ch Choice) identity() (identity.Identity, error) {
	line := identity.Escape(cmp.Or(ch.Name, string(ch.impliedKind()), string(identity.System)))
	ch.Name = ""
	(&parser{choice: &ch}).each("identities.*.", func(key, value string) { line += " " + key + "=" + identity.Escape(value) })
	return identity.Parse(line)
}
