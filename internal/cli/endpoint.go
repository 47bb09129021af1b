package cli

import (
	"errors"
	"net/url"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// resolve finds the endpoint that a person names: by its host, by an https URL as the portal shows
// it, or by a share as in fstab. What follows the host does not matter.
func resolve(text string, resolver endpoint.Resolver) (endpoint.Endpoint, error) {
	host, problem := hostOf(text)
	if problem != "" {
		return endpoint.Endpoint{}, hostUnknown(host, problem)
	}
	e, err := resolver.Resolve(host)
	var unknown *endpoint.Error
	if errors.As(err, &unknown) {
		return endpoint.Endpoint{}, hostUnknown(host, unknown.Problem)
	}
	return e, err
}

// hostOf takes the host out of a text. With a problem, it is what may be repeated of the text.
func hostOf(text string) (host, problem string) {
	if !strings.HasPrefix(text, "//") && !strings.Contains(text, "://") {
		return text, ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return "what was given", "it is not a host and not a URL"
	case u.Scheme != "" && u.Scheme != "https": // Parse makes it lower case
		return u.Host, "the URL must begin with https://"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return u.Host, "a login, a query or a fragment does not belong into the URL"
	}
	return u.Host, ""
}

func hostUnknown(host, problem string) error {
	return fault.HostUnknown.New(host, problem)
}
