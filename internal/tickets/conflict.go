package tickets

import (
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// conflict refuses a second identity for an account that is mounted: the kernel shares sessions by
// server and credential uid, so the second would silently run as the first and, after a reconnect,
// the first as the second. The record tells whose the session is, and so does a mount whose user name
// is a client id. Another user name, such as root, can be anybody's but a managed identity's, which is
// mounted under its client id by everyone.
func (c *Call) conflict(rec ccache.Record, known bool) error {
	if c.Replace {
		return nil
	}
	all, err := c.m.mounted()
	if err != nil {
		return err
	}
	live := mountsOf(all, c.Endpoint, c.CRUID)
	if len(live) == 0 {
		return nil
	}
	other := ""
	for _, mnt := range live {
		client := identity.ClientID(mnt.Username)
		unnamed := client == "" && mnt.Username != "" && !known && c.Identity.Kind == identity.UserAssigned
		if unnamed || client != "" && client != c.Identity.Username() {
			other = "username=" + mnt.Username
		}
	}
	if known && !identity.SamePrincipal(rec.Identity, c.line) {
		other = rec.Identity
	}
	if other == "" {
		return nil
	}
	return fault.IdentityConflict.New(c.Endpoint.Host(), other, c.line)
}
