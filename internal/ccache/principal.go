package ccache

import (
	"slices"
	"strings"
)

// Principal is the name of a client or a service (RFC 4120, 6.2).
type Principal struct {
	NameType   uint32
	Realm      string
	Components []string
}

// unparse escapes what would otherwise separate components or end the text, as
// krb5_unparse_name(3) does; a space is not escaped.
var unparse = strings.NewReplacer(
	`\`, `\\`, `/`, `\/`, `@`, `\@`, "\t", `\t`, "\n", `\n`, "\b", `\b`, "\x00", `\0`)

// String is the principal's name in the form of krb5_unparse_name, such as cifs/host@REALM.
func (p Principal) String() string {
	parts := make([]string, len(p.Components))
	for i, c := range p.Components {
		parts[i] = unparse.Replace(c)
	}
	return strings.Join(parts, "/") + "@" + unparse.Replace(p.Realm)
}

// Equal reports whether p and o name the same principal. The name type does not count, as in
// libkrb5's krb5_principal_compare.
func (p Principal) Equal(o Principal) bool {
	return p.Realm == o.Realm && slices.Equal(p.Components, o.Components)
}

func (p Principal) isZero() bool { return p.Realm == "" && len(p.Components) == 0 }

// service is the first component of every service principal that we deal with (MS-SMB2, 3.2.4.2.3).
const service = "cifs"

// host is the lower-case host of a principal cifs/host in any realm, "" for any other principal
// and for configuration entries. The host names of the DNS know no case, and older tools stored
// them as the user had typed them.
func (p Principal) host() string {
	if len(p.Components) != 2 || p.Realm == configRealm || !strings.EqualFold(p.Components[0], service) {
		return ""
	}
	return strings.ToLower(p.Components[1])
}

// hostOf is the lower-case host of a service principal's name without realm, "" when it is no cifs service.
func hostOf(spn string) string {
	name, host, _ := strings.Cut(spn, "/")
	if !strings.EqualFold(name, service) {
		return ""
	}
	return strings.ToLower(host)
}
