package tickets

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/transport"
	"github.com/azfilesauth/azfilesauth/internal/waiting"
)

// Freshness says when a cached ticket is good enough.
type Freshness int

const (
	// Usable accepts a cached ticket of the same identity that has enough time left.
	Usable Freshness = iota
	// Always exchanges in any case.
	Always
	// LastResort is Usable, but when no other ticket can be had it accepts a cached one until it
	// expires; see Unexpired.
	LastResort
)

// Request is what Ensure is asked for.
type Request struct {
	Endpoint endpoint.Endpoint
	CRUID    int // the credential uid: whose cache it is
	Fresh    Freshness

	// Identity obtains the ticket. The zero one stands for whoever Owner finds when the call has its
	// turn.
	Identity identity.Identity
	Username string            // what the mount calls itself, or will; "" is not known
	Former   identity.Identity // who it was before the cache was gone or damaged; the zero one is nobody

	// Choice is the proxy that the caller chose, which counts where the configuration names none and is left in the
	// record. nil is the one that the record of the present ticket names.
	Choice *transport.Choice

	Token   secret.Value  // an access token that the caller was handed; none: Identity obtains one
	Replace bool          // take the first place of another identity even while its mount is live
	Keep    bool          // who the identity is, even when it is refused a ticket: others try again
	Ahead   bool          // of a mount, which may name the host of a private endpoint: the ticket is stored under that as well
	Aliases []string      // further hosts under which it is stored, beside the endpoint's own alias
	Limit   time.Duration // CURL_TOTAL_TIMEOUT, which bounds the call once it has its turn; zero does not
	Expires time.Time     // of the ticket that is to be replaced: see halfway; zero is none
}

// Result is what Ensure did.
type Result struct {
	Identity string    // who obtained the ticket, as a line of text
	CCache   string    // path of the credential cache
	Server   string    // the service principal
	Cached   bool      // the ticket was there, Azure was not asked
	EndTime  time.Time // of the ticket
	Private  bool      // it is a further identity's, which only our own handler finds
	Ticket   ccache.Credential
	Failure  error // why the ticket is one that Usable would not accept; see LastResort
}

// Ensure makes sure that the cache of r.CRUID holds a ticket for r.Endpoint that r.Identity obtained.
// As many calls ask at once as the configuration allows, the others wait for their turn.
// Its errors are faults, or a *TokenError around one; ctx bounds all of it.
func (m *Manager) Ensure(ctx context.Context, r Request) (Result, error) {
	return m.Queue(r).Ensure(ctx)
}

// Queue gives a request its place behind all that were queued before. Whoever queues must call Ensure,
// or the place is never given up.
func (m *Manager) Queue(r Request) *Call {
	return &Call{Request: r, m: m, turn: m.turns.join(), number: m.memory.next()}
}

// Call is one request on its way.
type Call struct {
	Request
	m      *Manager
	turn   *turn
	number uint64 // counts calls
	cache  *cache
	line   string       // the identity as text
	before secret.Value // the ticket that was in the cache before the call waited
	waited bool         // it had to wait, or could have, for others that ask for the same
	chosen transport.Choice
	way    http.RoundTripper // to Entra and the storage account

	owned     bool           // the identity is that of a login or a renewal, not of somebody's order
	user      string         // the selector of its mounts; "" logs in with what is in the first place
	separated bool           // our own handler tells the account's mounts apart; known once there are any
	unnamed   bool           // a live mount's user name tells nothing
	trusted   bool           // the cache's records are, before the exchange; see ccache.Snapshot
	private   bool           // the ticket went to a private place
	principal ccache.Claimed // whom the access token named

	Began time.Time // when it had its turn; set by Ensure
}

// Ensure is Manager.Ensure for the queued request. It is called once.
func (c *Call) Ensure(ctx context.Context) (Result, error) {
	defer c.turn.leave()
	if err := c.turn.wait(ctx); err != nil {
		return Result{}, err
	}
	c.Began = time.Now()
	if left := c.Expires.Sub(c.m.Host.Now()); left > 0 {
		cut, cancel := context.WithTimeout(ctx, halfway(left))
		defer cancel()
		ctx = cut
	}
	if c.Limit > 0 {
		limited, cancel := fault.WithTimeout(ctx, c.Limit, fault.BoundTotal)
		defer cancel()
		ctx = limited
	}
	res, err := c.obtain(ctx)
	if err == nil || c.Fresh != LastResort {
		return res, err
	}
	old, ok := Unexpired(c.m.Host, c.m.cfg, Login{c.Endpoint, c.CRUID, c.Username})
	if !ok {
		return res, err
	}
	old.Failure = err
	c.m.Step("ticket: no new one (%v), the old one ends at %s", err, old.EndTime.Format(time.RFC3339))
	return old, nil
}

// prepare finds out whose ticket is wanted, and where it is kept.
func (c *Call) prepare() (err error) {
	if c.Identity == (identity.Identity{}) {
		if err := c.findOwner(); err != nil {
			return err
		}
	}
	if err := c.Identity.Validate(); err != nil {
		return err
	}
	c.line = c.Identity.String()
	if !c.owned {
		c.user = c.Identity.Username()
	}
	if c.cache, err = c.m.cache(c.CRUID); err == nil {
		c.m.Step("credential cache: %s", c.cache.Path())
	}
	return err
}

func (c *Call) findOwner() (err error) {
	c.owned = true
	c.Identity, c.user, err = c.m.owner(c.Endpoint, c.CRUID, c.Username)
	if c.Former == (identity.Identity{}) || !fault.Is(err, fault.IdentityUnknown) && !fault.Is(err, fault.CCacheDamaged) {
		return err
	}
	c.Identity = c.Former
	return nil
}

func (c *Call) obtain(ctx context.Context) (Result, error) {
	if err := c.prepare(); err != nil {
		return Result{}, err
	}
	if res, done, err := c.lookUp(ctx); done || err != nil {
		return res, err
	}
	unlock, err := c.locked(ctx, "endpoint", forEndpoint, func(ctx context.Context) (func(), error) {
		return c.cache.LockEndpoint(ctx, c.Endpoint.Host())
	})
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	c.waited = true
	// Whoever held the lock may have fetched what we want.
	if res, done, err := c.lookUp(ctx); done || err != nil {
		return res, err
	}
	return c.fetch(ctx)
}

// lookUp tells whether the cache already holds what is asked for.
func (c *Call) lookUp(ctx context.Context) (Result, bool, error) {
	snap, err := c.cache.Load()
	if err != nil && !fault.Is(err, fault.CCacheDamaged) { // a damaged one is moved aside at the write
		return Result{}, false, err
	}
	p := placeOf(snap.Cache, c.Endpoint, c.user)
	c.trusted = snap.Trusted
	c.choose(snap, p.name)
	if c.waited && c.shares(snap, p) {
		return c.share(ctx, snap, p)
	}
	var cred ccache.Credential
	held := false
	if snap.Cache != nil {
		cred, held = snap.Cache.Ticket(p.name)
		c.before = cred.Ticket
	}
	if err := c.checkLiveMounts(ctx, snap); err != nil {
		return Result{}, false, err
	}
	if !held || p.rec.Identity != c.line || c.Fresh == Always || stale(cred, c.m.Host.Now()) {
		return Result{}, false, nil
	}
	first := p.name == c.Endpoint.SPN()
	if !first && !c.owned && !c.m.Separates(c.Endpoint) {
		return Result{}, false, nil // a stock handler does not find it there
	}
	stored := aliasesOf(snap.Cache, p)
	if all := c.aliases(stored); first && len(all) > len(stored) {
		p.rec.Aliases = all
		if err := c.write(ctx, cred, p.rec); err != nil {
			return Result{}, false, err
		}
	}
	c.m.Step("ticket: cached, ends at %s", cred.EndTime.Format(time.RFC3339))
	return c.result(cred, true), true, nil
}

// choose finds the proxy that the call goes through.
func (c *Call) choose(snap ccache.Snapshot, name string) {
	if c.chosen = Chosen(snap, name); c.Choice != nil {
		c.chosen = *c.Choice
	}
}

// write puts a ticket and its record into the cache.
func (c *Call) write(ctx context.Context, cred ccache.Credential, rec ccache.Record) error {
	c.cache.writer.expect()
	return c.cache.writer.put(ctx, c.cache.Store, func(cache *ccache.Cache) { c.put(cache, cred, rec) })
}

// shares reports whether another call of the same principal has put a ticket into the cache while this one waited, so
// that 40 volumes of an account that are staged at once make one or two exchanges. Whose ticket the caller's
// own token gives is not known before it is used, so such a call shares nothing.
func (c *Call) shares(snap ccache.Snapshot, p place) bool {
	if !snap.Trusted || c.Fresh != Always || !c.Token.Empty() || c.Identity.Kind == identity.Token || !p.recorded {
		return false
	}
	cred, ok := snap.Cache.Ticket(p.name)
	return ok && !cred.Ticket.Equal(c.before) && identity.SamePrincipal(p.rec.Identity, c.line) && !stale(cred, c.m.Host.Now())
}

// share takes that ticket. The last one who asked is the one who renews it first: the token file of a volume goes with
// the volume.
func (c *Call) share(ctx context.Context, snap ccache.Snapshot, p place) (Result, bool, error) {
	cred, _ := snap.Cache.Ticket(p.name)
	c.m.Step("ticket: obtained by another call meanwhile, ends at %s", cred.EndTime.Format(time.RFC3339))
	rec := p.rec
	rec.Files = c.files(p)
	rec.Identity, rec.Refreshable, rec.Aliases = c.line, c.Identity.Refreshable(), c.aliases(aliasesOf(snap.Cache, p))
	if err := c.write(ctx, cred, withProxy(rec, c.chosen)); err != nil {
		return Result{}, false, err
	}
	return c.result(cred, true), true, nil
}

// files are the token files of the principal beside the call's own, newest first, without those that are gone. Those of an
// untrusted record are not even looked at.
func (c *Call) files(old place) []string {
	if !c.trusted || !old.recorded || c.Identity.TokenFile == "" || !identity.SamePrincipal(old.rec.Identity, c.line) {
		return nil
	}
	var files []string
	for _, f := range append([]string{old.id.TokenFile}, old.rec.Files...) {
		if f != "" && f != c.Identity.TokenFile && !slices.Contains(files, f) {
			files = append(files, f)
		}
	}
	return slices.DeleteFunc(files, func(f string) bool {
		_, err := os.Lstat(c.m.Host.Path(f))
		return errors.Is(err, fs.ErrNotExist)
	})
}

func (c *Call) result(cred ccache.Credential, cached bool) Result {
	res := cachedResult(c.line, c.cache.Path(), cred)
	res.Cached, res.Private = cached, res.Private || c.private
	return res
}

// aliases are the old ones and those that are asked for, each once.
func (c *Call) aliases(old []string) []string {
	all := slices.Clone(old)
	asked := append([]string{c.Endpoint.Alias()}, c.Aliases...)
	if c.Ahead { // a stock cifs.upcall looks for a ticket of the host that is mounted
		asked = append(asked, c.Endpoint.PrivateLink())
	}
	for _, alias := range asked {
		if alias != "" && !slices.Contains(all, alias) {
			all = append(all, alias)
		}
	}
	return all
}

// fetch obtains a new ticket and writes it. The endpoint's lock is held.
func (c *Call) fetch(ctx context.Context) (Result, error) {
	way, err := c.m.route(c.chosen)
	if err != nil {
		return Result{}, err
	}
	c.way = waiting.Transport(way, c.waits)
	cred, err := c.exchangeExpected(ctx)
	c.turn.leave() // while the cache is written others can ask, and more tickets go out in one write
	if err != nil {
		c.keepIdentity(ctx)
		return Result{}, err
	}
	c.m.Step("ticket: obtained from %s, ends at %s", c.Endpoint, cred.EndTime.Format(time.RFC3339))
	put := func(cache *ccache.Cache) {
		rec := c.record(placeOf(cache, c.Endpoint, c.user))
		rec.ObtainedAt, rec.Aliases, rec.Principal = c.m.Host.Now(), c.aliases(nil), c.principal
		c.put(cache, cred, rec)
	}
	if err := c.cache.writer.put(ctx, c.cache.Store, put); err != nil {
		return Result{}, err
	}
	if c.m.ForgetFailures != nil {
		if cleared, err := c.m.ForgetFailures(); err == nil && cleared {
			c.m.Step("kernel: it has forgotten its failed requests")
		}
	}
	return c.result(cred, false), nil
}

// waits tells what a request on the way to Entra or to the storage account is waited for.
func (c *Call) waits(host string) {
	if host == c.Endpoint.Host() {
		c.m.Waits("the storage account " + host)
		return
	}
	c.m.Waits("Entra, " + host)
}

// record is what the call writes of its identity in the place of an old record.
func (c *Call) record(old place) ccache.Record {
	return withProxy(ccache.Record{
		Identity: c.line, ObtainedAt: old.rec.ObtainedAt, Refreshable: c.Identity.Refreshable(), Principal: old.rec.Principal, Files: c.files(old),
	}, c.chosen)
}

// keepIdentity leaves who was to get a ticket, so that the handler and the daemon can try again once the role is assigned. When
// that fails the refusal is what counts.
func (c *Call) keepIdentity(ctx context.Context) {
	if !c.Keep || !c.Identity.Refreshable() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	_ = c.cache.Update(ctx, func(cache *ccache.Cache) error {
		p := placeOf(cache, c.Endpoint, c.user)
		if p.name == "" { // nobody else's place is taken
			p.name = ccache.Private(c.Endpoint.Host(), c.user)
			_, taken := cache.Ticket(c.Endpoint.SPN())
			if !taken && !placeAt(cache, c.Endpoint.SPN()).recorded && c.isFirst(cache) {
				p.name = c.Endpoint.SPN()
			}
		}
		rec := c.record(p)
		if _, has := cache.Ticket(p.name); !has || rec.ObtainedAt.IsZero() {
			rec.ObtainedAt = c.m.Host.Now() // since when it has been wanted
		}
		cache.Note(p.name, rec)
		return nil
	})
}

// exchangeExpected is an exchange whose ticket the writer expects until it fails, if only by a panic.
func (c *Call) exchangeExpected(ctx context.Context) (cred ccache.Credential, err error) {
	c.cache.writer.expect()
	got := false
	defer func() {
		if !got {
			c.cache.writer.giveUp()
		}
	}()
	cred, err = c.exchange(ctx)
	got = err == nil
	return cred, err
}

// exchange gets a ticket for a token. When one that was kept is refused it asks for another, once.
func (c *Call) exchange(ctx context.Context) (ccache.Credential, error) {
	var refused secret.Value
	defer func() { refused.Wipe() }()
	for {
		token, kept, err := c.token(ctx, refused)
		if err != nil {
			return ccache.Credential{}, err
		}
		c.tellToken(token, kept)
		c.principal = claimsOf(token.Value)
		claims, _ := identity.ClaimsOf(token.Value) // of a token that tells none they are empty
		caller := azfiles.Caller{Identity: c.line, Principal: claims.ObjectID}
		client := c.m.client
		client.Transport = c.way
		cred, err := client.Exchange(ctx, c.Endpoint, token.Value, caller)
		if !c.forget(err) || !kept || !refused.Empty() {
			token.Value.Wipe()
			return cred, err
		}
		refused = token.Value
	}
}

func (c *Call) tellToken(token identity.AccessToken, kept bool) {
	how := "obtained"
	if kept {
		how = "kept from before"
	}
	c.m.Step("token: %s, identity %s", how, c.line)
	if token.Hint != "" {
		c.m.Step("hint: %s", token.Hint)
	}
}
