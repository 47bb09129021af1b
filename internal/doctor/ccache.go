package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func checkCCacheFile(_ context.Context, s *Subject) Result {
	return s.eachCache(s.examineFile)
}

func (s *Subject) examineFile(c *cacheFile) Result {
	if c.path == "" {
		return Failed(c.fault(fault.CCacheType, "KRB5_CC_NAME is no absolute path of a file"))
	}
	if c.info == nil && errors.Is(c.err, fs.ErrPermission) {
		return s.CannotSee(c.path, c.err)
	}
	dir := filepath.Dir(c.path)
	if _, err := s.Stat(dir); dir == s.Run && errors.Is(err, fs.ErrNotExist) {
		return Good("%s is not there yet; its folder is made when it is needed", c.path)
	}
	open, err := s.OpenDir(dir)
	if errors.Is(err, fs.ErrPermission) {
		return s.CannotSee(c.path, err)
	}
	if err != nil {
		return Failed(fault.CCacheFolder.New(err.Error()))
	}
	open.Close()
	if c.info == nil && c.err != nil {
		return s.CannotSee(c.path, c.err)
	}
	if c.info == nil {
		return Good("%s is not there yet; it is made with the first ticket", c.path)
	}
	mode := c.info.Mode().Perm()
	if problem := c.refusal(s.UID); problem != "" {
		return s.mending(c, Failed(c.fault(fault.CCacheForeign, problem)))
	}
	if mode&0o004 != 0 {
		return Warned(fmt.Sprintf("chmod o-r '%s'", c.path), "every user of this machine can read the tickets in %s, its mode is %04o", c.path, mode)
	}
	return Good("%s belongs to uid %d, mode %04o", c.path, owner(c.info), mode)
}

func checkCCacheContent(_ context.Context, s *Subject) Result {
	return s.eachCache(s.examineContent)
}

// ticketClient is the client that Azure Files names in its tickets; the realm may stand behind it.
const ticketClient = "AzureFileClient"

func (s *Subject) examineContent(c *cacheFile) Result {
	if c.err != nil {
		return s.CannotSee(c.path, c.err)
	}
	if c.damage != nil {
		r := Failed(c.damage)
		r.Status = Warning // the next new ticket begins another file
		return s.mending(c, r)
	}
	if c.cache == nil {
		return Good("%s: nothing to read", c.path)
	}
	client := c.cache.Principal.String()
	if len(c.cache.Tickets()) == 0 && len(c.cache.Credentials) > 0 && !strings.HasPrefix(client, ticketClient) {
		return Failed(c.fault(fault.CCachePrincipal, "its client is "+client))
	}
	return Good("%s holds %d tickets for %s", c.path, len(c.cache.Tickets()), client)
}

func checkCCachePath(_ context.Context, s *Subject) Result {
	r := s.eachCache(s.examinePath)
	if len(r.Evidence) == 0 {
		return Good("what belongs to root can read everything")
	}
	return r
}

func (s *Subject) examinePath(c *cacheFile) Result {
	if c.path == "" || c.cruid == 0 {
		return Result{Status: OK}
	}
	gid := -1 // where the uid is not listed
	if user, err := s.LookupUser(strconv.Itoa(c.cruid)); err == nil {
		gid = user.GID
	}
	for _, dir := range above(c.path) {
		info, err := s.Stat(dir)
		if err == nil && !may(info, c.cruid, gid, 0o1) {
			return Broken(fmt.Sprintf("chmod o+x '%s'", dir), "uid %d cannot pass through %s, its mode is %04o", c.cruid, dir, info.Mode().Perm())
		}
	}
	if c.info != nil && !may(c.info, c.cruid, gid, 0o4) {
		return Broken(fmt.Sprintf("chgrp %d '%s' && chmod g+r '%s'", max(gid, 0), c.path, c.path),
			"uid %d cannot read %s, which belongs to uid %d, mode %04o", c.cruid, c.path, owner(c.info), c.info.Mode().Perm())
	}
	return Good("uid %d can read %s", c.cruid, c.path)
}

// may reports whether a user with that primary group has the permission bit, 4, 2 or 1. Other groups of
// the user are not looked at: cifs.upcall drops them.
func may(info fs.FileInfo, uid, gid int, bit fs.FileMode) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	if int(st.Uid) == uid {
		bit <<= 6
	} else if int(st.Gid) == gid {
		bit <<= 3
	}
	return info.Mode().Perm()&bit != 0
}

// soon is the time before its end in which a ticket that is in use should have been replaced.
const soon = 5 * time.Minute

// rc4 is the encryption type rc4-hmac (RFC 4757), which Microsoft is removing.
const rc4 = 23

func checkCCacheTicket(_ context.Context, s *Subject) Result {
	var found []Result
	seen := map[int]bool{}
	for _, use := range s.logins(s.Target) {
		if c := s.cacheOf(use.cruid); use.live && c.path != "" {
			found = append(found, s.examineTicket(c, true))
		} else if !seen[use.cruid] && c.path != "" {
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
	if c.cache != nil {
		cred, found = c.cache.Ticket(s.Target.Endpoint.SPN())
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
	if cred.Key.Etype == rc4 {
		return Warned("az storage account file-service-properties update -n "+s.Target.Endpoint.Account()+" -g <resource-group> --kerb-ticket-encryption-type AES-256",
			"the ticket in %s is of the encryption type rc4-hmac, which is weak and about to go", c.path)
	}
	r := Good("the ticket in %s ends at %s, encryption type %d", c.path, s.left(cred.EndTime), cred.Key.Etype)
	if rec, ok := c.cache.Record(s.Target.Endpoint.SPN()); !ok {
		return r.And("who obtained it is not recorded")
	} else if !c.trusted {
		return r.And("obtained by %s, as the owner of the cache says: uid %d could have forged it", rec.Identity, owner(c.info))
	} else {
		return r.And("obtained by %s", rec.Identity)
	}
}
