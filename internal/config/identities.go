package config

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// kinds are those of this version. They cannot be names of entries, since identity= takes both.
var kinds = [...]string{
	string(identity.System), string(identity.UserAssigned), string(identity.Token), string(identity.Workload),
	string(identity.ServicePrincipal), string(identity.CLI), string(identity.Arc),
}

func (p *parser) takeIdentities(n *yaml.Node) error {
	all, err := pairs("identities", n)
	if err != nil {
		return err
	}
	for _, kv := range all {
		key := within("identities", kv.key)
		if err := checkName(kv.key); err != nil {
			return at(err, kv.line, key)
		}
		if p.identities[kv.key], err = p.entry(key, kv); err != nil {
			return at(err, kv.line, key)
		}
		p.lines[key] = kv.line
	}
	return nil
}

// IdentityNames are the words that identity= takes: the kinds, then the names of entries.
func (c *Config) IdentityNames() []string {
	return append(kinds[:len(kinds):len(kinds)], slices.Sorted(maps.Keys(c.identities))...)
}

// checkName refuses names that could not stand in a mount option or mean something else there.
func checkName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	switch {
	case name == "" || len(name) > 64 || strings.Trim(name, letters+"._-") != "":
		return errors.New("a name must consist of at most 64 letters, digits, dots, hyphens and underscores")
	case slices.Contains(kinds[:], name):
		return errors.New("the name is a kind of identity already")
	}
	return nil
}

// entry reads one entry of identities. An unknown kind is a warning here and an error to those who
// use the entry: another version of the program may know it.
func (p *parser) entry(key string, kv pair) (entry, error) {
	var ch Choice
	fields := []field{{"kind", into(&ch.Name, asIs)}}
	for _, s := range ch.parts() {
		read := asIs
		if s.place == &ch.Authority || s.place == &ch.Resource {
			read = httpsURL
		}
		fields = append(fields, field{s.key, into(s.place, read)})
	}
	if err := p.section(key, kv.value, fields); err != nil {
		return entry{}, err
	}
	if ch.Name == "" {
		ch.Name = string(ch.implied())
	}
	switch {
	case ch.Name == "":
		return entry{}, errors.New("its kind is missing")
	case !slices.Contains(kinds[:], ch.Name):
		unknown := &problem{kv.line, key, "its kind is not known to this version" + didYouMean(ch.Name, kinds[:])}
		p.warn(unknown.line, unknown.key, unknown.text)
		return entry{err: unknown}, nil
	}
	id, err := ch.identity()
	if err != nil {
		return entry{}, errors.New(fault.From(err).What())
	}
	return entry{identity: id}, usable(id)
}

// usable says what keeps an identity from being used by a process that runs by itself.
func usable(id identity.Identity) error {
	if !id.Refreshable() {
		return errors.New("its token_file or its user is missing, without which nobody can renew its tickets")
	}
	return nil
}

// takeDefault takes default_identity when all names are known.
func (p *parser) takeDefault(n *yaml.Node) error {
	name, err := text(n)
	if err != nil {
		return err
	}
	p.later = append(p.later, func() error {
		id, err := p.named(name)
		if err != nil {
			return at(err, n.Line, "default_identity")
		}
		p.fallback = &id
		return nil
	})
	return nil
}

// named gives what the name of an entry or the text of an identity, such as system, stands for.
func (p *parser) named(name string) (identity.Identity, error) {
	if e, ok := p.identities[name]; ok {
		if e.err != nil {
			return identity.Identity{}, errors.New(shown(name) + " is not usable: " + e.err.Error())
		}
		return e.identity, nil
	}
	id, err := identity.Parse(name)
	kind, _, _ := strings.Cut(name, " ")
	switch {
	case err == nil:
		return id, usable(id)
	case slices.Contains(kinds[:], kind):
		return identity.Identity{}, errors.New(fault.From(err).What())
	}
	known := append(slices.Sorted(maps.Keys(p.identities)), string(identity.System))
	return identity.Identity{}, errors.New(shown(name) + " is no name under identities" + didYouMean(name, known))
}
