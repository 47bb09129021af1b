package tickets

import (
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// Login is who wants to log in, as the kernel says it.
type Login struct {
	Endpoint endpoint.Endpoint
	CRUID    int    // the credential uid
	Username string // what the mount calls itself
}

// Held gives the ticket that the login's identity has in the cache if it lasts long enough: a login that can be
// answered waits for nobody and needs nothing but the cache. The cache is root's or the credential uid's. A ticket
// without a record, as the incumbent left it, serves its account until there is a record; one that somebody else than
// the mount's owner obtained does not (see OwnerOf).
func Held(h host.Host, cfg *config.Config, l Login) (Result, bool) {
	res, cred, ok := held(h, cfg, l)
	return res, ok && !stale(cred, h.Now())
}

// Unexpired is Held for a login for which no other ticket can be had: it gives one until it expires.
func Unexpired(h host.Host, cfg *config.Config, l Login) (Result, bool) {
	res, _, ok := held(h, cfg, l)
	return res, ok && h.Now().Before(res.EndTime)
}

func held(h host.Host, cfg *config.Config, l Login) (Result, ccache.Credential, bool) {
	store, err := ccache.Open(h, cfg.CCacheName(l.CRUID), l.CRUID)
	if err != nil {
		return Result{}, ccache.Credential{}, false
	}
	snap, err := store.Load()
	if err != nil || snap.Cache == nil {
		return Result{}, ccache.Credential{}, false
	}
	e := Evidence{Endpoint: l.Endpoint, CRUID: l.CRUID, Config: cfg, Cache: snap, Path: store.Path(), Username: l.Username}
	p, cred, ok := e.serving()
	if !ok {
		return Result{}, ccache.Credential{}, false
	}
	line := ""
	if p.recorded {
		line = p.id.String()
	}
	return cachedResult(line, store.Path(), cred), cred, true
}

// serving gives the ticket that serves a login with the user name, however near its end it is, and its place.
func (e Evidence) serving() (p place, cred ccache.Credential, ok bool) {
	if e.Cache.Cache == nil {
		return p, cred, false
	}
	p = placeOf(e.Cache.Cache, e.Endpoint, identity.Selector(e.Username))
	if p.name == "" {
		if anyRecord(e.Cache.Cache, e.Endpoint) {
			return p, cred, false
		}
		p.name = e.Endpoint.SPN()
	}
	cred, ok = e.Cache.Cache.Ticket(p.name)
	return p, cred, ok && e.serves(p)
}

// serves reports whether the ticket of a place is one for this login.
func (e Evidence) serves(p place) bool {
	if !p.recorded {
		return true
	}
	owner, err := OwnerOf(e)
	if fault.Is(err, fault.IdentityConflict) {
		return false
	}
	return err != nil || identity.SamePrincipal(owner.String(), p.id.String())
}

func cachedResult(line, path string, cred ccache.Credential) Result {
	return Result{
		Identity: line, CCache: path, Server: cred.Server.String(), Cached: true, EndTime: cred.EndTime, Ticket: cred,
		Private: Ticket{Credential: cred}.Private(),
	}
}

// maxMargin is how long before its end a ticket counts as stale at most, since every login with it would be followed by
// another one soon, and how far its start may lie ahead: clocks may differ by as much (RFC 4120, 7.5.1).
const maxMargin = 5 * time.Minute

// stale reports whether a ticket is too near its end to log in with, or has not begun. Tickets that are short from the
// start are used for three quarters of their life.
func stale(cred ccache.Credential, now time.Time) bool {
	margin := min(maxMargin, cred.EndTime.Sub(cred.ValidFrom())/4)
	return cred.EndTime.Sub(now) < margin || cred.ValidFrom().Sub(now) > maxMargin
}
