// Package dropin is what the faces that stand in for AzFilesAuthenticator have in common: how its
// command line and its C library name an endpoint, and what they print of the tickets in a cache.
//
// Invariants: of a URI that is refused only the host is repeated; the names of the JSON's fields and
// the form of its times are what programs rely on; a name in a cache cannot make lines of its own.
package dropin

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// Endpoint finds the endpoint that a URI names. Its error is a fault of kind HostUnknown. Of a URI
// that is refused only the host is repeated: people paste URIs with passwords and signatures.
func Endpoint(uri string, r endpoint.Resolver) (endpoint.Endpoint, error) {
	if uri == "" {
		return endpoint.Endpoint{}, refused("the URI", "it is empty")
	}
	u, err := url.Parse(uri)
	if err != nil || !strings.Contains(uri, "://") {
		return endpoint.Endpoint{}, refused("the URI", "it must be https:// and a host")
	}
	problem := ""
	if u.Scheme != "https" {
		problem = "its URI must begin with https://"
	} else if u.User != nil {
		problem = "its URI must not contain a user name"
	} else if strings.Trim(u.Path, "/") != "" {
		problem = "its URI must not contain a path"
	} else if strings.ContainsAny(uri, "?#") {
		problem = "neither a query nor a fragment belongs into its URI"
	}
	if problem == "" && u.Host != "" {
		return mounts.Resolve(u.Host, r)
	}
	return endpoint.Endpoint{}, refused(cmp.Or(u.Host, "the URI"), cmp.Or(problem, "the host is missing"))
}

func refused(host, problem string) error {
	return fault.HostUnknown.New(host, problem)
}
