package watcher

import (
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// refusedFor is how long an identity that azfilesauthmanager set could get no ticket for is tried again while nobody
// mounts. The Azure Files CSI driver, which looks for a ticket with each attempt to mount, calls set for a workload identity
// again only when the kubelet has a new token: after four fifths of the hour that it lives as a rule (driver v1.35,
// pkg/azurefile/azurefile.go, GetAccountInfo).
const refusedFor = time.Hour

// awaitMounts adds such identities to what is mounted: whoever set one waits for its ticket to mount. Those of an account
// that is mounted belong to its mounts.
func (w *watcher) awaitMounts(uid int, list tickets.Listing) {
	for _, t := range list.Refused {
		e, err := w.cfg.Resolver.Resolve(t.Host())
		if err != nil || !t.Trusted || !t.Refreshable || w.now().Sub(t.ObtainedAt) >= refusedFor || w.isMounted(t.Host(), uid) || w.elsewhere(t.Identity) {
			continue
		}
		k := Key{e.Host(), uid, t.User()}
		w.mounts[k] = []mounts.Mount{{Endpoint: e, CRUID: uid, Sec: "krb5", Username: t.User()}}
		w.awaited[k] = true
	}
}

// isMounted reports whether an account is, as whomever.
func (w *watcher) isMounted(host string, uid int) bool {
	for k := range w.mounts {
		if k.Host == host && k.CRUID == uid && !w.awaited[k] {
			return true
		}
	}
	return false
}

// planOfMounts is the plan without what is not mounted.
func (w *watcher) planOfMounts() []Decision {
	if len(w.awaited) == 0 {
		return w.plan
	}
	return slices.DeleteFunc(slices.Clone(w.plan), func(d Decision) bool { return w.awaited[d.Key] })
}
