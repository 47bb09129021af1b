package identity

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Bounds of the text form, in bytes. A path is at most PATH_MAX long (linux/limits.h), and every
// byte of it may need three in the text.
const (
	maxValue = 4096
	maxText  = 4 * maxValue
)

// field is one key of the text form. Its check returns what is wrong with a value, or "".
type field struct {
	key   string
	of    func(*Identity) *string
	check func(string) string
}

// fields in the order in which String writes them.
var fields = []field{
	{"client_id", func(i *Identity) *string { return &i.ClientID }, checkGUID},
	{"object_id", func(i *Identity) *string { return &i.ObjectID }, checkGUID},
	{"resource_id", func(i *Identity) *string { return &i.ResourceID }, checkResourceID},
	{"tenant_id", func(i *Identity) *string { return &i.TenantID }, checkTenant},
	{"token_file", func(i *Identity) *string { return &i.TokenFile }, checkPath},
	{"secret_file", func(i *Identity) *string { return &i.SecretFile }, checkPath},
	{"certificate_file", func(i *Identity) *string { return &i.CertificateFile }, checkPath},
	{"user", func(i *Identity) *string { return &i.User }, checkUser},
	{"authority_host", func(i *Identity) *string { return &i.Authority }, checkAuthority},
	{"resource", func(i *Identity) *string { return &i.Resource }, CheckURL},
}

// String is the identity on one line of printable ASCII: the kind, then key=value for what is set,
// with single spaces between. Bytes of a value that are no printable ASCII, %, = and spaces stand as %XX.
func (i Identity) String() string {
	line := Escape(string(i.Kind))
	for _, f := range fields {
		if v := *f.of(&i); v != "" {
			line += " " + f.key + "=" + Escape(v)
		}
	}
	return line
}

// Parse reads the text form, in any order of the keys. Its errors are of the kind
// fault.IdentityInvalid and repeat no value, since people put secrets into the wrong places.
func Parse(line string) (Identity, error) {
	if len(line) > maxText {
		return Identity{}, invalid("its text is too long", chooseAnother)
	}
	kind, rest, more := strings.Cut(line, " ")
	i := Identity{Kind: Kind(kind)}
	for more {
		var word string
		word, rest, more = strings.Cut(rest, " ")
		if problem := i.set(word); problem != "" {
			return Identity{}, invalid(problem, chooseAnother)
		}
	}
	i = i.clean()
	if err := i.Validate(); err != nil {
		return Identity{}, err
	}
	return i, nil
}

// set takes one key=value of the text form over; it returns what is wrong with it, or "".
func (i *Identity) set(word string) (problem string) {
	key, text, ok := strings.Cut(word, "=")
	n := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
	if !ok || n < 0 {
		return "its text holds something unknown"
	}
	p := fields[n].of(i)
	if *p != "" {
		return key + " is there twice"
	}
	value, ok := unescape(text)
	if !ok || value == "" {
		return key + " is empty or wrongly encoded"
	}
	*p = value
	return ""
}

// clean gives the form that Validate demands to what a person typed: ids and hosts of authorities in
// lower case, the fixed words of a resource id as Azure writes them, URLs without trailing slashes.
func (i Identity) clean() Identity {
	i.ClientID = strings.ToLower(i.ClientID)
	i.ObjectID = strings.ToLower(i.ObjectID)
	i.ResourceID = cleanResourceID(i.ResourceID)
	i.TenantID = strings.ToLower(i.TenantID)
	i.Authority = cleanAuthority(i.Authority)
	i.Resource = strings.TrimRight(i.Resource, "/")
	return i
}

// isPlain reports whether a byte stands for itself in the text form.
func isPlain(c byte) bool { return c > ' ' && c < 0x7f && c != '%' && c != '=' }

// Escape writes a value as it stands in the text form.
func Escape(v string) string {
	var b strings.Builder
	for n := range len(v) {
		if c := v[n]; isPlain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// unescape is strict: what Escape would have encoded must be encoded.
func unescape(text string) (string, bool) {
	for n := range len(text) {
		if c := text[n]; !isPlain(c) && c != '%' {
			return "", false
		}
	}
	v, err := url.PathUnescape(text)
	return v, err == nil
}

// SamePrincipal reports whether two identities, in their text form, are the same to Azure. Where a
// secret or token is does not tell: the Azure Files CSI driver gives every volume a token file of its
// own, and whose token that is nobody knows before it is used. Nor does the kind where both have a client id, which is
// one principal in a tenant however it logs in; a managed identity does not say its tenant. Text that cannot be read
// is compared as it stands.
func SamePrincipal(a, b string) bool {
	if a == b {
		return true
	}
	one, err := Parse(a)
	other, wrong := Parse(b)
	if err != nil || wrong != nil {
		return false
	}
	if one.Kind != other.Kind && one.ClientID != "" {
		return one.ClientID == other.ClientID && (one.TenantID == other.TenantID || one.TenantID == "" || other.TenantID == "")
	}
	for _, i := range []*Identity{&one, &other} {
		i.TokenFile, i.SecretFile, i.CertificateFile = "", "", ""
	}
	return one == other
}
