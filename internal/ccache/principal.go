package ccache

import (
	"slices"
	"strings"
	"unicode/utf8"
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
	const usual = 128 // bytes; of a longer name some are copied
	text := make([]byte, 0, usual)
	for i, c := range p.Components {
		if i > 0 {
			text = append(text, '/')
		}
		text = append(text, unparse.Replace(c)...)
	}
	return string(append(append(text, '@'), unparse.Replace(p.Realm)...))
}

// Equal reports whether p and o name the same principal. The name type does not count, as in
// libkrb5's krb5_principal_compare.
func (p Principal) Equal(o Principal) bool {
	return p.Realm == o.Realm && slices.Equal(p.Components, o.Components)
}

func (p Principal) isZero() bool { return p.Realm == "" && len(p.Components) == 0 }

// The first components of the service principals that we deal with. cifs is what libkrb5 looks for (MS-SMB2,
// 3.2.4.2.3). Under private, as azfiles/<host>/<user name>, stand the tickets of an account's further identities, which
// klist shows and every other reader overlooks.
const (
	service = "cifs"
	private = "azfiles"
)

// Private names, without a realm, the ticket that an identity has at a canonical host beside the one of
// cifs/<host>. user is what the mounts of the identity call themselves.
func Private(host, user string) string { return private + "/" + host + "/" + user }

// host is the lower-case host of a principal cifs/host in any realm, "" for any other principal
// and for configuration entries. The host names of the DNS know no case, and older tools stored
// them as the user had typed them.
func (p Principal) host() string {
	if len(p.Components) != 2 || p.Realm == configRealm || !strings.EqualFold(p.Components[0], service) {
		return ""
	}
	return strings.ToLower(p.Components[1])
}

// place tells the tickets of a cache apart in whatever realm: the host of cifs/host, "host/user" of a private one, and
// "" for everything else. No host has a slash.
func (p Principal) place() string {
	if len(p.Components) == 3 && p.Realm != configRealm && p.Components[0] == private {
		return strings.ToLower(p.Components[1]) + "/" + p.Components[2]
	}
	return p.host()
}

// Name is the name by which Ticket finds the ticket of a service of ours: cifs/<host in lower case>, or a Private one.
func (p Principal) Name() string { return nameOf(p.place()) }

// isAt reports whether place() is place. Caches of many accounts are searched entry by entry, so it compares before it
// makes any text.
func (p Principal) isAt(place string) bool {
	return place != "" && len(p.Components) > 1 && mayBegin(place, p.Components[1]) && p.place() == place
}

// mayBegin reports whether s can begin with prefix in whatever case. What is not ASCII, and can have another length in lower
// case, is not judged.
func mayBegin(s, prefix string) bool {
	for i := range len(prefix) {
		if prefix[i] >= utf8.RuneSelf || i < len(s) && s[i] >= utf8.RuneSelf {
			return true
		}
		if i == len(s) || lower(s[i]) != lower(prefix[i]) {
			return false
		}
	}
	return true
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

// placeOf is the place that a name without realm means, "" when it is no service of ours.
func placeOf(name string) string {
	kind, place, _ := strings.Cut(name, "/")
	if strings.EqualFold(kind, service) {
		return strings.ToLower(place)
	}
	host, user, isPrivate := strings.Cut(place, "/")
	if kind != private || !isPrivate {
		return ""
	}
	return strings.ToLower(host) + "/" + user
}

// nameOf is the reverse of placeOf.
func nameOf(place string) string {
	if strings.Contains(place, "/") {
		return private + "/" + place
	}
	return service + "/" + place
}

func hostOfPlace(place string) string {
	host, _, _ := strings.Cut(place, "/")
	return host
}
