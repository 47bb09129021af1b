package doctor

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wrong is a tree in which one thing is wrong, and what is to be said of it.
type wrong struct {
	name    string
	tree    string // what differs from the healthy machine
	change  func(*Options)
	id      ID
	status  Status
	text    string // is in the evidence
	fix     string // is in the fix
	action  string
	also    []string // other findings that follow from it
	skipped []string // what cannot be checked because of it
}

func wrongs() []wrong {
	return slices.Concat(configFindings(), machineFindings(), ruleFindings(), krb5Findings(), surroundingsFindings())
}

func configFindings() []wrong {
	return []wrong{
		{
			name: "wrong type", tree: "-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 0\nrefresh: {at: soon}\n",
			id: "config", status: Problem, text: "line 2: refresh.at", fix: "correct", skipped: []string{"user-uid", "default-ccache"},
		},
		{
			name: "unknown key", tree: "-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 0\ndefault_identiy: system\n",
			id: "config", status: Warning, text: "did you mean default_identity?", fix: "line 2",
		},
		{
			name: "config of others", tree: "-- etc/azfilesauth/config.yaml 666 --\nUSER_UID: 0\n",
			id: "config", status: Problem, text: "can be changed by others than root", fix: "chmod go-w", skipped: []string{"user-uid", "default-ccache"},
		},
		{
			name: "unknown uid", tree: "-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 4242\nKRB5_CC_NAME: /tmp/krb5cc_%{uid}\n",
			id: "user-uid", status: Problem, text: "4242", fix: "USER_UID",
		},
		{
			name: "unknown cruid", tree: "-- etc/fstab --\n//a.example/s /s ext4 cruid=7 0 0\n//acct.file.core.windows.net/s /mnt azfiles _netdev,cruid=bob 0 0\n",
			id: "user-uid", status: Problem, text: "bob", fix: "getent",
		},
		{
			name: "folder of others", tree: "-- run/azfilesauth/ 777 --\n",
			id: "state-folders", status: Warning, text: "0777", fix: "chmod go-w /run/azfilesauth", action: "folders",
		},
		{
			name: "folder that users cannot enter", tree: "-- run/azfilesauth/ 700 --\n",
			id: "state-folders", status: Warning, text: "cannot reach", fix: "chmod 0711", action: "folders",
		},
		{
			name: "folder of another user", tree: "-- run/azfilesauth/ 755 65534 --\n",
			id: "state-folders", status: Warning, text: "uid 65534", fix: "chown root:root", action: "folders",
		},
		{
			name: "a file for a folder", tree: "-- run/azfilesauth --\n",
			id: "state-folders", status: Problem, text: "not a directory", fix: "mv /run/azfilesauth",
		},
		{
			name: "a link to nowhere", tree: "-- run/azfilesauth -> /nowhere --\n",
			id: "state-folders", status: Problem, text: "is a dangling link", fix: "rm /run/azfilesauth",
		},
	}
}

// A rule's path need not be absolute, though request-key then refuses it.
func TestHandlerByARelativePath(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "-- usr/bin/azfilesauth 755 --\n-- azfiles.upcall -> /usr/bin/azfilesauth --\n"+
		"-- etc/request-key.d/azfiles.conf --\ncreate cifs.spnego ver=0x2;host=* * azfiles.upcall %k\n")
	s, err := New(Options{Host: machine(root), Offline: true})
	must(t, err)
	if r := checkHandler(t.Context(), s); r.Status != OK {
		t.Errorf("%+v", r)
	}
}

func machineFindings() []wrong {
	noModule := "-- proc/filesystems --\n\text4\n"
	with := "-- lib/modules/6.12.0-azure/modules.dep --\nkernel/fs/smb/client/cifs.ko.xz: kernel/lib/x.ko\n"
	return []wrong{
		{name: "no mount.azfiles", tree: "-- usr/sbin/mount.azfiles REMOVED --\n", id: "links", status: Problem, text: "mount.azfiles", fix: "azfilesauth setup", action: "links"},
		{name: "no program", tree: "-- usr/bin/azfilesauth REMOVED --\n-- usr/sbin/mount.azfiles REMOVED --\n-- usr/bin/azfilesrefresh REMOVED --\n-- usr/bin/azfilesauthmanager REMOVED --\n-- usr/sbin/azfiles.upcall REMOVED --\n", id: "links", status: Problem, text: "mount.azfiles", fix: "install the package", also: []string{"handler"}},
		{name: "dangling mount.azfiles", tree: "-- usr/sbin/mount.azfiles -> /opt/none --\n", id: "links", status: Problem, text: "neither", fix: "mv /usr/sbin/mount.azfiles /usr/sbin/mount.azfiles.old && azfilesauth setup"},
		{name: "another mount.azfiles", tree: "-- usr/sbin/mount.azfiles 755 --\n", id: "links", status: Problem, text: "is not azfilesauth", fix: "mv /sbin/mount.azfiles /sbin/mount.azfiles.old && azfilesauth setup"},
		{name: "no daemon's name", tree: "-- usr/bin/azfilesrefresh REMOVED --\n", id: "links", status: Warning, text: "no azfilesrefresh", fix: "azfilesauth setup", action: "links"},
		{name: "incumbent's manager", tree: "-- usr/bin/azfilesauthmanager 755 --\n", id: "links", status: Warning, text: "azfilesauthmanager is not azfilesauth", fix: "remove"},
		{name: "no mount.cifs", tree: "-- usr/sbin/mount.cifs REMOVED --\n", id: "mount-cifs", status: Problem, text: "/usr/local/sbin", fix: "apt-get install -y cifs-utils"},
		{name: "mount.cifs not executable", tree: "-- usr/sbin/mount.cifs 644 --\n", id: "mount-cifs", status: Problem, text: "no x", fix: "--reinstall"},
		{name: "mount.cifs of others", tree: "-- usr/sbin/mount.cifs 777 --\n", id: "mount-cifs", status: Warning, text: "0777", fix: "chmod go-w /sbin/mount.cifs"},
		{
			name: "no module", tree: noModule + "-- lib/modules/6.12.0-azure/modules.dep --\nkernel/fs/cifs_other.ko:\n", id: "cifs-module", status: Problem,
			text: "6.12.0-azure has no module cifs", fix: "linux-modules-extra-6.12.0-azure",
		},
		{
			name: "module forbidden", tree: noModule + with + "-- etc/modprobe.d/cis.conf --\n# hardening\ninstall cifs /bin/true\n", id: "cifs-module", status: Problem,
			text: "/etc/modprobe.d/cis.conf:2", fix: "modprobe cifs",
		},
		{
			name: "module blacklisted", tree: noModule + with + "-- usr/lib/modprobe.d/x.conf --\nblacklist cifs\n", id: "cifs-module", status: Problem,
			text: "/usr/lib/modprobe.d/x.conf:1", fix: "modprobe cifs",
		},
		{
			name: "modules off", tree: noModule + with + "-- proc/sys/kernel/modules_disabled --\n1\n", id: "cifs-module", status: Problem,
			text: "modules_disabled", fix: "modules-load.d",
		},
		{
			name: "no upcall in the kernel", tree: noModule + with + "-- boot/config-6.12.0-azure --\nCONFIG_CIFS=m\n# CONFIG_CIFS_UPCALL is not set\n", id: "cifs-module", status: Problem,
			text: "CONFIG_CIFS_UPCALL", fix: "CONFIG_CIFS_UPCALL=y",
		},
		{name: "no AES-256", tree: "-- sys/module/cifs/parameters/enable_gcm_256 --\nN\n", id: "aes-256-gcm", status: Warning, text: "enable_gcm_256=N", fix: "echo Y"},
		{name: "FIPS", tree: "-- proc/sys/crypto/fips_enabled --\n1\n", id: "aes-256-gcm", status: Info, text: "FIPS mode"},
		{name: "no upcall_target", tree: "-- proc/sys/kernel/osrelease --\n6.1.0-18-amd64\n-- lib/modules/6.1.0-18-amd64/modules.builtin --\nkernel/fs/smb/client/cifs.ko\n", id: "upcall-target", status: Info, text: "older than 6.12"},
		{name: "leases by name", tree: "-- proc/sys/kernel/osrelease --\n6.1.0-56-amd64\n", id: "rename-lease", status: Info, text: "nolease"},
		{name: "leases by key", tree: "-- proc/sys/kernel/osrelease --\n6.12.118+deb13-amd64\n", id: "rename-lease", status: OK, text: "named"},
		{name: "forgeable keys", change: kernelSays(func(k *toldKernel) { k.addKey = nil }), id: "key-forgery", status: Warning, text: "any user", fix: "kernel"},
	}
}

// kernelSays changes what the kernel answers.
func kernelSays(change func(*toldKernel)) func(*Options) {
	return func(o *Options) {
		k := toldKernel{addKey: unix.EPERM}
		change(&k)
		o.Kernel = k
	}
}

func ruleFindings() []wrong {
	noStock := "-- etc/request-key.d/cifs.spnego.conf REMOVED --\n"
	noOurs := "-- etc/request-key.d/azfiles.conf REMOVED --\n"
	afterFiles := []string{"request-key-rule", "request-key-ties", "cifs-spnego-conf", "dns-resolver"}
	return []wrong{
		{
			name: "static helper", tree: "-- boot/config-6.12.0-azure --\nCONFIG_STATIC_USERMODEHELPER=y\nCONFIG_STATIC_USERMODEHELPER_PATH=\"\"\n",
			id: "usermode-helper", status: Problem, text: "starts no programs", fix: "CONFIG_STATIC_USERMODEHELPER",
		},
		{
			name: "other helper", tree: "-- boot/config-6.12.0-azure --\nCONFIG_STATIC_USERMODEHELPER=y\nCONFIG_STATIC_USERMODEHELPER_PATH=\"/sbin/helper\"\n",
			id: "usermode-helper", status: Warning, text: "/sbin/helper", fix: "/sbin/helper",
		},
		{name: "fewer capabilities", tree: "-- proc/sys/kernel/usermodehelper/bset --\n0\t0\n", id: "usermode-helper", status: Warning, text: "bset", fix: "sysctl"},
		{
			name: "no request-key", tree: "-- usr/sbin/request-key REMOVED --\n", id: "request-key", status: Problem, text: "/sbin/request-key is missing", fix: "apt-get install -y keyutils",
			skipped: []string{"dns-resolver"},
		},
		{name: "request-key without x", tree: "-- usr/sbin/request-key 644 --\n", id: "request-key", status: Problem, text: "no x", fix: "reinstall", skipped: []string{"dns-resolver"}},
		{name: "request-key of others", tree: "-- usr/sbin/request-key 757 --\n", id: "request-key", status: Warning, text: "0757", fix: "chmod go-w /sbin/request-key"},
		{name: "folder of the handler", tree: "-- usr/sbin/ 777 --\n", id: "handler", status: Warning, text: "they can write to /usr/sbin", fix: "chmod go-w /usr/sbin"},
		{name: "old request-key", change: func(o *Options) {
			p := hostPrograms()
			p["request-key"] = "request-key from keyutils-1.5.10 (Built 2014-02-21)"
			o.Exec = p.run
		}, id: "request-key", status: Info, text: "1.5.10"},
		{
			name: "no line end", tree: "-- etc/request-key.d/azfiles.conf --\ncreate cifs.spnego ver=0x2;host=* * /usr/sbin/azfiles.upcall %k<NO LINE END>\n",
			id: "request-key-files", status: Problem, text: "/etc/request-key.d/azfiles.conf:1", fix: "echo >> /etc/request-key.d/azfiles.conf", action: "request-key-rule", skipped: afterFiles,
		},
		{
			name: "no line end elsewhere", tree: "-- etc/request-key.d/cifs.spnego.conf --\ncreate cifs.spnego * * /usr/sbin/cifs.upcall %k<NO LINE END>\n",
			id: "request-key-files", status: Warning, text: "cuts off", fix: "echo >> /etc/request-key.d/cifs.spnego.conf", also: []string{"cifs-spnego-conf"},
		},
		{
			name: "malformed line", tree: "-- etc/request-key.d/other.conf --\n# fine\ncreate cifs.spnego\n",
			id: "request-key-files", status: Problem, text: "/etc/request-key.d/other.conf:2: it has too few columns: operation", fix: "line 2 of /etc/request-key.d/other.conf", skipped: afterFiles,
		},
		{
			name: "malformed word", tree: "-- etc/request-key.d/other.conf --\ncreate\n",
			id: "request-key-files", status: Problem, text: "too few columns", fix: "line 1", skipped: afterFiles,
		},
		{
			name: "malformed line of another type", tree: "-- etc/request-key.d/other.conf --\ncreate user debug:x\n",
			id: "request-key-files", status: Warning, text: "too few columns", fix: "line 1",
		},
		{
			name: "line too long", tree: "-- etc/request-key.d/other.conf --\n#" + strings.Repeat("x", 10) + "\ncreate user " + strings.Repeat("x", 5000) + " * /bin/x\n",
			id: "request-key-files", status: Problem, text: "too long", fix: "line 2", skipped: afterFiles,
		},
		{
			name: "two stars", tree: "-- etc/request-key.d/other.conf --\ncreate cifs.spnego *host=acct* * /bin/x %k\n",
			id: "request-key-files", status: Warning, text: "two *", fix: "line 1",
		},
		{
			name: "relative program", tree: "-- etc/request-key.d/other.conf --\ncreate user x * handler %k\n",
			id: "request-key-files", status: Warning, text: "not an absolute path", fix: "line 1",
		},
		{
			name: "rules of others", tree: "-- etc/request-key.d/azfiles.conf 666 --\ncreate cifs.spnego ver=0x2;host=* * /usr/sbin/azfiles.upcall %k\n",
			id: "request-key-files", status: Warning, text: "others than root", fix: "chmod go-w /etc/request-key.d/azfiles.conf",
		},
		{
			name: "no rule at all", tree: noStock + noOurs, id: "request-key-rule", status: Problem, text: "no rule matches", fix: "azfilesauth setup", action: "request-key-rule",
			also: []string{"cifs-spnego-conf"},
		},
		{name: "stock rule alone", tree: noOurs, id: "request-key-rule", status: Warning, text: "the rule of azfilesauth is missing", fix: "azfilesauth setup", action: "request-key-rule"},
		{
			name: "foreign rule", tree: "-- etc/request-key.d/zz.conf --\ncreate cifs.spnego ver=0x2;host=account* * /opt/other/upcall %k\n",
			id: "request-key-rule", status: Problem, text: "/etc/request-key.d/zz.conf:1 runs /opt/other/upcall", fix: "remove line 1",
		},
		{
			name: "bad macro", tree: "-- etc/request-key.d/azfiles.conf --\ncreate cifs.spnego ver=0x2;host=* * /usr/sbin/azfiles.upcall %z\n",
			id: "request-key-rule", status: Problem, text: "the macro %z", fix: "line 1", action: "request-key-rule",
		},
		{name: "no handler", tree: "-- usr/sbin/azfiles.upcall REMOVED --\n", id: "handler", status: Problem, text: "/usr/sbin/azfiles.upcall is missing", fix: "azfilesauth setup", action: "links"},
		{name: "another handler", tree: "-- usr/sbin/azfiles.upcall 755 --\n", id: "handler", status: Problem, text: "is not azfilesauth", fix: "mv /usr/sbin/azfiles.upcall /usr/sbin/azfiles.upcall.old && azfilesauth setup"},
		{name: "handler of others", tree: "-- usr/bin/azfilesauth 775 --\n", id: "handler", status: Warning, text: "0775", fix: "chmod go-w", also: []string{"links"}},
		{name: "handler does not run", change: func(o *Options) {
			p := hostPrograms()
			delete(p, "azfiles.upcall")
			o.Exec = p.run
		}, id: "handler", status: Problem, text: "does not run", fix: "install azfilesauth again"},
		{name: "tie", tree: "-- etc/request-key.d/a.conf --\ncreate cifs.spnego * * /opt/other/upcall %k\n", id: "request-key-ties", status: Warning, text: "just as well fits", fix: "keep one"},
		{name: "no cifs.spnego.conf", tree: noStock, id: "cifs-spnego-conf", status: Warning, text: "is missing", fix: "force-confmiss cifs-utils"},
		{name: "cifs.spnego.conf without key", tree: "-- etc/request-key.d/cifs.spnego.conf --\ncreate cifs.spnego * * /usr/sbin/cifs.upcall -t\n", id: "cifs-spnego-conf", status: Warning, text: "without %k", fix: "cifs-utils"},
		{name: "cifs.spnego.conf hardened", tree: "-- etc/request-key.d/cifs.spnego.conf --\ncreate cifs.spnego * * /bin/keyctl negate %k 30 %S\n-- bin/keyctl 755 --\n", id: "cifs-spnego-conf", status: OK},
		{name: "cifs.spnego.conf without program", tree: "-- usr/sbin/cifs.upcall REMOVED --\n", id: "cifs-spnego-conf", status: Warning, text: "which is missing", fix: "cifs-utils"},
		{
			name: "no cifs.upcall in mode cifs", tree: noStock + "-- usr/sbin/cifs.upcall REMOVED --\n-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 0\nupcall: {mode: cifs}\n",
			id: "cifs-upcall", status: Problem, text: "/usr/sbin/cifs.upcall is missing", fix: "cifs-utils",
		},
		{
			name: "old cifs.upcall in mode cifs", tree: "-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 0\nupcall: {mode: cifs}\n" + oldUpcall,
			id: "cifs-upcall", status: Problem, text: "6.11 demands", fix: "mode: native",
		},
		{name: "old cifs.upcall", tree: oldUpcall, id: "cifs-upcall", status: Info, text: "is not needed"},
		{name: "old cifs.upcall answers", tree: noOurs + oldUpcall, id: "cifs-upcall", status: Problem, text: "6.11 demands", fix: "azfilesauth setup", also: []string{"request-key-rule"}},
		{name: "no dns_resolver rule", tree: "-- etc/request-key.conf --\n", id: "dns-resolver", status: Warning, text: "no rule", fix: "keyutils"},
		{name: "no dns_resolver", tree: "-- usr/sbin/key.dns_resolver REMOVED --\n", id: "dns-resolver", status: Warning, text: "which is missing", fix: "keyutils"},
		{
			name: "failed logins", tree: "-- proc/keys --\n2b5a1a3e I------     1 perm 1f0b0000     0     0 keyring   .cifs_spnego: 1\n3b5a1a3e I----N-     1  42s 39010000     0     0 cifs.spne ver=0x2;host=x\n",
			id: "negative-keys", status: Warning, text: "1 failed", fix: "keyctl clear 0x2b5a1a3e",
		},
		{ // lines that the descriptions of a user's keys bring, and a request that he made himself
			name: "forged lines", tree: "-- proc/keys --\n4b5a1a3e I------     1 perm 1f0b0000  1000  1000 keyring   .cifs_spnego: 1\n5b5a1a3e I----N-     1  42s 39010000     0     0 cifs.spne ver=0x2;host=x\n" +
				"6b5a1a3e I----N-     1  42s 39010000     0     0 cifs.spne ver=0x2;host=y\n", id: "negative-keys", status: OK, text: "none",
		},
	}
}

// oldUpcall is a cifs.upcall that demands a ticket-granting ticket.
const oldUpcall = "-- usr/sbin/cifs.upcall 755 --\n<NUL>version: %s<NUL>6.11<NUL>\n"

func krb5Findings() []wrong {
	noOurs := "-- etc/request-key.d/azfiles.conf REMOVED --\n"
	after := []string{"default-realm", "enctypes", "default-ccache"}
	return []wrong{
		{name: "syntax", tree: "-- etc/krb5.conf --\n[libdefaults]\n  default_realm\n", id: "krb5-conf", status: Warning, text: "/etc/krb5.conf:2: there is no =", fix: "correct /etc/krb5.conf:2"},
		{
			name: "syntax, and the stock handler", tree: noOurs + "-- etc/krb5.conf --\n[libdefaults]\n  default_realm\n", id: "krb5-conf", status: Problem, text: "there is no =", fix: "correct",
			also: []string{"request-key-rule"}, skipped: after,
		},
		{name: "no includedir", tree: "-- etc/krb5.conf.d/ REMOVED --\n", id: "krb5-conf", status: Warning, text: "/etc/krb5.conf:3: the directory /etc/krb5.conf.d", fix: "mkdir -p /etc/krb5.conf.d"},
		{name: "no default_realm", tree: "-- etc/krb5.conf --\n[libdefaults]\n  rdns = false\n", id: "default-realm", status: Info, text: "not needed"},
		{name: "default_realm commented out", tree: "-- etc/krb5.conf --\n[libdefaults]\n#  default_realm = EXAMPLE.COM\n", id: "default-realm", status: Info, text: "commented out in /etc/krb5.conf:2"},
		{
			name: "no default_realm in mode cifs", tree: "-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 0\nupcall: {mode: cifs}\n-- etc/krb5.conf --\n[libdefaults]\n  rdns = false\n",
			id: "default-realm", status: Warning, text: "is not set", fix: "azfilesauth setup --edit-krb5-conf",
		},
		{
			name: "only SHA-2", tree: "-- etc/krb5.conf.d/crypto-policies -> /etc/crypto-policies/krb5.config --\n-- etc/crypto-policies/krb5.config --\n[libdefaults]\npermitted_enctypes = aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128\n",
			id: "enctypes", status: Warning, text: "sha384", fix: "AD-SUPPORT",
		},
		{name: "AES taken away", tree: "-- etc/krb5.conf --\n[libdefaults]\ndefault_realm = A\ndefault_tgs_enctypes = DEFAULT -aes256-cts -aes128-cts -aes\n", id: "enctypes", status: Warning, text: "permits only DEFAULT -aes256", fix: "add aes256-cts-hmac-sha1-96 to /etc/krb5.conf:3"},
		{name: "KCM", tree: "-- etc/krb5.conf.d/kcm_default_ccache --\n[libdefaults]\n  default_ccache_name = KCM:\n", id: "default-ccache", status: Info, text: "KCM:"},
		{
			name: "KCM, and the stock handler", tree: noOurs + "-- etc/krb5.conf.d/kcm_default_ccache --\n[libdefaults]\n  default_ccache_name = KCM:\n",
			id: "request-key-rule", status: Problem, text: "looks in KCM:", fix: "azfilesauth setup", action: "request-key-rule",
		},
	}
}

func surroundingsFindings() []wrong {
	const share = "36 29 0:51 / /mnt/share rw - cifs //acct.file.core.windows.net/share rw,sec=krb5,cruid=0\n"
	const sandboxed = "-- proc/200/ns/mnt -> mnt:[4026539999] --\n-- proc/1/mountinfo --\n" + share
	avc := `type=AVC msg=audit(1795434000.123:45): avc:  denied  { name_connect } for  pid=1 comm="azfiles.upcall" dest=443 scontext=system_u:system_r:keyutils_request_t:s0`
	armor := `audit: type=1400 audit(1795434000.1:7): apparmor="DENIED" operation="exec" profile="/sbin/request-key" comm="request-key"`
	return []wrong{
		{name: "sandboxed daemon", tree: sandboxed + "-- proc/200/mountinfo --\n" + share, id: "namespaces", status: OK, text: "that of the host"},
		{name: "daemon that misses a mount", tree: sandboxed + "-- proc/200/mountinfo --\n", id: "namespaces", status: Warning, text: "does not see /mnt/share", fix: "remove MountFlags="},
		{name: "no mount table", tree: "-- proc/1/mountinfo REMOVED --\n", id: "namespaces", status: Warning, text: "cannot be read", fix: "mount -t proc proc /proc"},
		{name: "in a container", tree: "-- proc/self/ns/mnt -> mnt:[4026539998] --\n", id: "namespaces", status: Info, text: "in a container"},
		{name: "SELinux", tree: "-- sys/fs/selinux/enforce --\n1\n-- var/log/audit/audit.log --\n" + avc + "\n", id: "selinux", status: Warning, text: "name_connect", fix: "restorecon"},
		{
			name: "AppArmor", tree: "-- sys/module/apparmor/parameters/enabled --\nY\n", change: kernelSays(func(k *toldKernel) { k.log = []LogLine{{7100 * time.Second, armor}} }),
			id: "selinux", status: Warning, text: "apparmor", fix: "aa-status",
		},
		{name: "kernel log", change: kernelSays(func(k *toldKernel) {
			k.log = []LogLine{
				{time.Second, "CIFS: VFS: bad cifs.upcall version. Expected 2 got 1"},
				{7000 * time.Second, "CIFS: VFS: \\\\acct Send error in SessSetup = -126"},
				{7001 * time.Second, "usb 1-1: new device"},
			}
		}), id: "kernel-log", status: Info, text: "the handler had no ticket"},
		{name: "no kernel log for users", change: func(o *Options) {
			kernelSays(func(k *toldKernel) { k.logErr = fs.ErrPermission })(o)
			o.EUID = 1000
		}, id: "kernel-log", status: Skipped, text: "root only"},
	}
}

// Every finding is told of its tree, with its fix, and nothing else is called broken.
func TestFindings(t *testing.T) {
	for _, f := range wrongs() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := look(t, hostTree(t, f.tree), f.change)
			f.verify(t, r)
		})
	}
}

func (want wrong) verify(t *testing.T, r Report) {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(f Finding) bool { return f.ID == want.id })
	if i < 0 {
		t.Fatalf("there is no check %s", want.id)
	}
	got := r.Checks[i]
	if got.Status != want.status || !strings.Contains(strings.Join(got.Evidence, "\n"), want.text) || !strings.Contains(got.Fix, want.fix) || got.Action != want.action {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	expected := append([]string{}, want.also...)
	if got.found() {
		expected = append(expected, string(want.id))
	}
	found := append(ids(r, Problem), ids(r, Warning)...)
	slices.Sort(expected)
	slices.Sort(found)
	if !slices.Equal(found, expected) {
		t.Errorf("found %v, want %v\n%s", found, expected, show(r))
	}
	for _, id := range want.skipped {
		if !slices.Contains(ids(r, Skipped), id) {
			t.Errorf("%s was checked all the same", id)
		}
	}
	if wantExit := map[Status]int{Problem: Failing, Warning: Degraded}[want.status]; r.Exit < wantExit {
		t.Errorf("exit %d, want %d", r.Exit, wantExit)
	}
}

// Every check has a tree in which it has something to say.
func TestEveryCheckCanFind(t *testing.T) {
	seen := map[ID]bool{"domain-realm": true} // TestDomainRealm
	for _, f := range wrongs() {
		seen[f.id] = seen[f.id] || f.status == Problem || f.status == Warning || f.status == Info
	}
	for _, c := range hostChecks() {
		if !seen[c.ID] {
			t.Errorf("no tree for %s", c.ID)
		}
	}
}

// The checks run side by side and change nothing of what they look at.
func TestWarningsOfTheConfigurationStay(t *testing.T) {
	root := hostTree(t, "-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 0\ndefault_identiy: system\n")
	s, err := New(Options{Host: machine(root)})
	must(t, err)
	before := slices.Clone(s.Config.Warnings)
	if r := checkConfig(t.Context(), s); r.Status != Warning || !slices.Equal(s.Config.Warnings, before) {
		t.Errorf("%+v\n%q", r, s.Config.Warnings)
	}
}

// A healthy machine yields nothing.
func TestHealthy(t *testing.T) {
	r := look(t, hostTree(t), nil)
	if found := append(ids(r, Problem), append(ids(r, Warning), append(ids(r, Info), ids(r, Skipped)...)...)...); len(found) > 0 || r.Exit != Healthy {
		t.Errorf("found %v\n%s", found, show(r))
	}
}

// A rule that confines azfiles.upcall is ours as well.
func TestConfined(t *testing.T) {
	root := hostTree(t, "-- etc/request-key.d/azfiles.conf --\ncreate cifs.spnego ver=0x2;host=* * /usr/bin/aa-exec -p azfiles.upcall -- /usr/sbin/azfiles.upcall %k\n")
	if r := image(t, root); r.Exit != Healthy {
		t.Errorf("got %s", show(r))
	}
}

// Two rules that fit equally well compete only where the order of the files decides.
func TestTies(t *testing.T) {
	for name, test := range map[string]struct {
		tree string
		want Status
	}{
		"in one file":          {"-- etc/request-key.d/cifs.spnego.conf --\ncreate cifs.spnego * * /usr/sbin/cifs.upcall %k\ncreate cifs.spnego * * /opt/x %k\n", OK},
		"in request-key.conf":  {"-- etc/request-key.conf --\ncreate cifs.spnego * * /opt/x %k\ncreate dns_resolver * * /sbin/key.dns_resolver %k\n", OK},
		"with the same effect": {"-- etc/request-key.d/b.conf --\ncreate cifs.spnego * * /usr/sbin/cifs.upcall %k\n", OK},
		"with another":         {"-- etc/request-key.d/b.conf --\ncreate cifs.spnego * * /usr/sbin/cifs.upcall -t %k\n", Warning},
	} {
		r := look(t, hostTree(t, test.tree), nil)
		i := slices.IndexFunc(r.Checks, func(f Finding) bool { return f.ID == "request-key-ties" })
		if r.Checks[i].Status != test.want {
			t.Errorf("%s: %+v", name, r.Checks[i])
		}
	}
}

// What the kernel does not have loaded cannot be asked, and says so.
func TestNotLoaded(t *testing.T) {
	root := hostTree(t, "-- proc/filesystems --\n\text4\n-- lib/modules/6.12.0-azure/modules.builtin --\nkernel/fs/smb/client/cifs.ko\n-- sys/module/cifs/ REMOVED --\n")
	r := look(t, root, kernelSays(func(k *toldKernel) { k.addKey = unix.ENODEV }))
	want := []string{"aes-256-gcm", "key-forgery"}
	if got := ids(r, Skipped); !slices.Equal(got, want) || r.Exit != Healthy {
		t.Errorf("skipped %v, want %v\n%s", got, want, show(r))
	}
}
