package config

import (
	"cmp"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// UpcallMode says who builds the answer to the kernel: "native", which is this program, or "cifs",
// which is the cifs.upcall of cifs-utils.
func (c *Config) UpcallMode() string { return c.upcall.mode }

// UpcallDeadline bounds the answer to one request of the kernel.
func (c *Config) UpcallDeadline() time.Duration { return c.upcall.deadline }

// NamedIdentities gives every identity that the file names, each once, in the order of their text:
// the entries of identities, those of endpoints and the default.
func (c *Config) NamedIdentities() []identity.Identity {
	var all []identity.Identity
	for _, e := range c.identities {
		if e.err == nil {
			all = append(all, e.identity)
		}
	}
	for _, id := range c.owners {
		all = append(all, id)
	}
	if c.fallback != nil {
		all = append(all, *c.fallback)
	}
	slices.SortFunc(all, func(a, b identity.Identity) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}
