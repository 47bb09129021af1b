package doctor

import (
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Which handler answers the kernel decides whether two identities of an account would be separated or refused.
func TestIdentitiesOfOneAccount(t *testing.T) {
	const (
		old   = "6.1.0-10-amd64"
		new   = "7.0.1"
		ours  = "create cifs.spnego ver=0x2;host=* * /usr/sbin/azfiles.upcall %k\n"
		stock = "create cifs.spnego * * /usr/sbin/cifs.upcall %k\n"
		lines = fstabHead + "_netdev,identity=system\n//" + acct + "/two /two azfiles _netdev,client_id=" + oneClient + "\n"
	)
	cifs := func(target, options string) string {
		return "//" + acct + "/x " + target + " cifs _netdev,sec=krb5,cruid=0," + options + "\n"
	}
	live := func(options ...string) (table string) {
		for i, o := range options {
			table += mountLine(acct, []string{"/mnt/share", "/two"}[i], "cruid=0,username="+o)
		}
		return table
	}
	for name, c := range map[string]struct {
		rule, mode, kernel, fstab, mounts string
		status                            Status
		says                              string
		fault                             fault.ID
	}{
		"ours":                {rule: ours, kernel: old, fstab: lines, status: OK, says: "are separated"},
		"ours, mode cifs":     {rule: ours, mode: "cifs", kernel: new, fstab: lines, status: Problem, says: "upcall: {mode: native}", fault: fault.IdentityConflict.ID},
		"stock":               {rule: stock, kernel: new, fstab: lines, status: Problem, says: "would be refused, since cifs.upcall", fault: fault.IdentityConflict.ID},
		"nobody":              {kernel: new, fstab: lines, status: Problem, says: "azfilesauth setup", fault: fault.IdentityConflict.ID},
		"stock, both mounted": {rule: stock, kernel: new, mounts: live(oneClient, someClient), status: Problem, says: "can be the other", fault: fault.IdentityConflict.ID},
		"both mounted":        {rule: ours, kernel: new, mounts: live(oneClient, someClient), status: OK, says: "are separated"},
		"one session":         {rule: ours, kernel: old, mounts: live(oneClient, someClient), status: Problem, says: "nosharesock", fault: fault.IdentityConflict.ID},
		"own sessions":        {rule: ours, kernel: old, mounts: live(oneClient, someClient+",nosharesock"), status: OK, says: "are separated"},
		"lines of type cifs": {
			rule: ours, kernel: old, fstab: cifs("/a", "username="+oneClient) + cifs("/b", "username="+someClient),
			status: Problem, says: "in the session of the first", fault: fault.IdentityConflict.ID,
		},
		"lines of type cifs apart": {
			rule: ours, kernel: old, fstab: cifs("/a", "username="+oneClient) + cifs("/b", "nosharesock,username="+someClient), status: OK, says: "are separated",
		},
		"the same": {rule: stock, kernel: old, fstab: strings.ReplaceAll(lines, "client_id="+oneClient, "identity=system"), status: OK, says: "2 logins, all of the same identity"},
	} {
		t.Run(name, func(t *testing.T) {
			files := healthyFiles()
			files["etc/fstab"], files["proc/1/mountinfo"], files["proc/sys/kernel/osrelease"] = c.fstab, c.mounts, c.kernel
			files["etc/request-key.d/x.conf"], files["usr/sbin/azfiles.upcall"], files["usr/sbin/cifs.upcall"] = c.rule, "\x7fELF", "\x7fELF"
			files[cachePath[1:]] = ""
			if c.mode != "" {
				files["etc/azfilesauth/config.yaml"] += "upcall: {mode: " + c.mode + "}\n"
			}
			f := checked(t, reported(t, Options{Host: machine(build(t, files))}), "identity-collisions", c.status)
			if said := strings.Join(f.Evidence, "\n") + "\n" + f.Fix; !strings.Contains(said, c.says) || strings.Contains(said, "--force") {
				t.Errorf("%q is not in %s", c.says, said)
			}
			if f.Fault != c.fault {
				t.Errorf("fault %q", f.Fault)
			}
		})
	}
}
