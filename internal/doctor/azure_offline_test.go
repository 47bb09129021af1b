package doctor

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const fstabHead = "# the table\n//" + acct + "/share /mnt/share azfiles "

// Each row breaks the healthy machine in one way, which is found, with its fix, and nothing else.
func TestOfflineFindings(t *testing.T) {
	type row struct {
		change map[string]string // "-" removes the file
		after  func(t *testing.T, root string)
		id     ID
		status Status
		says   string // in the evidence or the fix
		action string
		also   []ID
		fault  fault.Named
	}
	put := func(name, text string) map[string]string { return map[string]string{name: text} }
	chmod := func(name string, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, root string) {
			if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	chown := func(name string, uid int) func(*testing.T, string) {
		return func(t *testing.T, root string) {
			needs.Root(t)
			if err := os.Chown(filepath.Join(root, name), uid, uid); err != nil {
				t.Fatal(err)
			}
		}
	}
	unmounted := func(fstab string) map[string]string {
		return map[string]string{"etc/fstab": fstab, "proc/1/mountinfo": "-"}
	}
	config := func(more string) map[string]string {
		return put("etc/azfilesauth/config.yaml", healthyFiles()["etc/azfilesauth/config.yaml"]+more)
	}
	rows := map[string]row{
		"no _netdev":            {change: put("etc/fstab", fstabHead+"nofail,identity=system 0 0\n"), id: "fstab", status: Warning, says: "/etc/fstab:2"},
		"a password":            {change: put("etc/fstab", fstabHead+"_netdev,password=hunter2 0 0\n"), id: "fstab", status: Problem, says: "remove password", fault: fault.OptionRefused},
		"credentials":           {change: put("etc/fstab", fstabHead+"_netdev,credentials=/etc/x 0 0\n"), id: "fstab", status: Problem, says: "credentials"},
		"another sec":           {change: put("etc/fstab", fstabHead+"_netdev,sec=ntlmssp 0 0\n"), id: "fstab", status: Problem, says: "sec"},
		"old SMB":               {change: put("etc/fstab", fstabHead+"_netdev,vers=2.1 0 0\n"), id: "fstab", status: Problem, says: "SMB 3"},
		"a user name":           {change: put("etc/fstab", fstabHead+"_netdev,username=bob 0 0\n"), id: "fstab", status: Problem, says: "client id"},
		"no share":              {change: unmounted("//" + acct + " /mnt azfiles _netdev\n"), id: "fstab", status: Problem, fault: fault.SourceInvalid},
		"a foreign host":        {change: unmounted("//server.example.com/share /mnt azfiles _netdev\n"), id: "fstab", status: Problem, fault: fault.HostUnknown},
		"an address":            {change: unmounted("//10.0.0.4/share /mnt azfiles _netdev\n"), id: "fstab", status: Problem, fault: fault.HostUnknown},
		"a secret source":       {change: unmounted("https://u:hunter2@" + acct + "/share?sig=hunter2 /mnt azfiles _netdev\n"), id: "fstab", status: Problem, fault: fault.SourceInvalid},
		"a signature":           {change: unmounted("//" + acct + "/share?sig=hunter2 /mnt azfiles _netdev\n"), id: "fstab", status: Problem, fault: fault.SourceInvalid},
		"backslashes":           {change: unmounted(`\\` + acct + `\share /mnt azfiles _netdev` + "\n"), id: "fstab", status: Warning, says: "//" + acct + "/share"},
		"another source":        {change: put("proc/1/mountinfo", mountLine(otherAcct, "/mnt/share", "cruid=0,username="+oneClient)), id: "fstab", status: Warning, says: "mount -a", also: []ID{"ccache-ticket"}},
		"upper case":            {change: unmounted(strings.Replace(fstabHead, "acct", "ACCT", 1) + "_netdev,identity=system\n"), id: "host-form", status: Warning, says: "the host is " + acct},
		"privatelink":           {change: unmounted("//" + privAcct + "/share /mnt azfiles _netdev,identity=system\n"), id: "host-form", status: Warning, says: "the host is " + acct},
		"privatelink, live":     {change: map[string]string{"proc/1/mountinfo": mountLine(privAcct, "/mnt/other", "cruid=0,username=root")}, id: "host-form", status: Warning, says: "umount /mnt/other and"},
		"a quote in a target":   {change: map[string]string{"proc/1/mountinfo": mountLine(privAcct, "/mnt/x';id;'", "cruid=0,username=root")}, id: "host-form", status: Warning, says: `umount '/mnt/x'\'';id;'\'''`},
		"a unit":                {change: put("etc/systemd/system/mnt-x.mount", "[Mount]\nWhat=//Acct.file.core.windows.net/x\nWhere=/mnt/x\nType=azfiles\n"), id: "host-form", status: Warning, says: "mnt-x.mount"},
		"a unit of privatelink": {change: put("etc/systemd/system/mnt-x.mount", "[Mount]\nWhat = //"+privAcct+"/x\nType=cifs\n"), id: "host-form", status: Warning, says: "the host is " + acct},
		// As "Enable Active Directory authentication over SMB for Linux clients accessing Azure Files" has it.
		"domain user": {change: unmounted("//" + acct + "/share /mnt/share cifs noauto,_netdev,sec=krb5,cruid=1000,username=root,serverino,nosharesock 0 0\n"), id: "identity-choice", status: Info, says: "of a domain or of Entra Kerberos"},
		"domain computer": {change: map[string]string{
			"etc/fstab": "//" + acct + "/share /mnt/share cifs noauto,_netdev,sec=krb5,cruid=0,username=CLIENT01$ 0 0\n", "proc/1/mountinfo": "-", cachePath[1:]: "-",
		}, id: "identity-choice", status: Info, says: "of a domain or of Entra Kerberos"},
		"users choose":       {change: put("etc/fstab", "//"+acct+"/share /mnt/share cifs users,sec=krb5,cruid=0\n"), id: "fstab", status: Warning, says: "username=root"},
		"address, type cifs": {change: put("etc/fstab", "//10.0.0.4/s /m cifs sec=krb5,username="+oneClient+"\n"), id: "host-form", status: Warning, says: "/etc/fstab:1"},
		"unknown identity":   {change: put("etc/fstab", fstabHead+"_netdev,identity=nobody 0 0\n"), id: "identity-choice", status: Problem, fault: fault.IdentityInvalid},
		"half an identity":   {change: put("etc/fstab", fstabHead+"_netdev,identity=token 0 0\n"), id: "identity-choice", status: Problem, says: "token_file="},
		"two client ids":     {change: put("etc/fstab", fstabHead+"_netdev,client_id=system,identity=cli 0 0\n"), id: "identity-choice", status: Problem, says: "client_id", fault: fault.OptionInvalid},
		"unknown uid":        {change: put("etc/fstab", fstabHead+"_netdev,cruid=4242 0 0\n"), id: "identity-choice", status: Skipped, says: "because of user-uid"},
		"a mount of nobody":  {change: map[string]string{"etc/fstab": "-", cachePath[1:]: string(aCache(noon.Add(time.Hour), 18, ""))}, id: "identity-choice", status: Warning, fault: fault.IdentityUnknown},
		"a mount whose line asks for its ticket": {change: map[string]string{
			"etc/fstab":   "//" + acct + "/share /mnt/share cifs sec=krb5,cruid=0,username=root,_netdev,x-systemd.requires=azfilesrefresh.service 0 0\n",
			cachePath[1:]: string(aCache(noon.Add(time.Hour), 18, "")),
		}, id: "identity-choice", status: OK, says: "system"},
		"another client's": {change: map[string]string{
			"etc/fstab": "-", cachePath[1:]: string(aCache(noon.Add(time.Hour), 18, "user-assigned client_id="+someClient)),
			"proc/1/mountinfo": mountLine(acct, "/mnt/share", "cruid=0,username="+oneClient),
		}, id: "identity-choice", status: OK, says: oneClient},
		"colliding lines": {change: unmounted(fstabHead + "_netdev,identity=system\n//" + acct + "/two /two azfiles _netdev,client_id=" + oneClient + "\n"), id: "identity-collisions", status: Problem, says: "/etc/fstab:3", fault: fault.IdentityConflict},
		"colliding mount": {change: put("etc/fstab", fstabHead+"_netdev,identity=system\n//"+acct+"/two /two azfiles _netdev,client_id="+oneClient+"\n"), id: "identity-collisions", status: Problem, says: "cruid="},
		"a link":          {change: put(cachePath[1:], "-"), after: func(t *testing.T, root string) { link(t, "/etc/passwd", filepath.Join(root, cachePath)) }, id: "ccache-file", status: Problem, says: "symbolic link", action: "ccache", also: []ID{"identity-choice"}, fault: fault.CCacheForeign},
		"a stranger's":    {after: chown(cachePath, 1000), id: "ccache-file", status: Problem, says: "uid 1000", action: "ccache", fault: fault.CCacheForeign, also: []ID{"identity-choice"}},
		"writable by all": {after: chmod(cachePath, 0o666), id: "ccache-file", status: Problem, says: "0666", action: "ccache", also: []ID{"identity-choice"}},
		"readable by all": {after: chmod(cachePath, 0o644), id: "ccache-file", status: Warning, says: "chmod o-r"},
		"hard link": {after: func(t *testing.T, root string) {
			hardLink(t, filepath.Join(root, cachePath), filepath.Join(root, "again"))
		}, id: "ccache-file", status: Problem, says: "hard links", action: "ccache"},
		"open folder": {after: chmod("/run/azfilesauth", 0o777), id: "ccache-file", status: Problem, says: "/run/azfilesauth", fault: fault.CCacheFolder},
		"open /run": {after: func(t *testing.T, root string) {
			must(t, errors.Join(os.RemoveAll(filepath.Join(root, "run/azfilesauth")), os.Chmod(filepath.Join(root, "run"), 0o777)))
		}, id: "ccache-file", status: Problem, says: "chmod +t /run", fault: fault.CCacheFolder, also: []ID{"identity-choice"}},
		"a stranger's folder": {after: chown("/run/azfilesauth", 1000), id: "ccache-file", status: Problem, says: "uid 1000", fault: fault.CCacheFolder},
		"missing folder":      {change: map[string]string{"var/lib/x": "x", "etc/azfilesauth/config.yaml": "USER_UID: 0\nKRB5_CC_NAME: /var/lib/none/cc\n"}, id: "ccache-file", status: Problem, says: "/var/lib/none", fault: fault.CCacheFolder, also: []ID{"identity-choice"}},
		"another type":        {change: put("etc/azfilesauth/config.yaml", "USER_UID: 0\nKRB5_CC_NAME: \"KCM:\"\n"), id: "ccache-file", status: Problem, says: "KCM:", fault: fault.CCacheType, also: []ID{"identity-choice"}},
		"a directory":         {change: put("etc/azfilesauth/config.yaml", "USER_UID: 0\nKRB5_CC_NAME: /etc\n"), id: "ccache-file", status: Problem, says: "set KRB5_CC_NAME in", fault: fault.CCacheType, also: []ID{"identity-choice"}},
		"damaged":             {change: put(cachePath[1:], string(aCache(noon.Add(time.Hour), 18, "identity=system")[:60])), id: "ccache-file", status: Warning, says: "damaged", action: "ccache", fault: fault.CCacheDamaged, also: []ID{"identity-choice", "ccache-ticket"}},
		"somebody's login":    {change: put(cachePath[1:], string(userCache())), id: "ccache-file", status: Problem, says: "alice@EXAMPLE.COM", fault: fault.CCachePrincipal, also: []ID{"identity-choice"}},
		"no ticket":           {change: map[string]string{cachePath[1:]: "", "etc/azfilesauth/config.yaml": config("default_identity: system\n")["etc/azfilesauth/config.yaml"]}, id: "ccache-ticket", status: Warning, says: "azfilesauth refresh " + acct},
		"ended":               {change: put(cachePath[1:], string(aCache(noon.Add(-time.Minute), 18, "identity=system"))), id: "ccache-ticket", status: Warning, says: "1m0s ago"},
		"about to end":        {change: put(cachePath[1:], string(aCache(noon.Add(time.Minute), 18, "identity=system"))), id: "ccache-ticket", status: Warning, says: "in 1m0s"},
		"a short key":         {change: put(cachePath[1:], string(aCache(noon.Add(time.Hour), 17, "identity=system"))), id: "ccache-ticket", status: Warning, says: "32 bytes"},
		"RC4":                 {change: put(cachePath[1:], string(aCache(noon.Add(time.Hour), ccache.RC4, "identity=system"))), id: "ccache-ticket", status: Warning, says: "AES-256"},
		"the user is root":    {change: put("etc/group", "sudo:x:27:admin,azfilesuser\n"), id: "incumbent", status: Warning, says: "gpasswd -d azfilesuser sudo", action: "user-groups"},
		"in wheel":            {change: put("etc/group", "wheel:x:10:azfilesuser\n"), id: "incumbent", status: Warning, says: "wheel", action: "user-groups"},
		"the user logs in":    {change: put("etc/passwd", "azfilesuser:x:990:990::/home/azfilesuser:/bin/bash\n"), id: "incumbent", status: Warning, says: "usermod -s"},
		"a script first":      {change: put("usr/local/bin/azfilesauthmanager", "#!/usr/bin/python3\n"), id: "incumbent", status: Warning, says: "/usr/local/bin"},
		"a script in place":   {change: put("usr/bin/azfilesrefresh", "#!/usr/bin/python3\n"), id: "incumbent", status: Warning, says: "azfilesauth setup", action: "links"},
		"its unit":            {change: put("etc/systemd/system/azfilesrefresh.service", "[Service]\nExecStart=/usr/bin/azfilesrefresh\n"), id: "incumbent", status: Warning, says: "daemon-reload"},
		"its folder":          {change: put("opt/azfilesauth/venv/x", "x"), id: "incumbent", status: Info, says: "rm -r /opt/azfilesauth"},
		"ours in its folder":  {change: put("opt/azfilesauth/bin/azfilesauth", "elf"), id: "incumbent", status: OK, says: "there are none"},
		"its state":           {change: put("run/azfilesauth/endpoint-auth-state.json", "{}"), id: "incumbent", status: Info, says: "endpoint-auth-state.json"},
		"a line of type cifs": {change: put("etc/fstab", "//"+acct+"/share /mnt/share cifs sec=krb5,cruid=0\n"), id: "fstab", status: Info, says: "type azfiles"},
		"opted in":            {change: put("etc/fstab", "//"+acct+"/share /mnt/share cifs sec=krb5,x-systemd.requires=azfilesrefresh.service\n"), id: "fstab", status: Info, says: "at boot"},
		"with the key":        {change: put("etc/fstab", "//"+acct+"/share /mnt/share cifs username=acct,password=hunter2\n"), id: "fstab", status: Info, says: "account's key"},
		"a last fault":        {after: lastFault, id: "last-fault", status: Warning, says: "az role assignment", fault: fault.RoleMissing},
		"driver's config": {change: map[string]string{
			"etc/azfilesauth/config.yaml":       "USER_UID: 0\nKRB5_CC_NAME: /var/lib/kubelet/kerberos/krb5cc_0\nLOG_DESTINATION: \"file\"\n",
			"var/lib/kubelet/kerberos/krb5cc_0": string(aCache(noon.Add(time.Hour), 18, "identity=system")),
		}, id: "kubernetes", status: Info, says: "CSI driver"},
		"driver's krb5.conf": {change: map[string]string{
			"var/lib/kubelet/kerberos/x": "x", "etc/krb5.conf": "[libdefaults]\n default_ccache_name = FILE:/var/lib/kubelet/kerberos/krb5cc_%{uid}\n",
			"etc/krb5.conf.d/site.conf": "[libdefaults]\n",
		}, id: "kubernetes", status: Warning, says: "includedir"},
		"a container": {change: map[string]string{".dockerenv": "x", "proc/1/root/run/x": "x"}, id: "kubernetes", status: Info, says: "--root /proc/1/root"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			files := healthyFiles()
			maps.Copy(files, row.change)
			for path, content := range files {
				if content == "-" {
					delete(files, path)
				}
			}
			if row.change[cachePath[1:]] == "-" {
				files[cachePath[1:]] = ""
			}
			root := build(t, files)
			if row.after != nil {
				row.after(t, root)
			}
			r := reported(t, Options{Host: machine(root)})
			f := checked(t, r, row.id, row.status)
			if said := strings.Join(f.Evidence, "\n") + "\n" + f.Fix; !strings.Contains(said, row.says) {
				t.Errorf("%q is not in %s", row.says, said)
			}
			if f.Action != row.action || row.fault != nil && string(f.Fault) != row.fault.String() {
				t.Errorf("action %q, fault %q", f.Action, f.Fault)
			}
			onlyFound(t, r, append(row.also, row.id)...)
			noSecrets(t, r, "hunter2")
		})
	}
}

func TestHealthyOffline(t *testing.T) {
	for name, change := range map[string]map[string]string{
		"mounted":            nil,
		"not mounted":        {"proc/1/mountinfo": "", cachePath[1:]: ""},
		"bare":               {"etc/fstab": "", "proc/1/mountinfo": "", "etc/azfilesauth/config.yaml": "", "tmp/x": "x"},
		"full copy of ours":  {"etc/systemd/system/azfilesrefresh.service": "[Service]\nType=notify\n"},
		"named in the table": {"etc/azfilesauth/config.yaml": "USER_UID: 0\nKRB5_CC_NAME: FILE:/run/azfilesauth/krb5cc_0\nendpoints:\n  files.example.internal: {canonical: " + acct + "}\n"},
		"by hand":            {"etc/fstab": fstabHead + "noauto,identity=system 0 0\n"},
		"another uid":        {"etc/fstab": fstabHead + "_netdev,cruid=app\n//" + acct + "/two /two azfiles _netdev,client_id=" + oneClient + ",cruid=app\n", "proc/1/mountinfo": ""},
	} {
		t.Run(name, func(t *testing.T) {
			files := healthyFiles()
			maps.Copy(files, change)
			if name == "another uid" {
				files["etc/fstab"] = fstabHead + "_netdev,identity=system\n//" + acct + "/two /two azfiles _netdev,client_id=" + oneClient + ",cruid=app\n"
			}
			r := reported(t, Options{Host: machine(build(t, files))})
			onlyFound(t, r)
			noSecrets(t, r)
			if r.Exit != Healthy {
				t.Errorf("exit %d\n%s", r.Exit, text(r))
			}
		})
	}
}

// A cache that its user cannot reach is a fault only where cifs.upcall reads it as that user.
func TestCachePath(t *testing.T) {
	for mode, status := range map[string]Status{"native": Warning, "cifs": Problem} {
		for name, closed := range map[string]string{"folder": "/run/azfilesauth", "file": "/run/azfilesauth/krb5cc_1000"} {
			t.Run(mode+" "+name, func(t *testing.T) {
				files := healthyFiles()
				files["etc/azfilesauth/config.yaml"] = "USER_UID: 1000\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\nupcall: {mode: " + mode + "}\n"
				files["run/azfilesauth/krb5cc_1000"] = string(aCache(noon.Add(time.Hour), 18, "identity=system"))
				files["proc/1/mountinfo"] = ""
				needs.Root(t)
				root := build(t, files)
				path := filepath.Join(root, "run/azfilesauth/krb5cc_1000")
				if err := errors.Join(os.Chown(path, 0, 1000), os.Chmod(path, 0o640)); err != nil {
					t.Fatal(err)
				}
				r := reported(t, Options{Host: machine(root)})
				onlyFound(t, r)
				if err := os.Chmod(filepath.Join(root, closed), 0o700); err != nil {
					t.Fatal(err)
				}
				r = reported(t, Options{Host: machine(root)})
				checked(t, r, "ccache-path", status)
				onlyFound(t, r, "ccache-path")
			})
		}
	}
}

// An untrusted record is shown as what it is, and who is named by nobody else is not believed.
func TestUntrustedRecord(t *testing.T) {
	needs.Root(t)
	files := healthyFiles()
	files["etc/azfilesauth/config.yaml"] = "USER_UID: 1000\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\n"
	files["run/azfilesauth/krb5cc_1000"] = string(aCache(noon.Add(time.Hour), 18, "token token_file=/etc/shadow"))
	files["etc/fstab"] = ""
	files["proc/1/mountinfo"] = mountLine(acct, "/mnt/share", "cruid=1000,username=root")
	root := build(t, files)
	if err := os.Chown(filepath.Join(root, "run/azfilesauth/krb5cc_1000"), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	r := reported(t, Options{Host: machine(root)})
	if f := checked(t, r, "identity-choice", Warning); f.Fault != fault.RecordUntrusted.ID {
		t.Errorf("fault %s", f.Fault)
	}
	if f := checked(t, r, "ccache-ticket", OK); !strings.Contains(strings.Join(f.Evidence, " "), "forged") {
		t.Errorf("%q", f.Evidence)
	}
}

// Who cannot read the cache does not claim that nobody is recorded there.
func TestUnreadableCache(t *testing.T) {
	files := healthyFiles()
	delete(files, "etc/fstab")
	s, err := New(Options{Host: machine(build(t, files)), EUID: 1000})
	if err != nil {
		t.Fatal(err)
	}
	c := s.cacheOf(0)
	c.Cache, c.err = nil, fs.ErrPermission
	r := Run(t.Context(), s, azureChecks())
	onlyFound(t, r)
	for _, id := range []ID{"identity-choice", "ccache-file"} {
		if f := checked(t, r, id, Skipped); !strings.Contains(f.Evidence[0], "sudo") {
			t.Errorf("%s: %q", id, f.Evidence)
		}
	}
}

func userCache() []byte {
	alice := principal("EXAMPLE.COM", "alice")
	return (&ccache.Cache{Principal: alice, Credentials: []ccache.Credential{{
		Client: alice, Server: principal("EXAMPLE.COM", "krbtgt", "EXAMPLE.COM"), EndTime: noon.Add(time.Hour),
		Key: ccache.Key{Etype: 18, Value: secret.FromString(keyCanary)}, Ticket: secret.FromString(ticketCanary),
	}}}).Marshal()
}

func lastFault(t *testing.T, root string) {
	f := fault.RoleMissing.New("system", "acct", "p")
	if err := lastfault.Save(machine(root), acct, f); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func hardLink(t *testing.T, old, path string) {
	if err := os.Link(old, path); err != nil {
		t.Fatal(err)
	}
}

// A person who asks for one endpoint hears of no other.
func TestOtherEndpoints(t *testing.T) {
	root := build(t, healthyFiles())
	lastFault(t, root)
	r := reported(t, Options{Host: machine(root), Endpoint: otherAcct})
	onlyFound(t, r)
	if len(r.Endpoints) != 1 || r.Endpoints[0] != otherAcct {
		t.Errorf("endpoints %v", r.Endpoints)
	}
	checked(t, reported(t, Options{Host: machine(root), Endpoint: "/mnt/share"}), "last-fault", Warning)
}

// What is wrong with two lines is told of both, the worst first.
func TestTwoFindings(t *testing.T) {
	files := healthyFiles()
	files["etc/fstab"] = fstabHead + "identity=system 0 0\n//" + otherAcct + "/s /two azfiles _netdev,password=hunter2\n"
	r := reported(t, Options{Host: machine(build(t, files))})
	f := checked(t, r, "fstab", Problem)
	if said := strings.Join(f.Evidence, "\n"); !strings.Contains(f.Evidence[0], "/etc/fstab:3") || !strings.Contains(said, "/etc/fstab:2: without _netdev") {
		t.Errorf("%s", said)
	}
	noSecrets(t, r, "hunter2")
}

// Every check says what it is for.
func TestEveryAzureCheckIsDescribed(t *testing.T) {
	seen := map[ID]bool{}
	for _, c := range azureChecks() {
		if seen[c.ID] || c.Title == "" || !strings.HasSuffix(c.Proves, ".") || !strings.HasSuffix(c.Why, ".") || c.Severity == "" || c.Group == "" || c.Run == nil {
			t.Errorf("%+v", c)
		}
		seen[c.ID] = true
		for _, needed := range c.Needs {
			if !seen[needed] {
				t.Errorf("%s needs %s, which does not come before it", c.ID, needed)
			}
		}
	}
}
