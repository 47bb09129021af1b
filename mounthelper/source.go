package mounthelper

import (
	"errors"
	"net/url"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// share is what is to be mounted.
type share struct {
	spec      string // the source for mount.cifs, which the kernel's mount table will show
	name, dir string
	endpoint  endpoint.Endpoint
}

// parseSource finds the share that a source names. The form //host/share[/dir] is kept as typed,
// since mount -a and systemd recognise their line in the mount table by its text; \\host\share[\dir]
// and https://host/share[/dir], which the kernel does not take, are rewritten to it.
func parseSource(spec string, res endpoint.Resolver) (share, error) {
	unc, typed, problem := toUNC(spec)
	if problem != "" {
		return share{}, sourceInvalid(presentable(spec), problem)
	}
	src, err := mounts.ParseSource(unc)
	if err != nil {
		return share{}, err
	}
	// mount.cifs puts share and directory between commas into the kernel's options.
	if strings.Contains(src.Share+src.Dir, ",") {
		return share{}, sourceInvalid(unc, "mount.cifs cannot take a comma")
	}
	e, err := res.Resolve(src.Host)
	if err != nil {
		return share{}, hostUnknown(src.Host, err)
	}
	s := share{spec: unc, name: src.Share, dir: src.Dir, endpoint: e}
	switch {
	case !typed:
		s.spec = "//" + plainHost(e) + strings.TrimPrefix(unc, "//"+src.Host)
	case strings.Contains(src.Host, ":"):
		return share{}, sourceInvalid(unc, "a port does not belong there")
	}
	return s, nil
}

// toUNC gives a source the form //host/share[/dir]; typed reports whether it had it.
func toUNC(spec string) (unc string, typed bool, problem string) {
	lower := strings.ToLower(spec)
	switch {
	case strings.HasPrefix(spec, "//"):
		unc, typed = spec, true
	case strings.HasPrefix(spec, `\\`):
		unc = strings.ReplaceAll(spec, `\`, "/")
	case strings.HasPrefix(lower, "https://"), strings.HasPrefix(lower, "smb://"):
		_, rest, _ := strings.Cut(spec, "://")
		path, err := url.PathUnescape(rest)
		if err != nil || strings.Count(path, "/") != strings.Count(rest, "/") {
			return "", false, "its percent signs do not make sense"
		}
		unc = "//" + path
		if strings.Contains(rest, "#") {
			problem = "a fragment does not belong there"
		}
	default:
		return "", false, "it does not begin with //"
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(unc, "//"), "/")
	switch {
	case strings.Contains(host, "@"):
		problem = "a user name does not belong there"
	case strings.Contains(unc, "?"):
		problem = "a query does not belong there, and a shared access signature cannot log in"
	}
	return unc, typed, problem
}

// presentable is a source without what may be a password or a signature.
func presentable(spec string) string {
	spec, _, _ = strings.Cut(spec, "?")
	if i := strings.LastIndexByte(spec, '@'); i >= 0 {
		return "..." + spec[i:]
	}
	return spec
}

// plainHost is the host as typed, in lower case and without port.
func plainHost(e endpoint.Endpoint) string {
	if alias := e.Alias(); alias != "" {
		return alias
	}
	return e.Host()
}

func sourceInvalid(source, problem string) error {
	return fault.SourceInvalid.New(source, problem)
}

func hostUnknown(host string, err error) error {
	var e *endpoint.Error
	problem := err.Error()
	if errors.As(err, &e) {
		problem = e.Problem
	}
	return fault.HostUnknown.New(host, problem)
}
