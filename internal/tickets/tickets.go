// Package tickets is the one use case that every face shares: make sure that the credential cache
// holds a service ticket for an endpoint, obtained with a given identity.
//
// Ensure looks into the cache and is done when a ticket of that identity lasts long enough. Else it
// takes the endpoint's lock, looks again, asks Entra for an access token, exchanges it at the
// storage account and hands the ticket to the writer, who puts it into the cache together with the
// record of who obtained it.
//
// Invariants: this package is the only writer of tickets. No lock is held over the network but the
// endpoint's own (and, while the token is fetched, the identity's), so accounts do not wait for each
// other, and two processes that want the same ticket make one exchange. Any failure leaves the
// cache as it was.
package tickets

import (
	"context"
	"net/http"
	"os/user"
	"strconv"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// Freshness says when a cached ticket is good enough.
type Freshness int

const (
	// Usable accepts a cached ticket of the same identity that has enough time left.
	Usable Freshness = iota
	// Always exchanges in any case.
	Always
	// LastResort is Usable, but when no other ticket can be had it accepts a cached one of the same
	// identity until it ends.
	LastResort
)

// maxMargin is the time before its end from which a ticket counts as stale: every login with it
// would be followed by another one soon, and clocks may differ by as much (RFC 4120, 7.5.1).
const maxMargin = 5 * time.Minute

// Options are the Manager's surroundings. Config is needed, the zero values of the others mean the real ones.
type Options struct {
	Config    *config.Config
	Transport http.RoundTripper              // to Entra and the storage accounts
	IMDS      http.RoundTripper              // to the machine's identity service, never through a proxy
	Now       func() time.Time               // the clock
	Mounted   func() ([]mounts.Mount, error) // the live mounts of endpoints
	Step      func(format string, a ...any)  // told what is being done, for -v; never a secret

	// OpenRing gives the keyring in which access tokens are kept; nil keeps none. It is called
	// when a token is needed, and its error means that tokens are not kept.
	OpenRing func() (keyring.Ring, error)

	// ForgetFailures makes the kernel forget that its requests for tickets failed; nil does not. It
	// is called after a new ticket, or applications would see up to a minute of ENOKEY for nothing
	// where a stock cifs.upcall answers. Its error counts for nothing: the kernel forgets in time.
	ForgetFailures func() (cleared bool, err error)
	Attempts       int // how often to ask a storage account at most; zero is azfiles.Client's own number
}

// Manager holds what calls of Ensure share. It is safe for concurrent use.
type Manager struct {
	cfg    *config.Config
	client azfiles.Client
	tokens identity.Options
	Options

	mu     sync.Mutex
	caches map[int]*cache // by credential uid
}

// cache is the credential cache of one credential uid and its writer.
type cache struct {
	*ccache.Store
	writer *writer
}

// New makes a Manager. It opens nothing: certificates and caches are read when they are needed.
func New(o Options) (*Manager, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Step == nil {
		o.Step = func(string, ...any) {}
	}
	if o.Mounted == nil {
		resolver := o.Config.Resolver()
		o.Mounted = func() ([]mounts.Mount, error) { return mounts.List(resolver) }
	}
	if !o.Config.KeepTokens() {
		o.OpenRing = nil
	}
	if err := o.transports(); err != nil {
		return nil, err
	}
	o.Config.SetEnvironment()
	return &Manager{
		cfg:     o.Config,
		client:  azfiles.Client{Transport: o.Transport, Now: o.Now, Attempts: o.Attempts},
		tokens:  identity.Options{Transport: o.Transport, IMDS: o.IMDS, Now: o.Now, Attempts: o.Attempts, Authorities: o.Config.Authorities()},
		Options: o,
		caches:  make(map[int]*cache),
	}, nil
}

// transports fills in the real ones.
func (o *Options) transports() error {
	connect := azfiles.TransportOptions{ConnectTimeout: o.Config.ConnectTimeout()}
	if o.IMDS == nil {
		t, err := azfiles.NewTransport(connect)
		if err != nil {
			return err
		}
		o.IMDS = t
	}
	if o.Transport == nil {
		connect.Proxy = o.Config.Proxy()
		t, err := azfiles.NewTransport(connect)
		if err != nil {
			return err
		}
		o.Transport = t
	}
	return nil
}

// Request is what Ensure is asked for.
type Request struct {
	Endpoint endpoint.Endpoint
	Identity identity.Identity
	CRUID    int // the credential uid: whose cache it is
	Fresh    Freshness
	Token    secret.Value // an access token that the caller was handed; none: Identity obtains one
	Replace  bool         // take the place of another identity even while its mount is live
	Aliases  []string     // hosts under which a new ticket is stored as well, beside the endpoint's own alias
}

// Result is what Ensure did.
type Result struct {
	CCache  string    // path of the credential cache
	Server  string    // the service principal
	Cached  bool      // the ticket was there, Azure was not asked
	EndTime time.Time // of the ticket
	Ticket  ccache.Credential
	Failure error // why the ticket is one that Usable would not accept; see LastResort
}

// Ensure makes sure that the cache of r.CRUID holds a ticket for r.Endpoint that r.Identity obtained.
// Its errors are faults; ctx bounds all of it.
func (m *Manager) Ensure(ctx context.Context, r Request) (Result, error) {
	if err := r.Identity.Validate(); err != nil {
		return Result{}, err
	}
	c, err := m.cache(r.CRUID)
	if err != nil {
		return Result{}, err
	}
	m.Step("credential cache: %s", c.Path())
	res, err := m.ensure(ctx, c, r)
	if err != nil && r.Fresh == LastResort {
		if old, ok := m.lastResort(c, r); ok {
			old.Failure = err
			m.Step("ticket: no new one (%v), the old one ends at %s", err, old.EndTime.Format(time.RFC3339))
			return old, nil
		}
	}
	return res, err
}

func (m *Manager) ensure(ctx context.Context, c *cache, r Request) (Result, error) {
	look := func() (Result, bool, error) { return m.look(ctx, c, r) }
	if res, done, err := look(); done || err != nil {
		return res, err
	}
	unlock, err := c.LockEndpoint(ctx, r.Endpoint.Host())
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	// Whoever held the lock may have fetched what we want.
	if res, done, err := look(); done || err != nil {
		return res, err
	}
	return m.fetch(ctx, c, r)
}

// cache opens the credential cache of a uid, once.
func (m *Manager) cache(uid int) (*cache, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.caches[uid]; c != nil {
		return c, nil
	}
	gid, err := primaryGroup(uid)
	if err != nil {
		return nil, err
	}
	store, err := ccache.Open(m.cfg.CCacheName(uid), ccache.Owner{UID: uid, GID: gid})
	if err != nil {
		return nil, err
	}
	c := &cache{Store: store, writer: newWriter()}
	m.caches[uid] = c
	return c, nil
}

// primaryGroup looks a uid up in the password database, as a stock cifs.upcall does.
func primaryGroup(uid int) (int, error) {
	if uid == 0 {
		return 0, nil
	}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return 0, fault.Wrap(fault.UIDUnknown, err, fault.V{"uid": strconv.Itoa(uid)})
	}
	return strconv.Atoi(u.Gid)
}
