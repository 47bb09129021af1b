// Package tickets is the one use case that every face shares: make sure that the credential cache
// holds a service ticket for an endpoint, obtained with a given identity.
//
// Ensure looks into the cache and is done when a ticket of that identity lasts long enough. Else it
// takes the endpoint's lock, looks again, asks Entra for an access token, exchanges it at the
// storage account and hands the ticket to the writer, who puts it into the cache together with the
// record of who obtained it. The package also owns whose ticket it is (OwnerOf), which access tokens
// are kept and which were refused, and how many calls ask at once.
//
// Invariants: this package is the only writer of tickets. No lock is held over the network but the
// endpoint's own (and, while the token is fetched, the identity's), so accounts do not wait for each
// other, and two processes that want the same ticket make one exchange. Any failure leaves the
// cache as it was. A ticket never takes the place of one whose owner cannot be told.
package tickets

import (
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"sync"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/transport"
	"github.com/azfilesauth/azfilesauth/internal/waiting"
)

// Access is by what a face reaches Azure and what the kernel keeps.
type Access struct {
	// Transport reaches Entra and the storage accounts, IMDS the machine's identity service, never through a proxy; nil
	// means what the configuration says. Only a *transport.Route can lead through the proxy of a Choice.
	Transport, IMDS http.RoundTripper

	// OpenRing gives the keyring in which access tokens are kept for other processes, unless the
	// configuration wants none; nil keeps them for this one alone. It is called when a token is needed.
	OpenRing func() (keyring.Ring, error)

	// ForgetFailures makes the kernel forget that its requests for tickets failed; nil does not. It
	// is called after a new ticket, or applications would see up to a minute of ENOKEY for nothing
	// where a stock cifs.upcall answers. Its error counts for nothing: the kernel forgets in time.
	ForgetFailures func() (cleared bool, err error)
}

// RealAccess is that of a face on this machine.
func RealAccess() Access {
	return Access{OpenRing: keyring.OpenRing, ForgetFailures: keyring.ForgetFailures}
}

// Options are the Manager's surroundings. Host and Config are needed, the zero values of the others mean the real ones.
type Options struct {
	Access
	Host    host.Host // its clock, mount table, users and trusted user
	Config  *config.Config
	Mounted func() ([]mounts.Mount, error) // the live mounts of endpoints, not to be changed; nil reads the mount table
	Step    func(format string, a ...any)  // told what is being done, for -v; never a secret
	Waits   func(what string)              // told what is waited for, each time; nil is nobody

	// Handles reports whether azfiles.upcall answers the kernel's logins at a host; nil asks the rules of request-key of
	// the machine on which the kernel starts its programs, which is the node where this is a container.
	Handles func(host string) bool

	NoPrograms bool // never run az, which is another user's program; a token that is kept counts
	Attempts   int  // how often to ask a storage account at most; zero is azfiles.Client's own number
}

// Manager makes calls of Ensure, and holds what they share. It is safe for concurrent use.
type Manager struct {
	Options
	given  Options // as New got them
	cfg    *config.Config
	client azfiles.Client
	tokens identity.Options
	random func() float64 // from 0 to 1, see Call.patience
	*shared

	mu     sync.Mutex
	caches map[int]*cache              // by credential uid
	routes map[string]*transport.Route // through the proxies that callers chose
}

// shared outlives the configuration.
type shared struct {
	turns  turns
	memory memory
}

// cache is the credential cache of one credential uid and its writer.
type cache struct {
	*ccache.Store
	writer *writer
}

// New makes a Manager. It opens nothing: certificates and caches are read when they are needed.
func New(o Options) (*Manager, error) {
	return manage(o, o, new(shared))
}

// With gives a manager for another configuration. It goes on with what m remembers, with the turns of
// m's calls, and with m's connections as long as the configuration leads the same way; else the idle
// ones are closed.
func (m *Manager) With(cfg *config.Config) (*Manager, error) {
	given := m.given
	given.Config = cfg
	o := given
	if sameWay(m.cfg, cfg) {
		o.Transport, o.IMDS = m.Transport, m.IMDS
	}
	next, err := manage(o, given, m.shared)
	if err != nil {
		return nil, err
	}
	m.closeRoutes()
	if !sameWay(m.cfg, cfg) {
		m.CloseIdle()
	}
	return next, nil
}

// sameWay reports whether two configurations have the same transports.
func sameWay(a, b *config.Config) bool {
	return reflect.DeepEqual(a.Transport, b.Transport)
}

func manage(o, given Options, s *shared) (*Manager, error) {
	if o.Step == nil {
		o.Step = func(string, ...any) {}
	}
	if o.Waits == nil {
		o.Waits = func(string) {}
	}
	if o.Mounted == nil {
		o.Mounted = func() ([]mounts.Mount, error) { return mounts.ListFrom(o.Host.Mounts, o.Config.Resolver) }
	}
	if !o.Config.KeepTokens {
		o.OpenRing = nil
	}
	if err := o.transports(); err != nil {
		return nil, err
	}
	s.turns.setLimit(o.Config.Refresh.Concurrency)
	return &Manager{
		Options: o, given: given, cfg: o.Config, shared: s,
		client: azfiles.Client{Transport: o.Transport, Now: o.Host.Now, Attempts: o.Attempts},
		tokens: identity.Options{
			Transport: o.Transport, IMDS: waiting.Transport(o.IMDS, func(host string) { o.Waits("the identity service " + host) }), Host: o.Host, Attempts: o.Attempts, NoPrograms: o.NoPrograms,
		},
		random: rand.Float64, caches: make(map[int]*cache), routes: make(map[string]*transport.Route),
	}, nil
}

// transports fills in the real ones.
func (o *Options) transports() error {
	if o.IMDS == nil {
		t, err := transport.New(transport.Options{ConnectTimeout: o.Config.Transport.ConnectTimeout})
		if err != nil {
			return err
		}
		o.IMDS = t
	}
	if o.Transport == nil {
		t, err := transport.NewRoute(o.Config.Transport)
		if err != nil {
			return err
		}
		o.Transport = t
	}
	return nil
}

// CloseIdle closes the connections that nothing uses at the moment.
func (m *Manager) CloseIdle() {
	for _, t := range []http.RoundTripper{m.Transport, m.IMDS} {
		if c, ok := t.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
		}
	}
	m.closeRoutes()
}

// cache opens the credential cache of a uid, once.
func (m *Manager) cache(uid int) (*cache, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.caches[uid]; c != nil {
		return c, nil
	}
	if !m.cfg.Local { // else the stock handler never reads its tickets
		if _, err := m.cfg.CRUID(strconv.Itoa(uid), m.Host); err != nil {
			return nil, err
		}
	}
	store, err := ccache.Open(m.Host, m.cfg.CCacheName(uid), uid)
	if err != nil {
		return nil, err
	}
	c := &cache{Store: store, writer: newWriter()}
	m.caches[uid] = c
	return c, nil
}
