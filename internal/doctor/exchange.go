package doctor

import (
	"context"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

func checkExchange(ctx context.Context, s *Subject) Result {
	var found []Result
	for _, id := range s.identities() {
		found = append(found, s.exchange(ctx, id))
	}
	if len(found) == 0 {
		return nobody()
	}
	return worst(found...)
}

func (s *Subject) exchange(ctx context.Context, id identity.Identity) Result {
	e := s.Target.Endpoint
	g := s.token(ctx, e, id)
	if g.err != nil {
		return NotChecked("%s: there is no access token", id)
	}
	client, err := s.client()
	if err != nil {
		return Failed(err)
	}
	cred, err := client.Exchange(ctx, e, g.Value, azfiles.Caller{Identity: id.String(), Principal: g.claims.ObjectID})
	if err != nil {
		return Failed(err)
	}
	defer cred.Key.Value.Wipe()
	defer cred.Ticket.Wipe()
	if problem := s.stranger(id, cred); problem != nil {
		return Failed(problem)
	}
	return Good("%s: a ticket for %s until %s, encryption type %d, client %s", id, cred.Server, s.left(cred.EndTime), cred.Key.Etype, cred.Client)
}

// stranger is the fault of a credential cache that holds the tickets of another client, beside which
// the ticket cannot be stored.
func (s *Subject) stranger(id identity.Identity, cred ccache.Credential) error {
	for _, use := range s.logins(s.Target) {
		c := s.cacheOf(use.cruid)
		if use.identity != id || c.Cache == nil || c.Cache.Principal.Equal(cred.Client) {
			continue
		}
		if slices.ContainsFunc(c.Cache.Tickets(), func(t ccache.Credential) bool { return t.Server.Components[1] != s.Target.Endpoint.Host() }) {
			return fault.CCachePrincipal.New(c.path, "its client is "+c.Cache.Principal.String()+", the new ticket's is "+cred.Client.String())
		}
	}
	return nil
}

// refusals are what the kernel says of a login that reached the server, in lower case
// (fs/smb/client/sess.c and smb2maperror.c).
var refusals = []string{"status_logon_failure", "status_access_denied", "setup = -13", "kerberos: -13", "status_more_processing_required", "setup = -5"}

func checkServerSide(_ context.Context, s *Subject) Result {
	lines, err := s.Kernel.Log()
	if err != nil {
		return s.CannotSee("/dev/kmsg", err)
	}
	account := s.Target.Endpoint.Account()
	unasked := "" // of accounts that allow AES-256-GCM alone, which the kernel does not offer unasked
	if s.text(cifsParameters+"require_gcm_256") == "N" {
		unasked = "; with AES-256-GCM alone: echo 1 > " + cifsParameters + "require_gcm_256"
	}
	for _, l := range slices.Backward(lines) {
		line := strings.ToLower(l.Text)
		if strings.Contains(line, s.Target.Endpoint.Host()) && slices.ContainsFunc(refusals, func(r string) bool { return strings.Contains(line, r) }) {
			return Known("the kernel said: %s", shorten(l.Text, 300)).
				And("role, which has to be \"Storage File Data SMB MI Admin\": az role assignment list --scope $(az storage account show -n %s --query id -o tsv) --query \"[].[principalId,roleDefinitionName]\"", account).
				And("SMB with OAuth: az storage account show -n %s --query azureFilesIdentityBasedAuthentication.smbOAuthSettings.isSmbOAuthEnabled", account).
				And("encryption: az storage account file-service-properties show -n %s -g <resource-group> --query protocolSettings.smb.channelEncryption%s", account, unasked)
		}
	}
	return Good("none")
}
