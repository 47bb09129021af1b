package doctor

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// azureTimeout bounds the checks that ask Azure: a connection is allowed 10 s.
const azureTimeout = 12 * time.Second

func identityChoiceCheck() Check {
	return Check{
		ID: "identity-choice", Group: Identity, Title: "who logs in", Severity: Fails, Offline: true, PerEndpoint: true,
		Proves: "Every use of the endpoint says with which identity to log in, in a form that can be used.",
		Why:    "Without an identity there is no access token and hence no ticket.",
		Run:    checkIdentityChoice,
	}
}

func checkIdentityChoice(_ context.Context, s *Subject) Result {
	uses := s.logins(s.Target)
	if len(uses) == 0 {
		return NotChecked("no mount and no line of /etc/fstab logs in to it with a ticket")
	}
	var f several
	for _, use := range uses {
		if c := s.cacheOf(use.cruid); c.err != nil && fault.Is(use.err, fault.IdentityUnknown) { // it may be recorded there
			f.add(s.CannotSee(c.path, c.err))
			continue
		}
		f.add(use.judged())
	}
	return f.result(Result{Status: OK})
}

// judged is what the use says of who logs in. A line that is not ours and a mount that somebody else
// made may have somebody else who sees to the ticket.
func (l login) judged() Result {
	switch {
	case l.err == nil:
		return Good("%s: %s", l.where, l.identity)
	case fault.Is(l.err, fault.UIDUnknown): // that check's finding, said once
		return NotChecked("%s: because of user-uid", l.where)
	}
	r := Failed(l.err)
	r.Evidence[0] = l.where + ": " + r.Evidence[0]
	if fault.Is(l.err, fault.IdentityUnknown) {
		r.Status = Warning
		r = r.And("nobody can renew the ticket")
	}
	return r
}

func identityCheck() Check {
	return Check{
		ID: "identity", Group: Identity, Title: "access token", Severity: Fails, PerEndpoint: true, Needs: []ID{"identity-choice", "imds"}, Timeout: azureTimeout,
		Proves: "The identity obtains an access token for Azure Storage.",
		Why:    "The storage account issues a ticket to nobody else.",
		Run:    checkIdentity,
	}
}

func checkIdentity(ctx context.Context, s *Subject) Result {
	var f several
	for _, id := range s.identities() {
		f.add(s.examineToken(id, s.token(ctx, s.Target.Endpoint, id)))
	}
	return f.result(Result{Status: OK}.orUnknown(len(f.results)))
}

// orUnknown is the result where there is no identity to look at.
func (r Result) orUnknown(looked int) Result {
	if looked == 0 {
		return NotChecked("nothing says with which identity to log in")
	}
	return r
}

func (s *Subject) examineToken(id identity.Identity, g grant) Result {
	switch {
	case id.Kind == identity.Token && id.TokenFile == "":
		return NotChecked("%s: the token was handed over once and is not kept", id)
	case s.unprivileged(g.err):
		return NotChecked("%s: what it logs in with can be read by root only: run it again with sudo", id)
	case g.err != nil:
		r := Failed(g.err)
		r.Evidence[0] = id.String() + ": " + r.Evidence[0]
		return r
	case !g.known:
		return Good("%s: an access token that does not say whose it is", id)
	}
	return Good("%s: token for %s, object id %s, client id %s, tenant %s, ends at %s",
		id, word(g.claims.Audience), word(g.claims.ObjectID), word(g.claims.AppID), word(g.claims.TenantID), s.left(g.claims.Expiry))
}

// unprivileged reports whether a failure may be one of this user's rights alone.
func (s *Subject) unprivileged(err error) bool {
	private := []fault.ID{fault.TokenFile, fault.SecretFile, fault.ArcKey, fault.CLIFailed}
	return err != nil && s.EUID != 0 && (errors.Is(err, fs.ErrPermission) || slices.Contains(private, fault.From(err).ID()))
}

// word is a claim fit to be shown: a claim of a token is as long as its issuer likes.
func word(claim string) string {
	if claim == "" {
		return "unknown"
	}
	return shorten(claim, 100)
}

func identitySystemCheck() Check {
	return Check{
		ID: "identity-system", Group: Identity, Title: "identity=system is the machine's own", Severity: Latent, PerEndpoint: true, Needs: []ID{"identity"}, Timeout: azureTimeout,
		Proves: "Where identity=system is used, the machine has a system-assigned identity.",
		Why:    "A machine with a single user-assigned identity and no other answers with that one; as soon as a second is assigned, or a system-assigned one, somebody else logs in or nobody.",
		Run:    checkIdentitySystem,
	}
}

func checkIdentitySystem(ctx context.Context, s *Subject) Result {
	at := slices.IndexFunc(s.identities(), func(id identity.Identity) bool { return id.Kind == identity.System })
	if at < 0 {
		return Good("identity=system is not used")
	}
	g := s.token(ctx, s.Target.Endpoint, s.identities()[at])
	if g.err != nil {
		return NotChecked("there is no access token to look at")
	}
	resource := identity.ManagedIdentityOf(g.Value)
	if !strings.Contains(strings.ToLower(resource), "/userassignedidentities/") {
		return Good("the token is that of the machine")
	}
	client := word(g.claims.AppID)
	return Warned("write client_id="+client+" in place of identity=system", "the token is that of the user-assigned identity %s (client id %s)", word(resource), client)
}
