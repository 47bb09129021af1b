package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

func (s *Subject) examineFile(c *cacheFile) Result {
	if c.info == nil && errors.Is(c.err, fs.ErrPermission) {
		return s.CannotSee(c.path, c.err)
	}
	if c.refused() {
		return s.moveAsideAction(c, Failed(c.err))
	}
	if s.isUnmade(c.path) {
		return Good("%s is not there yet; its directory is created when it is needed", c.path)
	}
	if c.info == nil {
		return Good("%s is not there yet; it is made with the first ticket", c.path)
	}
	mode := c.info.Mode().Perm()
	if mode&0o004 != 0 {
		return Warned("chmod o-r "+fault.Word("file", c.path), "every user of this machine can read the tickets in %s, its mode is %04o", c.path, mode)
	}
	if who := ccache.Loose(s.Host, c.path, c.cruid); who != "" { // the next write closes it
		return Warned("azfilesauth refresh", "%s can read the tickets in %s, its mode is %04o", who, c.path, mode)
	}
	return s.examineContent(c, Good("%s belongs to uid %d, mode %04o", c.path, host.StatOf(c.info).Uid, mode))
}

// moveAsideAction names the action that moves a cache aside, which serves that of USER_UID.
func (s *Subject) moveAsideAction(c *cacheFile, r Result) Result {
	if c.cruid == s.Config.CredentialUID && fault.Is(c.err, fault.CCacheForeign, fault.CCacheDamaged) {
		return r.By("ccache")
	}
	return r
}

// examineContent judges what is in a cache whose file is fine.
func (s *Subject) examineContent(c *cacheFile, fine Result) Result {
	if fault.Is(c.err, fault.CCacheDamaged) {
		r := Failed(c.err)
		r.Status = Warning // the next new ticket begins another file
		return s.moveAsideAction(c, r)
	}
	if c.err != nil {
		return s.CannotSee(c.path, c.err)
	}
	if c.Cache == nil {
		return fine
	}
	client := c.Cache.Principal.String()
	if len(c.Cache.Tickets()) == 0 && len(c.Cache.Credentials) > 0 && !strings.HasPrefix(client, ccache.AzureClient) {
		return Failed(fault.CCachePrincipal.New(c.path, "its client is "+client))
	}
	return fine.And("tickets for %s: %d", client, len(c.Cache.Tickets()))
}

func (s *Subject) examinePath(c *cacheFile) Result {
	if c.cruid == 0 {
		return Good("what belongs to root can read everything")
	}
	gid := -1 // where the uid is not listed
	if user, err := s.LookupUser(strconv.Itoa(c.cruid)); err == nil {
		gid = user.GID
	}
	for i := range c.path {
		dir := c.path[:i]
		if c.path[i] != '/' || dir == "" {
			continue
		}
		info, err := s.Stat(dir)
		if err == nil && !may(info, c.cruid, gid, 0o1) {
			return Broken("chmod o+x "+fault.Word("file", dir), "uid %d cannot pass through %s, its mode is %04o", c.cruid, dir, info.Mode().Perm())
		}
	}
	if r, err := s.Readers(c.path); err == nil && !r.Grants(c.cruid, gid) {
		return Broken("azfilesauth refresh", // which rewrites it
			"uid %d cannot read %s, which belongs to uid %d, mode %04o", c.cruid, c.path, host.StatOf(c.info).Uid, c.info.Mode().Perm())
	}
	return Good("uid %d can read %s", c.cruid, c.path)
}

// may reports whether a user with that primary group has the permission bit, 4, 2 or 1. Other groups of
// the user are not looked at: cifs.upcall drops them.
func may(info fs.FileInfo, uid, gid int, bit fs.FileMode) bool {
	st := host.StatOf(info)
	if int(st.Uid) == uid {
		bit <<= 6
	} else if int(st.Gid) == gid {
		bit <<= 3
	}
	return info.Mode().Perm()&bit != 0
}

// soon is the time before its end in which a ticket that is in use should have been replaced.
const soon = 5 * time.Minute

func checkCCacheTicket(_ context.Context, s *Subject) Result {
	var found []Result
	seen := map[int]bool{}
	for _, use := range s.logins(s.Target) {
		if c := s.cacheOf(use.cruid); use.live {
			found = append(found, s.examineTicket(c, true))
		} else if !seen[use.cruid] {
			found = append(found, s.examineTicket(c, false))
		}
		seen[use.cruid] = true
	}
	return worst(found...)
}

func (s *Subject) examineTicket(c *cacheFile, live bool) Result {
	host, renew := s.Target.Endpoint.Host(), "azfilesauth refresh "+s.Target.Endpoint.Host()
	var cred ccache.Credential
	var found bool
	if c.Cache != nil {
		cred, found = c.Cache.Ticket(s.Target.Endpoint.SPN())
	}
	left := cred.EndTime.Sub(s.Now())
	if !found && live {
		return Warned(renew, "%s is mounted and %s holds no ticket for it", host, c.path)
	}
	if !found {
		return Good("%s holds no ticket for it yet; the mount fetches one", c.path)
	}
	if left <= 0 && !live {
		return Good("the ticket in %s ended at %s; the next mount fetches a new one", c.path, s.left(cred.EndTime))
	}
	if left <= 0 {
		return Warned(renew, "%s is mounted and its ticket in %s ended at %s", host, c.path, s.left(cred.EndTime))
	}
	if left < soon && live {
		return Warned(renew, "%s is mounted and its ticket in %s ends at %s", host, c.path, s.left(cred.EndTime))
	}
	return s.examineKind(c, cred)
}

// examineKind looks at a ticket whose times are right.
func (s *Subject) examineKind(c *cacheFile, cred ccache.Credential) Result {
	size, known := ccache.KeySize(cred.Key.Etype)
	if !known || size != cred.Key.Value.Len() {
		return Warned("azfilesauth refresh "+s.Target.Endpoint.Host(), "the ticket in %s has a key of the encryption type %d and %d bytes, which cannot be right", c.path, cred.Key.Etype, cred.Key.Value.Len())
	}
	if cred.Key.Etype == ccache.RC4 {
		return Warned("az storage account file-service-properties update -n "+s.Target.Endpoint.Account()+" -g <resource-group> --kerb-ticket-encryption AES-256",
			"the ticket in %s is of the encryption type rc4-hmac, which is weak and about to go", c.path)
	}
	r := Good("the ticket in %s ends at %s, encryption type %d", c.path, s.left(cred.EndTime), cred.Key.Etype)
	if rec, ok := c.Cache.Record(s.Target.Endpoint.SPN()); !ok {
		return r.And("who obtained it is not recorded")
	} else if !c.Trusted {
		return r.And("obtained by %s, as the owner of the cache says: uid %d could have forged it", rec.Identity, host.StatOf(c.info).Uid)
	} else {
		return r.And("obtained by %s", rec.Identity)
	}
}

// cacheFile is the credential cache of one uid as every face finds it.
type cacheFile struct {
	ccache.Snapshot
	cruid int
	path  string
	info  fs.FileInfo // of the file, its link not followed; nil when there is none, or none that can be seen
	err   error       // why nothing can be read from it, a fault
}

func (s *Subject) cacheOf(cruid int) *cacheFile {
	return once(s, "cache "+strconv.Itoa(cruid), func() *cacheFile {
		c := &cacheFile{cruid: cruid, path: s.Config.CCacheName(cruid)}
		c.info, _ = s.Lstat(c.path)
		machine, path := s.Host, c.path
		machine.Run = "" // so that it is not made
		if s.isUnmade(path) {
			path = s.Run // where it is made must be safe as well
		}
		store, err := ccache.Open(machine, path, cruid)
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
	uids := []int{s.Config.CredentialUID}
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
		return each(s.cruids(), func(uid int) Result { return examine(s, s.cacheOf(uid)) }, quiet)
	}
}
