package tickets_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

func TestLeftToTheMachine(t *testing.T) {
	const client = "11111111-2222-3333-4444-555555555555"
	live := func(target, options string) string {
		return "60 21 0:50 / " + target + " rw - cifs //acct.file.core.windows.net/share rw,vers=3.1.1," + options + "\n"
	}
	for name, c := range map[string]struct{ mountinfo, fstab, config, want string }{
		"live, as root":             {mountinfo: live("/mnt", "sec=krb5,cruid=0,username=root"), want: "acct.file.core.windows.net"},
		"live, of another uid":      {mountinfo: live("/mnt", "sec=krb5i,cruid=1001,username=root")},
		"live, multiuser":           {mountinfo: live("/mnt", "sec=krb5,multiuser"), want: "acct.file.core.windows.net"},
		"live, as an identity":      {mountinfo: live("/mnt", "sec=krb5,cruid=0,username="+client)},
		"live, by password":         {mountinfo: live("/mnt", "sec=ntlmssp,username=root")},
		"live, of the CSI driver":   {mountinfo: live("/var/lib/kubelet/plugins/x/globalmount", "sec=krb5,cruid=0,username=root")},
		"live, of another server":   {mountinfo: "60 21 0:50 / /mnt rw - cifs //nas.example.org/share rw,sec=krb5,cruid=0,username=root\n"},
		"fstab":                     {fstab: "//acct2.file.core.windows.net/s /mnt cifs sec=krb5 0 0\n", want: "acct2.file.core.windows.net"},
		"fstab, as root":            {fstab: "//acct2.file.core.windows.net/s /mnt cifs _netdev,sec=krb5,cruid=0,username=root 0 0\n", want: "acct2.file.core.windows.net"},
		"fstab, of a domain's user": {fstab: "//acct2.file.core.windows.net/s /mnt cifs _netdev,sec=krb5,cruid=1001,username=root 0 0\n"},
		"live, USER_UID is 1001":    {mountinfo: live("/mnt", "sec=krb5,cruid=0,username=root"), config: "USER_UID: 1001\n", want: "acct.file.core.windows.net"},
		"live, as USER_UID":         {mountinfo: live("/mnt", "sec=krb5,cruid=1001,username=root"), config: "USER_UID: 1001\n", want: "acct.file.core.windows.net"},
		"fstab, as an identity":     {fstab: "//acct2.file.core.windows.net/s /mnt cifs sec=krb5,username=" + client + " 0 0\n"},
		"fstab, ours":               {fstab: "//acct2.file.core.windows.net/s /mnt azfiles _netdev 0 0\n"},
		"fstab, by password":        {fstab: "//acct2.file.core.windows.net/s /mnt cifs username=root 0 0\n"},
		"both":                      {mountinfo: live("/mnt", "sec=krb5,cruid=0,username=root"), fstab: "//acct.file.core.windows.net/share /mnt cifs sec=krb5 0 0\n//acct2.file.core.windows.net/s /m cifs sec=krb5\n", want: "acct.file.core.windows.net acct2.file.core.windows.net"},
		"a default is there":        {mountinfo: live("/mnt", "sec=krb5,cruid=0,username=root"), config: "default_identity: system\n"},
		"the endpoint has its own":  {mountinfo: live("/mnt", "sec=krb5,cruid=0,username=root"), config: "endpoints: {acct.file.core.windows.net: {identity: system}}\n"},
		"another endpoint has its":  {mountinfo: live("/mnt", "sec=krb5,cruid=0,username=root"), config: "endpoints: {acct2.file.core.windows.net: {identity: system}}\n", want: "acct.file.core.windows.net"},
		"nothing mounted, no fstab": {},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.Real().Trusting(os.Geteuid())
			h.Config = filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(h.Config, []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Read(h)
			if err != nil {
				t.Fatal(err)
			}
			mounted, err := mounts.Parse(strings.NewReader(c.mountinfo), cfg.Resolver)
			if err != nil {
				t.Fatal(err)
			}
			lines, _, err := mounts.ParseFstab(strings.NewReader(c.fstab))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(tickets.LeftToTheMachine(cfg, mounted, lines), " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
