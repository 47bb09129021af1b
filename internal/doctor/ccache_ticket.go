package doctor

import (
	"context"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

// soon is the time before its end in which a ticket that is in use should have been replaced.
const soon = 5 * time.Minute

// rc4 is the encryption type rc4-hmac (RFC 4757), which Microsoft is removing.
const rc4 = 23

func ccacheTicketCheck() Check {
	return Check{
		ID: "ccache-ticket", Group: Cache, Title: "ticket in the credential cache", Severity: Latent, Offline: true, PerEndpoint: true, Needs: []ID{"ccache-content"},
		Proves: "An endpoint that is mounted has a ticket that lasts, of a modern encryption type.",
		Why:    "Without one, the next reconnect of the kernel has to wait for Azure, and fails when Azure does not answer.",
		Run:    checkCCacheTicket,
	}
}

func checkCCacheTicket(_ context.Context, s *Subject) Result {
	var f several
	seen := map[int]bool{}
	for _, use := range s.logins(s.Target) {
		if c := s.cacheOf(use.cruid); use.live && c.path != "" {
			f.add(s.examineTicket(c, true))
		} else if !seen[use.cruid] && c.path != "" {
			f.add(s.examineTicket(c, false))
		}
		seen[use.cruid] = true
	}
	return f.result(Result{Status: OK})
}

func (s *Subject) examineTicket(c *cacheFile, live bool) Result {
	host, renew := s.Target.Endpoint.Host(), "azfilesauth refresh "+s.Target.Endpoint.Host()
	var cred ccache.Credential
	var found bool
	if c.cache != nil {
		cred, found = c.cache.Ticket(s.Target.Endpoint.SPN())
	}
	left := cred.EndTime.Sub(s.Now())
	switch {
	case !found && live:
		return Warned(renew, "%s is mounted and %s holds no ticket for it", host, c.path)
	case !found:
		return Good("%s holds no ticket for it yet; the mount fetches one", c.path)
	case left <= 0 && live:
		return Warned(renew, "%s is mounted and its ticket in %s ended at %s", host, c.path, s.left(cred.EndTime))
	case left <= 0:
		return Good("the ticket in %s ended at %s; the next mount fetches a new one", c.path, s.left(cred.EndTime))
	case left < soon && live:
		return Warned(renew, "%s is mounted and its ticket in %s ends at %s", host, c.path, s.left(cred.EndTime))
	}
	return s.examineKind(c, cred)
}

// examineKind looks at a ticket whose times are right.
func (s *Subject) examineKind(c *cacheFile, cred ccache.Credential) Result {
	size, known := ccache.KeySize(cred.Key.Etype)
	switch {
	case !known || size != cred.Key.Value.Len():
		return Warned("azfilesauth refresh "+s.Target.Endpoint.Host(), "the ticket in %s has a key of the encryption type %d and %d bytes, which cannot be right", c.path, cred.Key.Etype, cred.Key.Value.Len())
	case cred.Key.Etype == rc4:
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
