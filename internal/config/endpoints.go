package config

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
)

// maxHosts bounds endpoints: to resolve another name of a host takes time in proportion to it.
const maxHosts = 2000

// host is an entry of endpoints.
type host struct {
	key      string // as the file has it
	line     int
	name     string // in lower case
	custom   endpoint.Custom
	identity string
}

// takeEndpoints takes the entries, and looks at what they name when all names are known.
func (p *parser) takeEndpoints(n *yaml.Node) error {
	all, err := pairs("endpoints", n)
	if err != nil {
		return err
	}
	if len(all) > maxHosts {
		return fmt.Errorf("there are more than %d hosts", maxHosts)
	}
	for _, kv := range all {
		h, err := p.host(kv)
		if err != nil {
			return at(err, kv.line, within("endpoints", kv.key))
		}
		p.listed = append(p.listed, h)
		p.lines[within("endpoints", kv.key)] = kv.line
	}
	p.later = append(p.later, p.checkEndpoints)
	return nil
}

// host reads one entry of endpoints.
func (p *parser) host(kv pair) (host, error) {
	h := host{key: kv.key, line: kv.line, name: strings.TrimSuffix(strings.ToLower(kv.key), ".")}
	err := p.section(within("endpoints", kv.key), kv.value, []field{
		{"identity", into(&h.identity, asIs)},
		{"canonical", into(&h.custom.Canonical, hostName)},
		{"authority", into(&h.custom.Authority, httpsURL)},
		{"resource", into(&h.custom.Resource, httpsURL)},
	})
	if err != nil {
		return host{}, err
	}
	if h.custom.Canonical == h.name {
		h.custom.Canonical = ""
	}
	if strings.Contains(h.name, ":") || strings.HasSuffix(h.name, ".") { // a resolver looks for the host without them
		return host{}, errors.New("it is not a host name")
	}
	if _, twice := p.hosts[h.name]; twice {
		return host{}, errors.New("the same host is there already, in other letters")
	}
	p.hosts[h.name] = h.custom
	return h, nil
}

// checkEndpoints checks that every host leads to an account and finds the accounts' identities.
func (p *parser) checkEndpoints() error {
	for _, h := range p.listed {
		if err := p.own(h); err != nil {
			return at(err, h.line, within("endpoints", h.key))
		}
	}
	return nil
}

// own checks one host and gives its account its identity.
func (p *parser) own(h host) error {
	// Without an entry that makes it an account, a host must be one by its name: a mistyped domain
	// would get an access token otherwise.
	res, hint := p.Resolver(), ""
	if h.custom.Canonical == "" && h.custom.Authority == "" {
		res, hint = endpoint.Resolver{}, "; another name of an account needs canonical:"
	}
	e, err := res.Resolve(h.name)
	var unknown *endpoint.Error
	if errors.As(err, &unknown) {
		return errors.New(unknown.Problem + hint)
	}
	if h.identity == "" {
		return nil
	}
	id, err := p.named(h.identity)
	if err != nil {
		return at(err, h.line, within("endpoints", h.key)+".identity")
	}
	if other, ok := p.owners[e.Host()]; ok && other != id {
		return errors.New("its account has another identity already, by another of its names")
	}
	p.owners[e.Host()] = id
	return nil
}
