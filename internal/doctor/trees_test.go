package doctor

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// documented are distributions as their documentation describes them, not as their packages leave
// them: package lists, spec files and manual pages. Those of Debian come from the packages, see
// TestDebian.
func documented() map[string]string {
	const keyutils = `
-- etc/request-key.conf --
create  dns_resolver *		*               /sbin/key.dns_resolver %k
negate	*	*		*		/bin/keyctl negate %k 30 %S
-- usr/sbin/request-key 755 --
-- usr/sbin/key.dns_resolver 755 --
-- usr/sbin/mount.cifs 4755 --
-- etc/passwd --
root:x:0:0:root:/root:/bin/bash
-- tmp/ 1777 --
-- bin -> usr/bin --
-- sbin -> usr/sbin --
-- lib -> usr/lib --
`
	const stock = `
-- usr/sbin/cifs.upcall 755 --
-- etc/request-key.d/cifs.spnego.conf --
create  cifs.spnego    * * /usr/sbin/cifs.upcall %k
-- etc/request-key.d/cifs.idmap.conf --
create  cifs.idmap    * * /usr/sbin/cifs.idmap %k
`
	return map[string]string{
		"Ubuntu 24.04": keyutils + stock + `
-- etc/os-release --
ID=ubuntu
ID_LIKE=debian
VERSION_ID="24.04"
-- etc/krb5.conf --
[libdefaults]
	default_realm = ATHENA.MIT.EDU
	kdc_timesync = 1
	ccache_type = 4
[realms]
	ATHENA.MIT.EDU = {
		kdc = kerberos.mit.edu
	}
[domain_realm]
	.mit.edu = ATHENA.MIT.EDU
`,
		"RHEL 9": keyutils + stock + `
-- etc/os-release --
ID="rhel"
ID_LIKE="fedora"
VERSION_ID="9.4"
-- etc/krb5.conf --
# To opt out of the system crypto-policies configuration of krb5, remove the
# symlink at /etc/krb5.conf.d/crypto-policies which will not be recreated.
includedir /etc/krb5.conf.d/

[logging]
    default = FILE:/var/log/krb5libs.log

[libdefaults]
    dns_lookup_realm = false
    ticket_lifetime = 24h
    rdns = false
    dns_canonicalize_hostname = fallback
    qualify_shortname = ""
#    default_realm = EXAMPLE.COM
    default_ccache_name = KEYRING:persistent:%{uid}

[realms]
# EXAMPLE.COM = {
#     kdc = kerberos.example.com
# }
-- etc/krb5.conf.d/crypto-policies -> /etc/crypto-policies/back-ends/krb5.config --
-- etc/crypto-policies/back-ends/krb5.config --
[libdefaults]
permitted_enctypes = aes256-cts-hmac-sha1-96 aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128 aes128-cts-hmac-sha1-96
-- etc/krb5.conf.d/kcm_default_ccache --
# This file should normally be installed by your distribution
[libdefaults]
    default_ccache_name = KCM:
`,
		"SLES 15": keyutils + stock + `
-- etc/os-release --
ID="sles"
ID_LIKE="suse"
VERSION_ID="15.6"
-- etc/krb5.conf --
includedir  /etc/krb5.conf.d

[libdefaults]
    dns_canonicalize_hostname = false
    rdns = false
    verify_ap_req_nofail = true
    default_ccache_name = KEYRING:persistent:%{uid}
-- etc/krb5.conf.d/ --
`,
		"Azure Linux 3": keyutils + `
-- etc/os-release --
ID=azurelinux
VERSION_ID="3.0"
-- etc/krb5.conf --
[libdefaults]
    dns_canonicalize_hostname = fallback
    rdns = false
includedir /etc/krb5.conf.d/
-- etc/krb5.conf.d/ --
`,
	}
}

// image looks at the files of a tree alone, with all checks.
func image(t testing.TB, root string) Report {
	t.Helper()
	s, err := New(Options{Host: machine(root), Version: "2.0.0"})
	must(t, err)
	return Run(context.Background(), s, All())
}

// A distribution with azfilesauth installed yields no finding, and without its rule or its mount.cifs
// it does, with the distribution's own command.
func verifyTree(t *testing.T, root, install string, withoutRule ID) {
	t.Helper()
	plant(t, root, product)
	if r := image(t, root); r.Exit != Healthy {
		t.Errorf("healthy: %s", show(r))
	}
	plant(t, root, "-- etc/request-key.d/azfiles.conf REMOVED --\n")
	if r := image(t, root); r.First == nil || r.First.ID != withoutRule {
		t.Errorf("no rule: %s", show(r))
	}
	plant(t, root, product+"-- sbin/mount.cifs REMOVED --\n-- usr/sbin/mount.cifs REMOVED --\n")
	if r := image(t, root); r.First == nil || r.First.ID != "mount-cifs" || r.Exit != Failing || !strings.HasPrefix(r.First.Fix, install) {
		t.Errorf("no mount.cifs: %s", show(r))
	}
}

func TestDocumentedDistributions(t *testing.T) {
	installs := map[string]string{"Ubuntu 24.04": "apt-get", "RHEL 9": "dnf", "SLES 15": "zypper", "Azure Linux 3": "tdnf"}
	for name, tree := range documented() {
		t.Run(name+" (from documentation)", func(t *testing.T) {
			root := t.TempDir()
			plant(t, root, tree)
			verifyTree(t, root, installs[name], "request-key-rule")
		})
	}
}

// The trees of Debian are those of the real packages.
func TestDebian(t *testing.T) {
	for _, suite := range []string{"bullseye", "bookworm", "trixie"} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			needs.Root(t) // whose the cache of the packages is
			root := t.TempDir()
			cache, err := filepath.Abs(filepath.Join("..", "..", ".cache", "doctor", suite))
			must(t, err)
			out, err := exec.Command("bash", "testdata/debian.sh", cache, suite, root).CombinedOutput()
			if err != nil {
				t.Fatalf("debian.sh (it needs apt and dpkg-deb, and the archive): %v\n%s", err, out)
			}
			first := ID("request-key-rule")
			if suite == "bullseye" { // whose cifs.upcall cannot take our place
				first = "cifs-upcall"
			}
			verifyTree(t, root, "apt-get", first)
		})
	}
}

// A machine without anything of ours and of cifs-utils tells the first link of the chain, and what
// follows from it is not checked.
func TestBareTree(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "-- tmp/ 1777 --\n-- etc/passwd --\nroot:x:0:0:root:/root:/bin/sh\n")
	r := image(t, root)
	if r.First == nil || r.First.ID != "links" || r.Exit != Failing || r.First.Action != "" || !strings.HasPrefix(r.First.Fix, "install the package of azfilesauth") {
		t.Errorf("got %s", show(r))
	}
	if got := ids(r, Problem); !slices.Equal(got, []string{"links", "mount-cifs", "request-key", "request-key-rule", "handler"}) {
		t.Errorf("problems %v", got)
	}
}

// BenchmarkOffline is the part that asks nobody; it is to take less than 100 ms.
func BenchmarkOffline(b *testing.B) {
	root := hostTree(b)
	for b.Loop() {
		image(b, root)
	}
}
