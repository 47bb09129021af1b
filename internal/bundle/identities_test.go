package bundle

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// Whose each mount is and whose each ticket is can be seen where an account has several identities.
func TestIdentitiesOfOneAccountAreShown(t *testing.T) {
	const label, client = "azfiles-system-bbc5e661e106", "11111111-1111-1111-1111-111111111111"
	root := t.TempDir()
	put(t, root, "/etc/azfilesauth/config.yaml", "USER_UID: 0\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\n")
	put(t, root, "/proc/1/mountinfo", "30 1 0:40 / /a rw - cifs //"+acctHost+"/a rw,sec=krb5,username="+label+",cruid=0\n"+
		"31 1 0:41 / /b rw - cifs //"+acctHost+"/b rw,sec=krb5,username="+client+",cruid=0\n")
	cache := cacheOf(canaries{})
	cred := *cache.Tickets()[0]
	cred.Ticket = secret.FromString(strings.Repeat("other", 100))
	cache.PutPrivate(client, cred, ccache.Record{Identity: "user-assigned client_id=" + client, ObtainedAt: testTime, Refreshable: true})
	put(t, root, "/run/azfilesauth/krb5cc_0", string(cache.Marshal()))
	texts := bundleOf(t, doctor.Options{Host: host.Beneath(root).Trusting(os.Geteuid())}, doctor.All())
	for name, wants := range map[string][]string{
		"mounts.txt": {"username=" + label, "username=" + client},
		"ccache.txt": {"azfiles/" + acctHost + "/" + client + "@REALM etype 18", "obtained " + testTime.Format(time.RFC3339) + " with user-assigned client_id=" + client},
		"doctor.txt": {"the mount /a: system", "the mount /b: user-assigned client_id=" + client},
	} {
		for _, want := range wants {
			if !strings.Contains(texts[name], want) {
				t.Errorf("%s: no %q in:\n%.3000s", name, want, texts[name])
			}
		}
	}
}
