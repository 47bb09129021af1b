package identity

import (
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// userAssigned is what the resource ids of user-assigned managed identities have, and no machine's.
const userAssigned = "/userassignedidentities/"

// Issued reports whether an access token that somebody brought says of itself that it was issued to this
// identity. Nothing is verified: it tells who is to be asked for the next one, not what is allowed.
func (i Identity) Issued(token secret.Value) bool {
	claims, ok := ClaimsOf(token)
	if !ok {
		return false
	}
	managed := ManagedIdentityOf(token)
	if i.Kind == System {
		return managed != "" && !strings.Contains(strings.ToLower(managed), userAssigned)
	}
	for _, id := range [][2]string{{i.ClientID, claims.AppID}, {i.ObjectID, claims.ObjectID}, {i.ResourceID, managed}} {
		if id[0] != "" {
			return strings.EqualFold(id[0], id[1])
		}
	}
	return false
}
