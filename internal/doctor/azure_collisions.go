package doctor

import (
	"context"
	"fmt"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

func identityCollisionsCheck() Check {
	return Check{
		ID: "identity-collisions", Group: Identity, Title: "one identity for each account and credential uid", Severity: Fails, Offline: true, PerEndpoint: true,
		Proves: "No two uses of the endpoint under the same credential uid have different identities.",
		Why:    "The kernel shares a session by server and credential uid: the second would run as the first and, after a reconnect, the first as the second. The mount of the second is refused.",
		Run:    checkIdentityCollisions,
	}
}

func checkIdentityCollisions(_ context.Context, s *Subject) Result {
	uses := s.logins(s.Target)
	for i, one := range uses {
		for _, other := range uses[i+1:] {
			if one.collides(other) {
				f := fault.New(fault.IdentityConflict, fault.V{"endpoint": s.Target.Endpoint.Host(), "other": one.identity.String(), "identity": other.identity.String()})
				r := Broken(fmt.Sprintf("give %s a cruid= of its own, or the identity of %s", other.where, one.where),
					"%s logs in as %s, %s as %s, both for the credential uid %d", one.where, one.identity, other.where, other.identity, one.cruid)
				r.Fault = f.ID()
				return r
			}
		}
	}
	return Good("uses: %d", len(uses))
}

// collides reports whether two uses cannot be mounted at the same time. A mount that is live takes the
// place that its line of fstab would have.
func (l login) collides(o login) bool {
	return l.err == nil && o.err == nil && l.cruid == o.cruid && (l.target != o.target || l.live == o.live) &&
		!identity.SamePrincipal(l.identity.String(), o.identity.String())
}
