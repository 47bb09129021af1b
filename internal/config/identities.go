package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// kinds are those of this version. They cannot be names of entries, since identity= takes both.
var kinds = identity.Kinds()

// entry is an entry of identities. err is set for a kind that this version does not know, and is met
// by those alone who use the entry.
type entry struct {
	choice   Choice
	at       place
	identity identity.Identity
	err      error
}

// enterIdentity begins an entry of identities, or goes on with the one of an earlier file.
func (p *parser) enterIdentity(name string, at place) error {
	if err := checkName(name); err != nil {
		return err
	}
	if p.identities[name] == nil {
		p.identities[name] = &entry{}
	}
	p.identities[name].at = at
	p.choice = &p.identities[name].choice
	return nil
}

// IdentityNames are the words that identity= takes: the kinds, then the names of entries.
func (c *Config) IdentityNames() []string {
	return append(slices.Clone(kinds), slices.Sorted(maps.Keys(c.identities))...)
}

// checkName refuses names that could not stand in a mount option or mean something else there.
func checkName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) > 64 || strings.Trim(name, letters+"._-") != "" {
		return errors.New("a name must consist of at most 64 letters, digits, dots, hyphens and underscores")
	}
	if slices.Contains(kinds, name) {
		return errors.New("the name is a kind of identity already")
	}
	return nil
}

// checkIdentities makes identities of the entries, and of default_identity.
func (p *parser) checkIdentities() {
	for _, name := range slices.Sorted(maps.Keys(p.identities)) {
		e, key := p.identities[name], within("identities", name)
		if err := p.complete(e, key); err != nil {
			p.addMistake(e.at, key, errors.New(err.Error()+p.similarKey(key)))
		}
	}
	if p.fallbackText == "" {
		return
	}
	id, err := p.identityByName(p.fallbackText)
	if err != nil {
		p.addMistake(p.places["default_identity"], "default_identity", err)
	}
	p.fallback = &id
}

// similarKey tells which of an entry's keys is perhaps the one that is missing, "" for none.
func (p *parser) similarKey(entry string) string {
	for _, w := range p.warnings {
		key, ok := strings.CutPrefix(w.key, entry+".")
		if _, hint, found := strings.Cut(w.text, "; did you mean "); ok && found {
			return fmt.Sprintf("; line %d has %s, did you mean %s", w.line, key, hint)
		}
	}
	return ""
}

// complete makes the identity of an entry. An unknown kind is a warning here and an error to those who use
// the entry: another version of the program may know it.
func (p *parser) complete(e *entry, key string) error {
	ch := e.choice
	if ch.Name == "" {
		ch.Name = string(ch.impliedKind())
	}
	if ch.Name == "" {
		return errors.New("its kind is missing")
	}
	if !slices.Contains(kinds, ch.Name) {
		unknown := &problem{e.at, key, "its kind is not known to this version" + didYouMean(ch.Name, kinds)}
		p.warn(e.at, key, unknown.text)
		e.err = unknown
		return nil
	}
	var err error
	if e.identity, err = ch.identity(); err != nil {
		return errors.New(fault.From(err).What())
	}
	return usable(e.identity)
}

// usable says what keeps an identity from being used by a process that runs by itself.
func usable(id identity.Identity) error {
	if !id.Refreshable() {
		return errors.New("its token_file or its user is missing, without which its tickets cannot be renewed")
	}
	return nil
}

// identityByName gives what the name of an entry or the text of an identity, such as system, stands for.
func (p *parser) identityByName(name string) (identity.Identity, error) {
	if e := p.identities[name]; e != nil {
		if e.err != nil {
			return identity.Identity{}, errors.New(shown(name) + " is not usable: " + e.err.Error())
		}
		return e.identity, nil // the zero one of an entry about which a mistake is noted already
	}
	id, err := identity.Parse(name)
	if err == nil {
		return id, usable(id)
	}
	if kind, _, _ := strings.Cut(name, " "); slices.Contains(kinds, kind) {
		return identity.Identity{}, errors.New(fault.From(err).What())
	}
	known := append(slices.Sorted(maps.Keys(p.identities)), string(identity.System))
	return identity.Identity{}, errors.New(shown(name) + " is not a name under identities" + didYouMean(name, known))
}

// NamedIdentities gives every identity that the configuration names, each once, in the order of their
// text: the entries of identities, those of endpoints and the default.
func (c *Config) NamedIdentities() []identity.Identity {
	all := slices.Collect(maps.Values(c.owners))
	for _, e := range c.identities {
		if e.err == nil {
			all = append(all, e.identity)
		}
	}
	if c.fallback != nil {
		all = append(all, *c.fallback)
	}
	slices.SortFunc(all, func(a, b identity.Identity) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}
