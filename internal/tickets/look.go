package tickets

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// look tells whether the cache already holds what r asks for.
func (m *Manager) look(ctx context.Context, c *cache, r Request) (Result, bool, error) {
	snap, err := c.Load()
	if err != nil && !fault.Is(err, fault.CCacheDamaged) { // a damaged one is moved aside at the write
		return Result{}, false, err
	}
	if r.Fresh == Always && r.Replace {
		return Result{}, false, nil // whatever is there
	}
	var rec ccache.Record
	var known bool
	if snap.Cache != nil {
		rec, known = snap.Cache.Record(r.Endpoint.SPN())
	}
	if err := m.conflict(r, rec, known); err != nil {
		return Result{}, false, err
	}
	if snap.Cache == nil || !known || rec.Identity != r.Identity.String() || r.Fresh == Always {
		return Result{}, false, nil
	}
	cred, ok := snap.Cache.Ticket(r.Endpoint.SPN())
	if !ok || m.stale(cred) {
		return Result{}, false, nil
	}
	if alias := r.Endpoint.Alias(); alias != "" && !slices.Contains(rec.Aliases, alias) {
		rec.Aliases = append(rec.Aliases, alias)
		c.writer.expect()
		if err := c.writer.put(ctx, c.Store, cred, rec); err != nil {
			return Result{}, false, err
		}
	}
	m.Step("ticket: cached, ends at %s", cred.EndTime.Format(time.RFC3339))
	return Result{CCache: c.Path(), Server: cred.Server.String(), Cached: true, EndTime: cred.EndTime, Ticket: cred}, true, nil
}

// lastResort gives the cached ticket of the identity if it has not ended.
func (m *Manager) lastResort(c *cache, r Request) (Result, bool) {
	snap, err := c.Load()
	if err != nil || snap.Cache == nil {
		return Result{}, false
	}
	rec, known := snap.Cache.Record(r.Endpoint.SPN())
	cred, ok := snap.Cache.Ticket(r.Endpoint.SPN())
	if !known || !ok || rec.Identity != r.Identity.String() || !m.Now().Before(cred.EndTime) {
		return Result{}, false
	}
	return Result{CCache: c.Path(), Server: cred.Server.String(), Cached: true, EndTime: cred.EndTime, Ticket: cred}, true
}

// stale reports whether a ticket is too near its end to log in with. Tickets that are short from the
// start are used for three quarters of their life.
func (m *Manager) stale(cred ccache.Credential) bool {
	start := cred.StartTime
	if start.IsZero() {
		start = cred.AuthTime
	}
	margin := min(maxMargin, cred.EndTime.Sub(start)/4)
	return cred.EndTime.Sub(m.Now()) < margin
}

// conflict refuses a second identity for an account that is mounted: the kernel shares sessions by
// server and credential uid, so the second would silently run as the first and, after a reconnect,
// the first as the second. The record tells whose the session is, and so does a mount whose user name
// is a client id. Another user name, such as root, can be anybody's but a managed identity's, which is
// mounted under its client id by everyone.
func (m *Manager) conflict(r Request, rec ccache.Record, known bool) error {
	if r.Replace {
		return nil
	}
	all, err := m.mounted()
	if err != nil {
		return err
	}
	live := mountsOf(all, r.Endpoint, r.CRUID)
	if len(live) == 0 {
		return nil
	}
	mine, other := r.Identity.String(), ""
	for _, mnt := range live {
		client := clientID(mnt.Username)
		unnamed := client == "" && mnt.Username != "" && !known && r.Identity.Kind == identity.UserAssigned
		if unnamed || client != "" && client != r.Identity.Username() {
			other = "username=" + mnt.Username
		}
	}
	if known && !identity.SamePrincipal(rec.Identity, mine) {
		other = rec.Identity
	}
	if other == "" {
		return nil
	}
	return fault.New(fault.IdentityConflict, fault.V{"endpoint": r.Endpoint.Host(), "other": other, "identity": mine})
}

// mounted has the live mounts of every endpoint.
func (m *Manager) mounted() ([]mounts.Mount, error) {
	all, err := m.Mounted()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, fmt.Errorf("reading the mount table: %w", err), nil)
	}
	return all, nil
}
