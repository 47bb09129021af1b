// Package config reads /etc/azfilesauth/config.yaml.
//
// The file holds the flat upper-case keys of azfilesauthmanager and the keys of our own. It is read
// anew by every process that needs it, at each mount and each upcall, so reading it is cheap.
//
// Invariants: a Config comes from a file that nobody but root can change, or from no file; a known
// key with a wrong type or value stops the reading, because a mount with half of its settings does
// harm; an unknown key is a warning, because a key of a newer version must not stop every mount at
// boot. No value that can be a secret (of proxy, of ENVIRONMENT, of an unknown key) is in an error
// or a warning.
package config

import (
	"errors"
	"io/fs"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// DefaultPath is where the configuration is.
const DefaultPath = "/etc/azfilesauth/config.yaml"

// runFolder holds the caches that the configuration gives no place of their own.
const runFolder = "/run/azfilesauth"

// uidToken is libkrb5's token for the uid in a cache's name (krb5.conf(5), "PARAMETER EXPANSION").
const uidToken = "%{uid}"

// Config is the configuration in effect. It does not change after Load.
type Config struct {
	path     string
	missing  bool // there is no file
	warnings []string
	lines    map[string]int // where the file sets a key
	listed   []host         // endpoints, in the file's order

	uid            int
	ccache         string // "" is the default
	log            logging
	connectTimeout time.Duration
	totalTimeout   time.Duration
	environment    map[string]string

	identities map[string]entry
	fallback   *identity.Identity           // default_identity
	owners     map[string]identity.Identity // by canonical host
	hosts      map[string]endpoint.Custom   // by lower-case name
	refresh    Refresh
	upcall     upcall
	metrics    Metrics
	proxy      *url.URL
	tokenCache string // keyring or off
}

// entry is an entry of identities. err is set for a kind that this version does not know, and is met
// by those alone who use the entry.
type entry struct {
	identity identity.Identity
	err      error
}

type logging struct {
	destination string // syslog, file or journal
	path        string // of destination file
}

type upcall struct {
	mode     string // native or cifs
	deadline time.Duration
}

// defaults is the configuration without a file.
func defaults(path string) *Config {
	return &Config{
		path:           path,
		lines:          map[string]int{},
		log:            logging{destination: "syslog", path: "/var/log/azfilesauth.log"},
		connectTimeout: 10 * time.Second,
		totalTimeout:   30 * time.Second,
		environment:    map[string]string{},
		identities:     map[string]entry{},
		owners:         map[string]identity.Identity{},
		hosts:          map[string]endpoint.Custom{},
		refresh:        Refresh{At: 0.6, BeforeExpiry: 5 * time.Minute, Jitter: 0.1, Concurrency: 8},
		upcall:         upcall{mode: "native", deadline: 5 * time.Second},
		metrics:        Metrics{Socket: "off"},
		tokenCache:     "keyring",
	}
}

// Load reads the configuration at path. A missing file gives the defaults. A symbolic link is
// followed, as a Kubernetes configMap needs, and the file behind it examined. The errors are of kind
// ConfigInvalid or ConfigUnsafe; those about the content name line and key.
func Load(path string) (*Config, error) { return LoadFor(path, "/etc/passwd") }

// LoadFor is Load for another machine, whose users are in passwd, a file as in passwd(5).
func LoadFor(path, passwd string) (*Config, error) {
	c := defaults(path)
	content, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.missing = true
	case err != nil:
		return nil, err
	default:
		if err := parse(c, content); err != nil {
			return nil, c.invalid(err.Error())
		}
	}
	if c.lines["USER_UID"] == 0 { // the system user's, or root's where there is none
		c.uid, _, _ = lookupUser(passwd, SystemUser)
	}
	return c, nil
}

func (c *Config) invalid(problem string) error {
	return fault.New(fault.ConfigInvalid, fault.V{"file": c.path, "problem": problem})
}

// Warnings tells what is strange in the file, such as unknown keys: sentences of one line, without
// the file's name, in the file's order.
func (c *Config) Warnings() []string { return slices.Clone(c.warnings) }

// Strict is the error of a check that allows no warnings: the first one as a ConfigInvalid, or nil.
func (c *Config) Strict() error {
	if len(c.warnings) == 0 {
		return nil
	}
	return c.invalid(c.warnings[0])
}

// Resolver knows the public clouds and the hosts under endpoints.
func (c *Config) Resolver() endpoint.Resolver { return endpoint.Resolver{Custom: c.hosts} }

// CredentialUID is USER_UID, the Unix uid that owns the credential cache when a mount names no other.
// Where the file does not say, it is that of SystemUser, and root's where there is no such user.
func (c *Config) CredentialUID() int { return c.uid }

// CCacheName is the name of the credential cache of a uid: a path without FILE:, or, where
// KRB5_CC_NAME has a type that cannot be used, that name unchanged for the one who opens it to refuse.
func (c *Config) CCacheName(cruid int) string {
	uid := strconv.Itoa(cruid)
	kind, path := cacheType(c.ccache)
	switch {
	case c.ccache == "": // the name that a stock cifs.upcall looks for
		return "/tmp/krb5cc_" + uid
	case kind != fileType:
		return c.ccache
	case strings.Contains(path, uidToken):
		return strings.ReplaceAll(path, uidToken, uid)
	case cruid != c.uid: // a fixed file is that of one uid
		return runFolder + "/krb5cc_" + uid
	}
	return path
}

// Identity gives the entry of that name under identities; ok is false when there is none. The error
// is a ConfigInvalid: the entry is there, but of a kind that this version does not know.
func (c *Config) Identity(name string) (id identity.Identity, ok bool, err error) {
	e, ok := c.identities[name]
	if e.err != nil {
		return identity.Identity{}, true, c.invalid(e.err.Error())
	}
	return e.identity, ok, nil
}

// EndpointIdentity gives the identity that endpoints has for a canonical host, by whichever of its
// names it is listed there.
func (c *Config) EndpointIdentity(host string) (id identity.Identity, ok bool) {
	id, ok = c.owners[host]
	return id, ok
}

// DefaultIdentity gives default_identity; ok is false when the file has none.
func (c *Config) DefaultIdentity() (id identity.Identity, ok bool) {
	if c.fallback == nil {
		return identity.Identity{}, false
	}
	return *c.fallback, true
}

// Authorities are all that the file names as issuers of tokens, sorted: root's word that a credential
// may go there.
func (c *Config) Authorities() []string {
	var all []string
	for _, e := range c.identities {
		all = append(all, e.identity.Authority)
	}
	for _, custom := range c.hosts {
		all = append(all, strings.TrimRight(custom.Authority, "/"))
	}
	for _, id := range c.owners { // an endpoint can have an identity in words
		all = append(all, id.Authority)
	}
	all = append(all, c.unsaid("").Authority, c.AuthorityHost())
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(a string) bool { return a == "" })
}

// ConnectTimeout bounds the making of a connection to Azure.
func (c *Config) ConnectTimeout() time.Duration { return c.connectTimeout }

// TotalTimeout bounds a request to Azure as a whole.
func (c *Config) TotalTimeout() time.Duration { return c.totalTimeout }

// Proxy is the proxy for Entra and the storage accounts, nil for none: proxy, or HTTPS_PROXY under
// ENVIRONMENT. It may hold a password.
func (c *Config) Proxy() *url.URL {
	if c.proxy != nil {
		u := *c.proxy
		return &u
	}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		if u, err := proxyURL(c.environment[name]); err == nil {
			return u
		}
	}
	return nil
}

// KeepTokens reports whether access tokens may be kept in the kernel's keyring.
func (c *Config) KeepTokens() bool { return c.tokenCache == "keyring" }

// Log is LOG_DESTINATION and, for the destination file, LOG_FILE_PATH.
func (c *Config) Log() (destination, path string) { return c.log.destination, c.log.path }
