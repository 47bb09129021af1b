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
	"cmp"
	"errors"
	"io/fs"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// DefaultPath is where the configuration is.
const DefaultPath = host.Config

// uidToken is libkrb5's token for the uid in a cache's name (krb5.conf(5), "PARAMETER EXPANSION").
const uidToken = "%{uid}"

// Config is the configuration in effect. It does not change after Load.
type Config struct {
	path     string
	missing  bool     // there is no file at path
	files    []string // that were read, in their order
	warnings []problem
	more     bool             // there were more than maxWarnings
	places   map[string]place // where a key is set

	uid            int
	local          bool   // uid is that of the user who called sudo
	ccache         string // "" is the default
	log            logging
	connectTimeout time.Duration
	totalTimeout   time.Duration
	environment    map[string]string

	identities   map[string]*entry
	fallbackText string
	fallback     *identity.Identity           // default_identity
	listed       []*account                   // endpoints, in the files' order
	owners       map[string]identity.Identity // by canonical host
	hosts        map[string]endpoint.Custom   // by lower-case name
	refresh      Refresh
	mode         string // of upcall, native or cifs
	deadline     time.Duration
	metrics      Metrics
	proxy        *url.URL
	noProxy      string // as of transport.Exceptions
	tokenCache   string // keyring or off
}

type logging struct {
	destination string // syslog, file or journal
	path        string // of destination file
}

// Refresh says when the watcher replaces a ticket.
type Refresh struct {
	At           float64       // share of its lifetime after which it is due, 0.05 to 0.95
	BeforeExpiry time.Duration // the latest moment, before it expires
	Jitter       float64       // share of its lifetime over which hosts and endpoints spread, 0 to 0.5
	Concurrency  int           // exchanges at once
}

// Metrics says where counters are told. The zero value is nowhere.
type Metrics struct {
	Socket   string // "on": the watcher's socket answers /metrics
	Textfile string // a file for node_exporter's textfile collector, "" is none
}

// On reports whether anything is to be counted.
func (m Metrics) On() bool { return m.Served() || m.Textfile != "" }

// Served reports whether the watcher's socket answers with them.
func (m Metrics) Served() bool { return m.Socket == "on" }

// defaults is the configuration without a file: that of the table.
func defaults(path string) *Config {
	c := &Config{
		path: path, places: map[string]place{}, environment: map[string]string{}, identities: map[string]*entry{},
		owners: map[string]identity.Identity{}, hosts: map[string]endpoint.Custom{},
	}
	for _, k := range Schema() {
		if k.Default != "" {
			_ = k.take(&parser{Config: c}, k.Default) // which is valid: a test takes them all
		}
	}
	return c
}

// Load reads the configuration at path of this machine, and its layers, as Read does.
func Load(path string) (*Config, error) {
	h := host.Real()
	h.Config = path
	return Read(h)
}

// Read reads a machine's configuration, and its layers. A missing file gives the defaults. A symbolic link
// is followed, as a Kubernetes configMap needs, and the file behind it examined. The errors are of kind
// ConfigInvalid or ConfigUnsafe; those about the content name line and key.
func Read(h host.Host) (*Config, error) {
	files, err := Layers(h)
	if err != nil {
		return nil, err
	}
	p, err := assemble(h, files, func(file string) ([]byte, error) { return read(h, file, host.Owned) })
	if err == nil && len(p.mistakes) > 0 {
		err = p.invalid(&p.mistakes[0])
	}
	if err != nil {
		return nil, err
	}
	return p.Config, nil
}

// Defaults is the configuration of a machine that has no file of it.
func Defaults(h host.Host) *Config {
	p, _ := assemble(h, nil, nil) // only a file can be wrong
	return p.Config
}

// assemble reads files, of which the later ones win.
func assemble(h host.Host, files []string, read func(file string) ([]byte, error)) (*parser, error) {
	p := &parser{Config: defaults(h.Config), byName: map[string]*account{}}
	p.missing = true
	for _, p.file = range files {
		content, err := read(p.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.missing = p.missing && p.file != p.path
		p.files = append(p.files, p.file)
		p.parse(content)
	}
	p.finish()
	if !p.Sets("USER_UID") { // the system user's, or root's where there is none
		user, _ := h.LocalUser(SystemUser)
		p.uid = user.UID
	}
	return p, nil
}

// invalid is a fault about the file that a problem is in.
func (c *Config) invalid(err error) error {
	file := c.path
	if p := (*problem)(nil); errors.As(err, &p) {
		file = cmp.Or(p.file, file)
	}
	return fault.ConfigInvalid.New(file, err.Error())
}

// Path is where the configuration was read, or would have been if there were a file.
func (c *Config) Path() string { return c.path }

// Missing reports that there is no file at Path; its layers can be there all the same.
func (c *Config) Missing() bool { return c.missing }

// Files are those that were read, in the order of their layers: each wins over those before it.
func (c *Config) Files() []string { return slices.Clone(c.files) }

// Warnings tells what is strange in the files, such as unknown keys: sentences of one line, in the order
// of the files. A file is named unless it is the one at Path.
func (c *Config) Warnings() []string {
	var all []string
	for _, w := range c.warnings {
		all = append(all, c.sentence(w))
	}
	if c.more {
		all = append(all, "and more")
	}
	return all
}

func (c *Config) sentence(w problem) string {
	if w.file == c.path {
		return w.Error()
	}
	return w.file + ": " + w.Error()
}

// Resolver knows the public clouds and the hosts under endpoints.
func (c *Config) Resolver() endpoint.Resolver { return endpoint.Resolver{Custom: c.hosts} }

// CredentialUID is USER_UID, the Unix uid that owns the credential cache when a mount names no other.
// Where the file does not say, it is that of SystemUser, and root's where there is no such user.
func (c *Config) CredentialUID() int { return c.uid }

// stockCache and a uid are where a stock cifs.upcall looks.
const stockCache = "/tmp/krb5cc_"

// Local reports that USER_UID is the user who called sudo, which KRB5_CC_NAME does not count for and who need not
// be in passwd(5).
func (c *Config) Local() bool { return c.local }

// CCacheName is the name of the credential cache of a uid: a path without FILE:, or, where
// KRB5_CC_NAME has a type that cannot be used, that name unchanged for the one who opens it to refuse.
func (c *Config) CCacheName(cruid int) string {
	uid := strconv.Itoa(cruid)
	if c.local { // each user has a cache of his own, as upstream does it
		return stockCache + uid
	}
	kind, path := cacheType(cmp.Or(c.ccache, stockCache+uidToken))
	if kind != fileType {
		return c.ccache
	}
	if !strings.Contains(path, uidToken) && cruid != c.uid { // a fixed file is that of one uid
		path = host.RunDir + "/krb5cc_" + uidToken
	}
	return strings.ReplaceAll(path, uidToken, uid)
}

// Identity gives the entry of that name under identities; ok is false when there is none. The error
// is a ConfigInvalid: the entry is there, but of a kind that this version does not know.
func (c *Config) Identity(name string) (id identity.Identity, ok bool, err error) {
	e := c.identities[name]
	if e == nil {
		return identity.Identity{}, false, nil
	}
	if e.err != nil {
		return identity.Identity{}, true, c.invalid(e.err)
	}
	return e.identity, true, nil
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

// Authorities are all that the configuration names as issuers of tokens, sorted: root's word that a
// credential may go there.
func (c *Config) Authorities() []string {
	all := []string{c.AuthorityHost()}
	for _, custom := range c.hosts {
		all = append(all, strings.TrimRight(custom.Authority, "/"))
	}
	for _, id := range c.NamedIdentities() {
		all = append(all, id.Authority)
	}
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
		if u, err := proxyURL.read(c.environment[name]); err == nil {
			return u
		}
	}
	return nil
}

// NoProxy is what is reached without Proxy, in the form of the variable NO_PROXY, "" for nothing: no_proxy, or
// NO_PROXY under ENVIRONMENT.
func (c *Config) NoProxy() string {
	if c.Sets("no_proxy") {
		return c.noProxy
	}
	understood, _ := transport.Exceptions(cmp.Or(c.environment["NO_PROXY"], c.environment["no_proxy"]))
	return understood // as others who read the variable, which ignore the rest
}

// Transport says how Entra and the storage accounts are reached, for every face. The services of managed
// identities have ConnectTimeout of it alone.
func (c *Config) Transport() transport.Options {
	return transport.Options{ConnectTimeout: c.ConnectTimeout(), Proxy: c.Proxy(), NoProxy: c.NoProxy()}
}

// KeepTokens reports whether access tokens may be kept in the kernel's keyring.
func (c *Config) KeepTokens() bool { return c.tokenCache == "keyring" }

// Log is LOG_DESTINATION and, for the destination file, LOG_FILE_PATH.
func (c *Config) Log() (destination, path string) { return c.log.destination, c.log.path }

// UpcallMode says who builds the answer to the kernel: "native", which is this program, or "cifs",
// which is the cifs.upcall of cifs-utils.
func (c *Config) UpcallMode() string { return c.mode }

// UpcallDeadline bounds the answer to one request of the kernel.
func (c *Config) UpcallDeadline() time.Duration { return c.deadline }

// Refresh gives what refresh: says, or the defaults.
func (c *Config) Refresh() Refresh { return c.refresh }

// Metrics gives what metrics: says; by default nothing is counted.
func (c *Config) Metrics() Metrics { return c.metrics }
