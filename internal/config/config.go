// Package config reads /etc/azfilesauth/config.yaml.
//
// The file holds the flat upper-case keys of azfilesauthmanager and the keys of our own. It is read
// again by every process that needs it, at each mount and each upcall, so reading it is cheap.
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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// DefaultPath is where the configuration is.
const DefaultPath = host.Config

// uidToken is libkrb5's token for the uid in a cache's name (krb5.conf(5), "PARAMETER EXPANSION").
const uidToken = "%{uid}"

// Config is the configuration in effect. Nobody changes it, its maps and slices, after Read.
type Config struct {
	Path     string   // where the configuration was read, or would have been if there were a file
	Missing  bool     // there is no file at Path; its layers can be there all the same
	Files    []string // that were read, in the order of their layers: each wins over those before it
	Warnings []string // sentences of one line in the order of the files, which are named unless it is the one at Path

	CredentialUID int  // that owns the credential cache when a mount names no other: USER_UID, else that of SystemUser, else root's
	Local         bool // USER_UID is the user who called sudo, for whom KRB5_CC_NAME does not count and who need not be in passwd(5)
	Log           log.Settings
	TotalTimeout  time.Duration     // of a request to Azure as a whole
	Environment   map[string]string // ENVIRONMENT, for those who ask for tokens: root's word, unlike what was inherited; values can be secret
	Resolver      endpoint.Resolver // of the public clouds and the hosts under endpoints
	Refresh       Refresh
	Upcall        Upcall
	Metrics       Metrics
	KeepTokens    bool // access tokens may be kept in the kernel's keyring

	// Transport says how Entra and the storage accounts are reached, for every face: its proxy is that of proxy or of
	// HTTPS_PROXY under ENVIRONMENT, and may hold a password. The services of managed identities have its ConnectTimeout alone.
	Transport transport.Options

	mountOptions string           // mount_options, "" is none
	places       map[string]place // where a key is set
	ccache       string           // KRB5_CC_NAME, "" is the default
	identities   map[string]*entry
	fallbackText string                       // default_identity
	fallback     *identity.Identity           // that it names, nil is none
	listed       []*account                   // endpoints, in the files' order
	owners       map[string]identity.Identity // by canonical host
}

// Refresh says when the watcher replaces a ticket.
type Refresh struct {
	At           float64       // share of its lifetime after which it is due, 0.05 to 0.95
	BeforeExpiry time.Duration // the latest moment, before it expires
	Jitter       float64       // share of its lifetime over which hosts and endpoints spread, 0 to 0.5
	Concurrency  int           // exchanges at once
}

// Upcall says how the kernel is answered.
type Upcall struct {
	Mode     string        // who makes the answer: "native" is this program, "cifs" the cifs.upcall of cifs-utils
	Deadline time.Duration // of one answer
}

// Metrics says where counters are told. The zero value is nowhere.
type Metrics struct {
	Socket   bool   // the watcher's socket answers /metrics
	Textfile string // a file for node_exporter's textfile collector, "" is none
	Listen   string // an address and a port to answer /metrics on by HTTP, "" is none
}

// On reports whether anything is to be counted.
func (m Metrics) On() bool { return m.Socket || m.Textfile != "" || m.Listen != "" }

// defaults is the configuration without a file: that of the table.
func defaults(path string) *Config {
	c := &Config{
		Path: path, Missing: true, Environment: map[string]string{}, Resolver: endpoint.Resolver{Custom: map[string]endpoint.Custom{}},
		places: map[string]place{}, identities: map[string]*entry{}, owners: map[string]identity.Identity{},
	}
	for _, k := range Schema() {
		if k.Default != "" {
			_ = k.take(&parser{Config: c}, k.Default) // which is valid: a test takes them all
		}
	}
	return c
}

// Read reads a machine's configuration, and its layers. A missing file gives the defaults. A symbolic link
// is followed, as a Kubernetes configMap needs, and the file behind it examined. The errors are of kind
// ConfigInvalid or ConfigUnsafe; those about the content name line and key.
func Read(h host.Host) (*Config, error) { return ReadWith(h, nil) }

// ReadWith is Read of a configuration that is to have more layers of the administrator's, or others: their contents by
// their paths.
func ReadWith(h host.Host, contents map[string][]byte) (*Config, error) {
	files, misnamed, err := layers(h)
	if err != nil {
		return nil, err
	}
	for path := range contents {
		if !slices.Contains(files, path) {
			files = append(files, path)
		}
	}
	slices.Sort(files[slices.Index(files, h.Config)+1:])
	p, err := assemble(h, files, misnamed, func(file string) ([]byte, error) {
		if content, ok := contents[file]; ok {
			return content, nil
		}
		return read(h, file, host.Owned)
	})
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
	p, _ := assemble(h, nil, nil, nil) // only a file can be wrong
	return p.Config
}

// assemble reads files, of which the later ones win, and warns of those that are misnamed.
func assemble(h host.Host, files, misnamed []string, read func(file string) ([]byte, error)) (*parser, error) {
	p := &parser{Config: defaults(h.Config), byName: map[string]*account{}}
	for _, file := range misnamed {
		p.warn(place{file, 0}, "", "it is not read, because its name does not end in "+layerExt)
	}
	for _, p.file = range files {
		content, err := read(p.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.Missing = p.Missing && p.file != p.Path
		p.Files = append(p.Files, p.file)
		p.parse(content)
	}
	p.useSystemUser(h)
	p.finish(h)
	return p, nil
}

// useSystemUser gives the cache to the system user, where there is one and no file of the machine's own says whose it is: upstream
// made that user, and has kept its tickets for it. What a package says holds on other machines.
func (p *parser) useSystemUser(h host.Host) {
	if user, err := h.LocalUser(SystemUser); err == nil && !p.SetsHere("USER_UID") && !p.Local {
		p.CredentialUID = user.UID
		delete(p.places, "USER_UID")
	}
}

// invalid is a fault about the file that a problem is in.
func (c *Config) invalid(err error) error {
	file := c.Path
	if p, ok := errors.AsType[*problem](err); ok {
		file = cmp.Or(p.file, file)
	}
	return fault.ConfigInvalid.New(file, err.Error())
}

// stockCache and a uid are where a stock cifs.upcall looks; StockCache says so in a configuration.
const (
	stockCache = "/tmp/krb5cc_"
	StockCache = stockCache + uidToken
)

// CCacheName is the name of the credential cache of a uid: a path without FILE:, or, where
// KRB5_CC_NAME has a type that cannot be used, that name unchanged for the one who opens it to refuse.
func (c *Config) CCacheName(cruid int) string {
	uid := strconv.Itoa(cruid)
	if c.Local { // each user has a cache of his own, as upstream does it
		return stockCache + uid
	}
	kind, path := ccache.SplitName(cmp.Or(c.ccache, StockCache))
	if kind != ccache.FileType {
		return c.ccache
	}
	if !strings.Contains(path, uidToken) && cruid != c.CredentialUID { // a fixed file is that of one uid
		path = host.RunDir + "/krb5cc_" + uidToken
	}
	return strings.ReplaceAll(path, uidToken, uid)
}

// PerUser reports whether each credential uid has a credential cache of its own.
func (c *Config) PerUser() bool {
	return c.Local || c.ccache == "" || strings.Contains(c.ccache, uidToken)
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

// IdentityFor gives who logs in at a canonical host when neither the mount nor the cache says so: the identity that
// endpoints has for it, by whichever of its names it is listed there, else default_identity. ok is false for neither.
func (c *Config) IdentityFor(host string) (id identity.Identity, ok bool) {
	if id, ok = c.owners[host]; ok || c.fallback == nil {
		return id, ok
	}
	return *c.fallback, true
}

// Authorities are all that the configuration names as issuers of tokens, sorted: root's word that a
// credential may go there.
func (c *Config) Authorities() []string {
	all := []string{c.AuthorityHost()}
	for _, custom := range c.Resolver.Custom {
		all = append(all, strings.TrimRight(custom.Authority, "/"))
	}
	for _, id := range c.NamedIdentities() {
		all = append(all, id.Authority)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(a string) bool { return a == "" })
}

// SystemUser owns the credential cache when USER_UID is not set: a user who cannot log in and belongs
// to no group but his own.
const SystemUser = "azfilesuser"

// CRUID finds the uid whose credential cache is used: want is a number or a name that the machine h knows,
// or "" for USER_UID. The kernel's helper refuses a uid that getent(1)
// does not list; root is there always, and the user who called sudo need not be. The errors are of kind UIDUnknown.
func (c *Config) CRUID(want string, h host.Host) (int, error) {
	if want == "" && c.Local {
		return c.CredentialUID, nil
	}
	if want == "" {
		want = strconv.Itoa(c.CredentialUID)
	}
	if want == "0" || want == "root" {
		return 0, nil
	}
	user, err := h.LookupUser(want)
	if err != nil {
		return 0, fault.UIDUnknown.New(want).Because(err)
	}
	return user.UID, nil
}
