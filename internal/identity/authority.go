package identity

import (
	"net/url"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// knownAuthorities are Entra's in the public, the US Government and the China cloud.
func knownAuthorities() []string {
	return []string{
		endpoint.Public.Authority, "https://login.microsoft.com", "https://login.windows.net",
		endpoint.USGovernment.Authority,
		endpoint.China.Authority, "https://login.partner.microsoftonline.cn",
	}
}

// authority is where to ask for tokens. One that is neither Entra's nor root's is refused before
// anything is read or sent: an option or a record must not choose who gets a secret.
func (i Identity) authority(o Options) (string, error) {
	for _, a := range []string{i.Authority, o.Cloud.Authority} {
		if a = cleanAuthority(a); a == "" {
			continue
		}
		if checkAuthority(a) != "" || !o.knowsAuthority(a) {
			return "", fault.AuthorityUnknown.New(a)
		}
		return a, nil
	}
	return endpoint.Public.Authority, nil
}

// knowsAuthority reports whether an authority may get a credential.
func (o Options) knowsAuthority(authority string) bool {
	same := func(a string) bool { return cleanAuthority(a) == authority }
	return slices.Contains(knownAuthorities(), authority) ||
		slices.ContainsFunc(append([]string{o.Cloud.Authority}, o.Authorities...), same)
}

// trustsURL reports whether a request may go to this URL. An authority may name another of its hosts as
// its token endpoint.
func (o Options) trustsURL(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && o.knowsAuthority("https://"+strings.ToLower(u.Host))
}

// cleanAuthority writes an authority without trailing slashes and the host in lower case.
func cleanAuthority(v string) string {
	v = strings.TrimRight(v, "/")
	if scheme, rest, ok := strings.Cut(v, "://"); ok {
		host, path, _ := strings.Cut(rest, "/")
		v = strings.TrimRight(strings.ToLower(scheme+"://"+host)+"/"+path, "/")
	}
	return v
}
