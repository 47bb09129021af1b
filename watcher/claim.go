package watcher

import (
	"fmt"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// holderWait is how often a second instance asks whether the first one still has the cache, and the
// socket.
const holderWait = 2 * time.Second

// claim is being the one watcher of the cache.
type claim struct {
	path    string // of the cache
	unlock  func() // gives it up; nil: it is not held
	waiting bool   // for the end of the holder
	holder  host.Holder
	problem string // why it cannot be held
}

// claimCache makes this the one watcher of the cache. A lock that cannot be had for another reason than
// its holder stops nothing: exchanges are locked for themselves.
func (w *watcher) claimCache() {
	uid := w.cfg.CredentialUID
	path, old := w.cfg.CCacheName(uid), w.claim
	if old.unlock != nil {
		if path == old.path {
			return
		}
		old.unlock()
	}
	w.claim = claim{path: path}
	store, err := ccache.Open(w.Host, path, uid)
	if err == nil {
		w.unlock, w.holder, err = store.LockWatcher()
	}
	w.waiting, w.problem = err == nil && w.unlock == nil, fmt.Sprint(err)
	if w.waiting && (!old.waiting || w.holder != old.holder) {
		w.Log.Warn("waiting: the cache has a watcher already", "ccache", path, "holder", w.holder.String())
	}
	if err != nil && w.problem != old.problem {
		w.Log.Warn("watching without a lock: " + w.problem)
	}
	if !w.waiting && old.waiting {
		w.Log.Info("the other watcher has ended", "ccache", path)
	}
}
