package tickets

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// kinds are identities of every kind that asks a service for its tokens, and the service of each.
func (w *world) kinds() map[string]identity.Identity {
	w.t.Helper()
	const app = "22222222-3333-4444-5555-666666666666"
	dir := w.t.TempDir()
	federated, password := filepath.Join(dir, "federated"), filepath.Join(dir, "secret")
	if err := w.fake.SetApp(azurefake.App{ClientID: app, Secret: "its-secret", Federated: true}); err != nil {
		w.t.Fatal(err)
	}
	for name, text := range map[string]string{federated: w.fake.FederatedToken(app), password: "its-secret"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	return map[string]identity.Identity{
		"system":            system,
		"user-assigned":     {Kind: identity.UserAssigned, ClientID: client},
		"workload":          {Kind: identity.Workload, TenantID: azurefake.TenantID, ClientID: app, TokenFile: federated},
		"service principal": {Kind: identity.ServicePrincipal, TenantID: azurefake.TenantID, ClientID: app, SecretFile: password},
	}
}

// TestRepairedRoleOfEachKind: the administrator puts the identity into the group that has the role, and tries again.
// The token that the account refused names the groups of before; the next try brings a new one, whichever program
// makes it: one that goes on, or the next command, which finds what is kept in the keyring.
func TestRepairedRoleOfEachKind(t *testing.T) {
	for name, id := range newWorld(t).kinds() {
		for _, next := range []string{"same process", "next command"} {
			t.Run(name+", "+next, func(t *testing.T) {
				w := newWorld(t)
				w.ring = newMapRing()
				id = w.kinds()[name]
				w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Answer: "storage-role", Times: 1})
				if _, err := w.Ensure(t.Context(), w.request(acct, id)); !fault.Is(err, fault.RoleMissing) {
					t.Fatal(err)
				}
				if next == "next command" {
					w.Manager = w.manager()
				}
				w.ensure(w.request(acct, id))
				var shown, issued []string
				for _, r := range w.fake.Requests() {
					if r.Target == azurefake.TargetStorage {
						shown = append(shown, r.TokenID)
					} else if r.TokenID != "" {
						issued = append(issued, r.TokenID)
					}
				}
				if len(shown) != 2 || len(issued) != 2 || shown[0] != issued[0] || shown[1] != issued[1] || shown[0] == shown[1] {
					t.Errorf("the account saw the tokens %q, issued were %q", shown, issued)
				}
			})
		}
	}
}
