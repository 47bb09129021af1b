package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
)

// maxHosts bounds endpoints: to resolve another name of a host takes time in proportion to it.
const maxHosts = 2000

// account is an entry of endpoints.
type account struct {
	key      string // as the file has it
	at       place
	name     string // in lower case
	custom   endpoint.Custom
	identity string
	options  string // mount_options
}

// enterHost begins an entry of endpoints, or goes on with the one of an earlier file.
func (p *parser) enterHost(key string, at place) error {
	name := lowerHost(key)
	if strings.Contains(name, ":") || strings.HasSuffix(name, ".") { // a resolver looks for the host without them
		return errors.New("it is not a host name")
	}
	h := p.byName[name]
	if h != nil && h.at.file == at.file {
		return errors.New("the same host is listed already, in different case")
	}
	if h == nil {
		if len(p.listed) == maxHosts {
			return fmt.Errorf("there are more than %d hosts", maxHosts)
		}
		h = &account{name: name}
		p.byName[name] = h
		p.listed = append(p.listed, h)
	}
	h.key, h.at, p.account = key, at, h
	return nil
}

// checkHosts checks that every host leads to an account and finds the accounts' identities.
func (p *parser) checkHosts() {
	for _, h := range p.listed {
		if h.custom.Canonical == h.name {
			h.custom.Canonical = ""
		}
		p.Resolver.Custom[h.name] = h.custom
	}
	for _, h := range p.listed {
		if err := p.assign(h); err != nil {
			p.addMistake(h.at, within("endpoints", h.key), err)
		}
	}
}

// assign checks one host and gives its account its identity.
func (p *parser) assign(h *account) error {
	// Without an entry that makes it an account, a host must be one by its name: a mistyped domain
	// would get an access token otherwise.
	res, hint := p.Resolver, ""
	if h.custom.Canonical == "" && h.custom.Authority == "" {
		res, hint = endpoint.Resolver{}, "; another name of an account needs canonical:"
	}
	e, err := res.Resolve(h.name)
	if unknown, ok := errors.AsType[*endpoint.Error](err); ok {
		return errors.New(unknown.Problem + hint)
	}
	if h.identity == "" {
		return nil
	}
	id, err := p.identityByName(h.identity)
	if err != nil {
		key := within("endpoints", h.key) + ".identity"
		return located(err, p.places[key], key)
	}
	if other, ok := p.owners[e.Host()]; ok && other != id {
		return errors.New("its account has another identity already, by another of its names")
	}
	p.owners[e.Host()] = id
	return nil
}

// SiteOptions gives every list of mount_options with its key, which is not examined here either.
func (c *Config) SiteOptions() (keys, lists []string) {
	if c.mountOptions != "" {
		keys, lists = append(keys, "mount_options"), append(lists, c.mountOptions)
	}
	for _, h := range c.listed {
		if h.options != "" {
			keys, lists = append(keys, within("endpoints", h.key)+".mount_options"), append(lists, h.options)
		}
	}
	return keys, lists
}

// MountOptionsOf gives the default options of a site for the mounts of an account, by its canonical host: what its own
// entries say, then what is said for all. Each is a list as it follows -o of mount(8), which is not examined here.
func (c *Config) MountOptionsOf(host string) []string {
	var all []string
	for _, h := range c.listed {
		if h.options == "" {
			continue
		}
		if e, err := c.Resolver.Resolve(h.name); err == nil && e.Host() == host {
			all = append(all, h.options)
		}
	}
	if c.mountOptions != "" {
		all = append(all, c.mountOptions)
	}
	return all
}
