package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// Setting is one value in effect, fit to be shown: a value that can be a secret is REDACTED.
type Setting struct {
	Key   string // the way to it, such as refresh.at
	Value string // "" is none
	Line  int    // where the file sets it, 0 for a default
}

// Path is where the configuration was read, or would have been if there were a file.
func (c *Config) Path() string { return c.path }

// Missing reports that there is no file, so that all values are defaults.
func (c *Config) Missing() bool { return c.missing }

// Settings are all values in effect: first the keys that have a default, then what the file adds.
func (c *Config) Settings() []Setting {
	all := []Setting{
		{Key: "USER_UID", Value: strconv.Itoa(c.uid)},
		{Key: "KRB5_CC_NAME", Value: c.CCacheName(c.uid)},
		{Key: "LOG_DESTINATION", Value: c.log.destination},
		{Key: "LOG_FILE_PATH", Value: c.log.path},
		{Key: "CURL_CONNECT_TIMEOUT", Value: c.connectTimeout.String()},
		{Key: "CURL_TOTAL_TIMEOUT", Value: c.totalTimeout.String()},
		{Key: "default_identity", Value: c.unsaid("").String()},
		{Key: "refresh.at", Value: percent(c.refresh.At)},
		{Key: "refresh.before_expiry", Value: c.refresh.BeforeExpiry.String()},
		{Key: "refresh.jitter", Value: percent(c.refresh.Jitter)},
		{Key: "refresh.concurrency", Value: strconv.Itoa(c.refresh.Concurrency)},
		{Key: "upcall.mode", Value: c.upcall.mode},
		{Key: "upcall.deadline", Value: c.upcall.deadline.String()},
		{Key: "metrics.socket", Value: c.metrics.Socket},
		{Key: "metrics.textfile", Value: c.metrics.Textfile},
		{Key: "proxy", Value: c.shownProxy()},
		{Key: "token_cache", Value: c.tokenCache},
	}
	all = append(all, c.added()...)
	for i := range all {
		all[i].Line = c.lines[all[i].Key]
	}
	return all
}

// added are the settings under keys that the user invents.
func (c *Config) added() []Setting {
	var all []Setting
	for _, name := range slices.Sorted(maps.Keys(c.identities)) {
		value := c.identities[name].identity.String()
		if c.identities[name].err != nil {
			value = "not usable: its kind is not known to this version"
		}
		all = append(all, Setting{Key: within("identities", name), Value: value})
	}
	for _, h := range c.listed {
		all = append(all, Setting{Key: within("endpoints", h.key), Value: h.shown()})
	}
	for _, name := range slices.Sorted(maps.Keys(c.environment)) {
		all = append(all, Setting{Key: within("ENVIRONMENT", name), Value: secret.Redacted})
	}
	return all
}

// shown is what the file says of a host.
func (h host) shown() string {
	var parts []string
	for _, p := range []struct{ key, value string }{
		{"identity", h.identity},
		{"canonical", h.custom.Canonical},
		{"authority", h.custom.Authority},
		{"resource", h.custom.Resource},
	} {
		if p.value != "" {
			parts = append(parts, p.key+"="+p.value)
		}
	}
	return strings.Join(parts, " ")
}

// shownProxy is the proxy without the login, which holds a password.
func (c *Config) shownProxy() string {
	u := c.Proxy()
	switch {
	case u == nil:
		return ""
	case u.User != nil:
		u.User = nil
		return strings.Replace(u.String(), "://", "://"+secret.Redacted+"@", 1)
	}
	return u.String()
}

func percent(share float64) string {
	return fmt.Sprintf("%.4g%%", share*100)
}
