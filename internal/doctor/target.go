package doctor

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// targets finds the endpoints under test: what a person named, or everything that is mounted, in
// fstab or in the configuration. Their order is that of the canonical hosts.
func (s *Subject) targets(resolver endpoint.Resolver) ([]Target, error) {
	all := map[string]*Target{}
	add := func(host string, from Origin) error {
		e, err := resolver.Resolve(host)
		if err != nil {
			return err
		}
		t := all[e.Host()]
		if t == nil {
			t = &Target{Endpoint: e}
			all[e.Host()] = t
		}
		from.Host = host
		t.From = append(t.From, from)
		return nil
	}
	s.known(func(host string, from Origin) { _ = add(host, from) }) // what is no endpoint is no concern of ours
	if s.Endpoint != "" {
		host := s.named()
		var unknown *endpoint.Error
		if err := add(host, Origin{Argument: true}); errors.As(err, &unknown) {
			return nil, fault.HostUnknown.New(host, unknown.Problem)
		}
		e, _ := resolver.Resolve(host)
		return []Target{*all[e.Host()]}, nil
	}
	var list []Target
	for _, host := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[host])
	}
	return list, nil
}

// known gives every place that may name an endpoint.
func (s *Subject) known(add func(host string, from Origin)) {
	for i, m := range s.Mounts {
		if src, err := mounts.ParseSource(m.Source); err == nil {
			add(src.Host, Origin{Mount: &s.Mounts[i]})
		}
	}
	for i, l := range s.Fstab {
		if l.Type == "azfiles" || l.Type == "cifs" || l.Type == "smb3" {
			add(hostOf(l.Spec), Origin{Fstab: &s.Fstab[i]})
		}
	}
	for host := range s.Config.Resolver().Custom {
		add(host, Origin{Config: true})
	}
}

// named is the host of what a person named: that of the mount on a path, or the one in a share, a URL
// or a host.
func (s *Subject) named() string {
	if filepath.IsAbs(s.Endpoint) && !strings.HasPrefix(s.Endpoint, "//") {
		path := filepath.Clean(s.Endpoint)
		for _, m := range slices.Backward(s.Mounts) {
			if src, err := mounts.ParseSource(m.Source); err == nil && m.Target == path {
				return src.Host
			}
		}
		for _, l := range s.Fstab {
			if filepath.Clean(l.Target) == path {
				return hostOf(l.Spec)
			}
		}
	}
	return hostOf(s.Endpoint)
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
