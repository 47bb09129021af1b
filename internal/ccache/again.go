package ccache

import (
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// loaded is a file that was read. A watcher with 500 endpoints reads its cache more than a thousand times
// in a row, and to parse it each time would be most of its work.
type loaded struct {
	stat  unix.Stat_t
	cache *Cache // is never changed, since all who load it share it
}

// loadUnchanged gives what Load found last if the file is still the same one: a cache is replaced by a rename, so
// a new one has another inode, and what libkrb5 changes in place has another time.
func (s *Store) loadUnchanged(d *host.Dir) (Snapshot, bool) {
	last := s.last.Load()
	if last == nil {
		return Snapshot{}, false
	}
	st, err := d.Stat(s.name)
	if err != nil || !same(&st, &last.stat) || s.accept(&st) != nil {
		return Snapshot{}, false
	}
	return s.snapshot(&st, last.cache), true
}

// same reports whether nothing that stat(2) shows of a file has changed, the time of the last access apart.
func same(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid &&
		a.Nlink == b.Nlink && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

func (s *Store) snapshot(st *unix.Stat_t, c *Cache) Snapshot {
	return Snapshot{Cache: c, Trusted: s.host.Trusts(st.Uid)}
}
