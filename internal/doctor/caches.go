package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// cacheFile is the credential cache of one uid as every face finds it.
type cacheFile struct {
	ccache.Snapshot
	cruid int
	path  string
	info  fs.FileInfo // of the file, its link not followed; nil when there is none, or none that can be seen
	err   error       // why nothing can be read from it, a fault
}

// cacheOf reads the credential cache of a uid.
func (s *Subject) cacheOf(cruid int) *cacheFile {
	return once(s, "cache "+strconv.Itoa(cruid), func() *cacheFile {
		name := s.Config.CCacheName(cruid)
		c := &cacheFile{cruid: cruid, path: strings.TrimPrefix(name, "FILE:")}
		if s.isUnmade(c.path) {
			return c
		}
		c.info, _ = s.Lstat(c.path)
		machine := s.Host
		machine.Run = "" // so that it is not made
		store, err := ccache.Open(machine, name, ccache.Owner{UID: cruid})
		if c.err = err; err == nil {
			c.Snapshot, c.err = store.Load()
		}
		return c
	})
}

// isUnmade reports whether a cache is in the run directory, which is made when it is needed, and it is
// not yet.
func (s *Subject) isUnmade(path string) bool {
	_, err := s.Stat(s.Run)
	return filepath.Dir(path) == s.Run && errors.Is(err, fs.ErrNotExist)
}

// refused reports whether no face reads the cache.
func (c *cacheFile) refused() bool {
	return fault.Is(c.err, fault.CCacheType, fault.CCacheFolder, fault.CCacheForeign)
}

// cruids are the credential uids in use, the usual one first.
func (s *Subject) cruids() []int {
	uids := []int{s.Config.CredentialUID()}
	for i := range s.Targets {
		for _, use := range s.logins(&s.Targets[i]) {
			if !slices.Contains(uids, use.cruid) {
				uids = append(uids, use.cruid)
			}
		}
	}
	slices.Sort(uids[1:])
	return uids
}

// eachCache makes a check of what judges one credential cache.
func eachCache(examine func(*Subject, *cacheFile) Result) func(context.Context, *Subject) Result {
	return func(_ context.Context, s *Subject) Result {
		var found []Result
		for _, uid := range s.cruids() {
			found = append(found, examine(s, s.cacheOf(uid)))
		}
		return worst(found...)
	}
}
