package identity

import (
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

func TestIssued(t *testing.T) {
	const client = "a0000000-0000-4000-8000-00000000000a"
	machine := jwt(`{"appid":"x","xms_mirid":"/subscriptions/s/resourcegroups/g/providers/Microsoft.Compute/virtualMachines/v"}`)
	user := jwt(`{"appid":"` + client + `","oid":"o","xms_mirid":"/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u"}`)
	for _, test := range []struct {
		id    Identity
		token string
		want  bool
	}{
		{Identity{Kind: System}, machine, true},
		{Identity{Kind: System}, user, false},
		{Identity{Kind: System}, jwt(`{"appid":"x"}`), false},
		{Identity{Kind: System}, "opaque", false},
		{Identity{Kind: UserAssigned, ClientID: client}, user, true},
		{Identity{Kind: UserAssigned, ClientID: client}, machine, false},
		{Identity{Kind: UserAssigned, ObjectID: "o"}, user, true},
		{Identity{Kind: Token}, user, false},
	} {
		if got := test.id.Issued(secret.FromString(test.token)); got != test.want {
			t.Errorf("%v, %q: %v", test.id, test.token, got)
		}
	}
}
