package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// azureTimeout bounds the checks that ask Azure: a connection is allowed 10 s.
const azureTimeout = 12 * time.Second

func checkIdentityChoice(_ context.Context, s *Subject) Result {
	r := each(s.logins(s.Target), s.examineLogin, NotChecked("no mount and no line of /etc/fstab logs in to it with a ticket"))
	if r.Status == Skipped {
		return r
	}
	for _, use := range s.loginsFrom(s.Target.Endpoint, s.Target.Aside) {
		if other := s.examineLogin(use); other.Status == Problem || other.Status == Warning {
			r = worst(r, other.aside())
		}
	}
	return r
}

// examineLogin judges what a use says of who logs in. A line that is not ours and a mount that somebody
// else made may have somebody else who sees to the ticket.
func (s *Subject) examineLogin(l login) Result {
	if l.err == nil {
		return Good("%s: %s", l.where, l.identity)
	}
	if fault.Is(l.err, fault.UIDUnknown) { // that check's finding, said once
		return NotChecked("%s: because of user-uid", l.where)
	}
	if fault.Is(l.err, fault.OptionRefused) {
		return NotChecked("%s: because of fstab: %s", l.where, fault.From(l.err).What())
	}
	c := s.cacheOf(l.cruid)
	unread := c.err != nil && errors.Is(l.err, c.err) // who it is may be recorded there
	if unread && c.refused() {
		return Known("%s: not known, because of ccache-file", l.where)
	}
	if unread && !fault.Is(c.err, fault.CCacheDamaged) {
		return s.CannotSee(c.path, c.err)
	}
	if l.foreign && fault.Is(l.err, fault.IdentityUnknown) {
		return Known("%s: it logs in with a ticket of its user's own, of a domain or of Entra Kerberos: nothing names an identity for it", l.where)
	}
	r := Failed(tickets.AdviseMachine(l.err, s.Target.Endpoint, s.Config, s.Mounts, s.Fstab)).at(l.where)
	if fault.Is(l.err, fault.IdentityUnknown, fault.RecordUntrusted, fault.CCacheDamaged) {
		r.Status = Warning
		r = r.And("the ticket cannot be renewed")
	}
	return r
}

// noIdentity is the result where there is no identity to look at.
func noIdentity() Result { return NotChecked("no identity is configured") }

func checkIdentityCollisions(_ context.Context, s *Subject) Result {
	uses := slices.DeleteFunc(s.logins(s.Target), func(l login) bool { return l.failed }) // which last-mount tells of
	asked := len(uses)
	uses = append(uses, s.loginsFrom(s.Target.Endpoint, s.Target.Aside)...)
	separated := tickets.Separates(s.Config, s.rules(), s.Root, s.Target.Endpoint.Host())
	apart := 0
	var found *Result
	for i, one := range uses {
		for j, other := range uses[i+1:] {
			if !one.differs(other) {
				continue
			}
			r, collide := s.collide(separated, one, other)
			if !collide {
				apart++
				continue
			}
			if i+1+j < asked || i < asked && other.live {
				return r
			}
			if found == nil { // the mount that was asked for is not refused now
				r = r.aside()
				found = &r
			}
		}
	}
	if found != nil {
		return *found
	}
	if len(uses) < 2 {
		return Good("one login, so that nothing collides")
	}
	if apart == 0 {
		return Good("%d logins, all of the same identity", len(uses))
	}
	return Good("%d logins of several identities, which are separated: azfiles.upcall answers for each mount as its own", len(uses))
}

// differs reports whether two uses are of two identities and can be there at the same time. A mount that is live takes
// the place that its line of fstab would have.
func (l login) differs(o login) bool {
	return l.err == nil && o.err == nil && l.cruid == o.cruid && (l.target != o.target || l.live == o.live) &&
		!identity.SamePrincipal(l.identity.String(), o.identity.String())
}

// collide judges two uses that differ: whether the second would be refused, or run in the session of the first.
func (s *Subject) collide(separated bool, one, other login) (Result, bool) {
	broken := func(id fault.ID, fix, format string, a ...any) (Result, bool) {
		r := Broken(fix, "%s logs in as %s, %s as %s, both for the credential uid %d: "+format,
			append([]any{one.where, one.identity, other.where, other.identity, one.cruid}, a...)...)
		r.Fault = id
		return r, true
	}
	if !separated {
		handler, what := "azfilesauth setup, so that azfiles.upcall answers the kernel", "the second would be refused, since cifs.upcall answers the kernel"
		if s.Mode() == modeCIFS {
			handler = "set upcall: {mode: native} in /etc/azfilesauth/config.d/90-local.yaml"
		}
		if one.live && other.live {
			what = "both are mounted, and since cifs.upcall answers the kernel each can be the other after a reconnect"
		}
		return broken(fault.IdentityConflict.ID, fmt.Sprintf("%s; or give %s a cruid= of its own, or the identity of %s", handler, other.where, one.where), "%s", what)
	}
	if tickets.Collide(separated, one.user, other.user) {
		return broken(fault.IdentityUnnamed.ID, fmt.Sprintf("mount them by type azfiles, or write username=<its client id> for %s", other.where),
			"the second would be refused, since no user name tells them apart")
	}
	if release := s.KernelRelease(); !one.apart && !other.apart && release != "" && !mounts.TellsUsers(release, s.KernelVersion()) {
		return broken(fault.IdentityConflict.ID, fmt.Sprintf("mount them by type azfiles, or write %s for %s", mounts.UnsharedSocket, other.where),
			"this kernel compares no user names, and would run the second in the session of the first")
	}
	return Result{}, false
}

// imdsURL is a request to the machine's identity service that needs no identity; any answer will do.
const imdsURL = "http://169.254.169.254/metadata/versions"

func checkIMDS(ctx context.Context, s *Subject) Result {
	var others []identity.Identity
	for _, use := range s.principals() {
		if kind := use.identity.Kind; kind == identity.UserAssigned || kind == identity.System && s.FirstOf(identity.ArcProgram) == "" {
			return once(s, "imds", func() Result { return s.examineIMDS(ctx) })
		}
		others = append(others, use.identity)
	}
	return Good("not needed by %v", others)
}

func (s *Subject) examineIMDS(ctx context.Context) Result {
	w := s.ways(s.Target.Endpoint)
	if w.err != nil {
		return Failed(w.err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, imdsURL, http.NoBody)
	if err != nil {
		return Failed(err)
	}
	req.Header = http.Header{"Metadata": {"true"}}
	resp, err := w.imds.RoundTrip(req)
	if err != nil {
		return Failed(fault.IMDSUnreachable.New().Because(err))
	}
	_ = resp.Body.Close() // not read
	for _, mark := range []string{"Via", "X-Cache", "X-Forwarded-For", "Proxy-Agent"} {
		if value := resp.Header.Get(mark); value != "" {
			return Warned("let 169.254.169.254 be reached directly: ip route get 169.254.169.254; the rules of the firewall: nft list ruleset (package nftables) or iptables -t nat -S (package iptables)",
				"a proxy answers instead of the identity service (%s: %s)", mark, fault.Shorten(value, 100))
		}
	}
	if resp.StatusCode == http.StatusProxyAuthRequired || resp.StatusCode == http.StatusBadGateway {
		return Failed(fault.IMDSUnreachable.New()).And("it answered %s, as a proxy does", resp.Status)
	}
	return Good("it answers, without a proxy")
}

func checkIdentity(ctx context.Context, s *Subject) Result {
	return each(s.principals(), func(use login) Result {
		return s.examineToken(use.identity, s.token(ctx, s.Target.Endpoint, use))
	}, noIdentity())
}

func (s *Subject) examineToken(id identity.Identity, g grant) Result {
	if id.Kind == identity.Token && id.TokenFile == "" {
		return NotChecked("%s: the token was handed over once and is not kept", id)
	}
	if s.unprivileged(g.err) {
		return NotChecked("%s: what it logs in with can be read by root only: run it again as root, for example with sudo", id)
	}
	if g.err != nil {
		return Failed(g.err).at(id.String())
	}
	if id.Kind == identity.System && g.claims.UserAssigned() {
		return Warned("write client_id="+fault.Word("client", g.claims.AppID)+" in place of identity=system",
			"identity=system: the token is that of the user-assigned identity %s (client id %s)", word(g.claims.Managed), word(g.claims.AppID))
	}
	if !g.known {
		return Good("%s: an access token that does not say whose it is", id)
	}
	return Good("%s: token for %s, object id %s, client id %s, tenant %s, ends at %s",
		id, word(g.claims.Audience), word(g.claims.ObjectID), word(g.claims.AppID), word(g.claims.TenantID), s.left(g.claims.Expiry))
}

// unprivileged reports whether a failure may be one of this user's rights alone.
func (s *Subject) unprivileged(err error) bool {
	return err != nil && s.EUID != 0 && (errors.Is(err, fs.ErrPermission) || fault.Is(err, fault.TokenFile, fault.SecretFile, fault.ArcKey, fault.CLIFailed))
}

// word is a claim fit to be shown: a claim of a token is as long as its issuer likes.
func word(claim string) string {
	if claim == "" {
		return "unknown"
	}
	return fault.Shorten(claim, 100)
}
