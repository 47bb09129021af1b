package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// Setting is one value in effect, fit to be shown: a value that can be a secret is REDACTED.
type Setting struct {
	Key   string // the way to it, such as refresh.at
	Value string // "" is none
	File  string // where it is set, "" for a default
	Line  int    // in File
}

// From is FILE:LINE, or "default".
func (s Setting) From() string {
	if s.File == "" {
		return "default"
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

// Sets reports whether a file sets a key, such as USER_UID or refresh.at.
func (c *Config) Sets(key string) bool { return c.places[key].line > 0 }

// SetsHere reports whether a file of the machine's own sets a key, and not one of packages alone.
func (c *Config) SetsHere(key string) bool {
	return c.Sets(key) && !strings.HasSuffix(filepath.Dir(c.places[key].file), vendorDir)
}

// Settings are all values in effect: first the keys that have a name, then what files add.
func (c *Config) Settings() []Setting {
	var all []Setting
	add := func(key, value string) {
		all = append(all, Setting{Key: key, Value: value, File: c.places[key].file, Line: c.places[key].line})
	}
	for _, k := range Schema() {
		if k.show != nil && !strings.Contains(k.Path, "*") {
			add(k.Path, k.show(&parser{Config: c}))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.identities)) {
		value := c.identities[name].identity.String()
		if c.identities[name].err != nil {
			value = "not usable: its kind is not known to this version"
		}
		add(within("identities", name), value)
	}
	for _, h := range c.listed {
		var parts []string
		(&parser{account: h}).each("endpoints.*.", func(key, value string) { parts = append(parts, key+"="+value) })
		add(within("endpoints", h.key), strings.Join(parts, " "))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
		add(within("ENVIRONMENT", name), secret.Redacted)
	}
	return all
}

// each gives the keys beneath an invented name that have a value in p, without the beginning of their
// paths, in the order of the table.
func (p *parser) each(beginning string, yield func(key, value string)) {
	for _, k := range Schema() {
		if key, ok := strings.CutPrefix(k.Path, beginning); ok {
			if value := k.show(p); value != "" {
				yield(key, value)
			}
		}
	}
}
