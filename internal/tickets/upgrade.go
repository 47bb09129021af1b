package tickets

import (
	"slices"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// kubelet is where the Azure Files CSI driver mounts, which brings its own identity for each mount.
const kubelet = "/var/lib/kubelet/"

// LeftToTheMachine gives the hosts that Azure/AzFilesAuthenticator logs in at as the machine, and this
// product does not before somebody says so: a mount of the machine's, live or in fstab, that mount.cifs made by Kerberos,
// about which cfg says nothing. One of another credential uid than USER_UID and root's had no ticket of it. It is pure.
// The hosts are sorted.
func LeftToTheMachine(cfg *config.Config, live []mounts.Mount, fstab []mounts.FstabLine) []string {
	var hosts []string
	add := func(e endpoint.Endpoint, target string, cruid int, username string) {
		if cruid <= 0 { // root reads the cache of USER_UID as well, where krb5.conf names it
			cruid = cfg.CredentialUID
		}
		if !IsMachines(cfg, cruid, username) || strings.HasPrefix(target, kubelet) {
			return
		}
		if _, err := OwnerOf(Evidence{Endpoint: e, Config: cfg, Username: username}); fault.Is(err, fault.IdentityUnknown) {
			hosts = append(hosts, e.Host())
		}
	}
	for _, m := range live {
		if m.IsKerberos() {
			add(m.Endpoint, m.Target, m.CRUID, m.Username)
		}
	}
	for _, l := range fstab {
		_, e, err := mounts.Mountable(l.Spec, cfg.Resolver)
		if l.IsKerberos() && err == nil {
			text, username := l.Options.MountCIFS()
			cruid, err := strconv.Atoi(text)
			if err != nil { // a name: it may be that of USER_UID
				cruid = cfg.CredentialUID
			}
			add(e, l.Target, cruid, username)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// sayMachine is the fix for such mounts until an upgrade, or a person, has made it.
const sayMachine = "where AzFilesAuthenticator logged in as the machine, write default_identity: system into /etc/azfilesauth/config.d/50-upgrade.yaml"

// AdviseMachine adds to an error of OwnerOf, that nobody says who logs in, how the mounts that LeftToTheMachine finds go on.
func AdviseMachine(err error, e endpoint.Endpoint, cfg *config.Config, live []mounts.Mount, fstab []mounts.FstabLine) error {
	if fault.Is(err, fault.IdentityUnknown) && slices.Contains(LeftToTheMachine(cfg, live, fstab), e.Host()) {
		return fault.From(err).Advise(sayMachine)
	}
	return err
}
