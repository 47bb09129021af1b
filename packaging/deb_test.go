//go:build packages

package packaging

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestDebDependsOnTwoPackages(t *testing.T) {
	for _, deb := range []string{debAMD64, debARM64} {
		equal(t, deb, command(t, "dpkg-deb", "-f", built(t, deb), "Depends"), "cifs-utils, keyutils\n")
	}
}

// The library asks for a C library that the oldest system of docs/install.md has, and no package of the programs for any.
func TestLibraryLoadsOnOlderSystems(t *testing.T) {
	for _, deb := range []string{debLibAMD64, debLibARM64} {
		equal(t, deb, command(t, "dpkg-deb", "-f", built(t, deb), "Depends"), "libc6 (>= 2.34)\n")
	}
	for _, rpm := range []string{rpmLibAMD64, rpmLibARM64} {
		newest := command(t, "sh", "-c", `rpm -qp --requires "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1`, "sh", built(t, rpm))
		equal(t, rpm, newest, "GLIBC_2.34\n")
	}
}

// Tags with a reason are in azfilesauth.lintian-overrides; an override that is no longer used is a tag, too.
// Spelling is not judged in binaries: what lintian takes for a word there is in dependencies or compressed data, and
// comes and goes with every build. Nor is the lack of a script of System V's init, of which newer versions do not know and
// take an override of it, or its suppression, for an error: the daemon is wanted where systemd runs, others run azfilesrefresh themselves.
func TestDebIsLintianClean(t *testing.T) {
	for _, deb := range slices.Concat(all[what{"deb", "amd64"}], all[what{"deb", "arm64"}]) {
		out := command(t, "lintian", "--allow-root", "--display-info", "--suppress-tags=spelling-error-in-binary", "--fail-on=none", built(t, deb))
		tags := slices.DeleteFunc(regexp.MustCompile(`(?m)^[EWI]: .*`).FindAllString(out, -1), func(tag string) bool {
			return strings.Contains(tag, ": package-supports-alternative-init-but-no-init.d-script ")
		})
		if len(tags) > 0 {
			t.Errorf("%s:\n%s", deb, strings.Join(tags, "\n"))
		}
	}
}

func TestDebInstallUpgradeRemovePurge(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			r := newRoot(t, suite)
			before := r.files(t)
			first := built(t, debAMD64)
			r.install(t, first, built(t, debLibAMD64), built(t, debDevAMD64))
			equal(t, "mode of config.yaml", r.mode(t, "etc/azfilesauth/config.yaml").String(), "-rw-------")
			equal(t, "config.yaml", r.read(t, "etc/azfilesauth/config.yaml"), r.read(t, "usr/share/azfilesauth/config.yaml"))
			r.enabled(t)
			r.works(t)
			r.loads(t)

			use(t, r)
			unit := r.read(t, "usr/lib/systemd/system/azfilesrefresh.service") + "# by the administrator\n"
			r.write(t, "etc/systemd/system/azfilesrefresh.service", unit)
			r.install(t, next(t, first))
			used(t, r)
			equal(t, "the administrator's unit", r.read(t, "etc/systemd/system/azfilesrefresh.service"), unit)
			if err := os.Remove(r.path("etc/systemd/system/azfilesrefresh.service")); err != nil {
				t.Fatal(err)
			}
			equal(t, "version", command(t, "dpkg-query", "--admindir="+r.path("var/lib/dpkg"), "-Wf", "${Version}", "azfilesauth"), "2.0.1-1")

			r.mounted(t)
			out := command(t, "dpkg", "--root="+string(r), "--remove", "azfilesauth")
			if !strings.Contains(out, "still mounted") || !strings.Contains(out, "umount /mnt/share\n") || strings.Contains(out, "/mnt/other") {
				t.Errorf("the removal does not tell what is mounted: %s", out)
			}
			used(t, r)
			if r.has("usr/bin/azfilesauth") {
				t.Error("removed, and there still")
			}
			r.loads(t)
			if err := os.RemoveAll(r.path("proc/self")); err != nil {
				t.Fatal(err)
			}
			command(t, "dpkg", "--root="+string(r), "--purge", "azfilesauth", "libazfilesauth0", "libazfilesauth-dev")
			for _, f := range []string{"var/log/azfilesauth.log", "var/log/azfilesrefresh.log.1.gz"} {
				if r.has(f) {
					t.Errorf("purged, and there still: %s", f)
				}
			}
			r.sameFiles(t, before)
		})
	}
}

// TestDebKeepsAnEarlierConfiguration installs over a configuration of root's own making, such as a container image has.
func TestDebKeepsAnEarlierConfiguration(t *testing.T) {
	r := newRoot(t, "bookworm")
	r.write(t, "etc/azfilesauth/config.yaml", "USER_UID: 0\n")
	r.install(t, built(t, debAMD64))
	equal(t, "config.yaml", r.read(t, "etc/azfilesauth/config.yaml"), "USER_UID: 0\n")
	if r.has("etc/azfilesauth/config.yaml.dpkg-keep") {
		t.Error("a second configuration is left")
	}
}

const layer = "usr/lib/azfilesauth/config.d/10-azfilesauth.yaml"

// cacheIs looks where a credential cache is, and which file says so.
func (r root) cacheIs(t *testing.T, what, path, file string) {
	t.Helper()
	out := r.run(t, "azfilesauth", "config", "show")
	if !regexp.MustCompile(`(?m)^KRB5_CC_NAME +` + path + ` +/` + regexp.QuoteMeta(file) + `:\d+$`).MatchString(out) {
		t.Errorf("%s: the tickets are not in %s, of %s:\n%s", what, path, file, out)
	}
}

// emptied does to a configuration what templates and upstream's 0-byte file do.
func (r root) emptied(t *testing.T) {
	t.Helper()
	r.write(t, "etc/azfilesauth/config.yaml", "")
	r.run(t, "azfilesauth", "config", "check")
}

// TestDebConfigurationThatIsEmptiedMovesNoTickets is about machines that only had our package.
func TestDebConfigurationThatIsEmptiedMovesNoTickets(t *testing.T) {
	r := newRoot(t, "bookworm")
	r.install(t, built(t, debAMD64))
	r.cacheIs(t, "installed", "/run/azfilesauth/krb5cc_0", layer)
	if r.has(upgradeFile) {
		t.Error("a first installation speaks of another program's tickets")
	}
	r.emptied(t)
	r.cacheIs(t, "emptied", "/run/azfilesauth/krb5cc_0", layer)
	r.install(t, next(t, built(t, debAMD64)))
	r.cacheIs(t, "emptied and upgraded", "/run/azfilesauth/krb5cc_0", layer)
	r.write(t, "etc/azfilesauth/config.yaml", "KRB5_CC_NAME: /srv/cc\n")
	r.cacheIs(t, "said otherwise", "/srv/cc", "etc/azfilesauth/config.yaml")
}

// TestDebUpgradeMovesNoTickets takes the place of upstream where its configuration says nothing: 0 bytes, as it
// ships it.
func TestDebUpgradeMovesNoTickets(t *testing.T) {
	for _, kind := range []string{"conffiles", "plain files", "make install"} {
		r := newRoot(t, "bookworm")
		tree := upstreamTree(t)
		if kind == "make install" {
			command(t, "cp", "-a", tree+"/.", string(r))
		} else {
			r.install(t, upstreamDeb(t, tree, kind == "conffiles"))
		}
		r.upstreamUsed(t)
		r.write(t, "etc/azfilesauth/config.yaml", "")
		r.install(t, built(t, debAMD64))
		r.keptItsCache(t)
		r.install(t, next(t, built(t, debAMD64)))
		r.keptItsCache(t)
	}
}

// keptItsCache looks for the cache that upstream has used: that of its user, in /tmp.
func (r root) keptItsCache(t *testing.T) {
	t.Helper()
	equal(t, "config.yaml", r.read(t, "etc/azfilesauth/config.yaml"), "")
	uid := strings.TrimSpace(r.run(t, "id", "-u", "azfilesuser"))
	r.cacheIs(t, "upgraded", "/tmp/krb5cc_"+uid, upgradeFile)
}

const ownConfig = "USER_UID: 1001\nKRB5_CC_NAME: /tmp/krb5cc_1001 # ours\n"

// use leaves what use leaves: an edited configuration, tickets and logs.
func use(t *testing.T, r root) {
	t.Helper()
	r.write(t, "etc/azfilesauth/config.yaml", ownConfig)
	r.write(t, "run/azfilesauth/krb5cc_1001", "ticket")
	r.write(t, "var/log/azfilesauth.log", "line\n")
	r.write(t, "var/log/azfilesrefresh.log.1.gz", "line\n")
}

func used(t *testing.T, r root) {
	t.Helper()
	equal(t, "config.yaml", r.read(t, "etc/azfilesauth/config.yaml"), ownConfig)
	equal(t, "mode of config.yaml", r.mode(t, "etc/azfilesauth/config.yaml").String(), "-rw-------")
	equal(t, "ticket", r.read(t, "run/azfilesauth/krb5cc_1001"), "ticket")
}

// next makes the package of a later version, whose default configuration is another.
func next(t *testing.T, deb string) string {
	t.Helper()
	return repack(t, deb, func(dir root) {
		command(t, "sed", "-i", "s/^Version: .*/Version: 2.0.1-1/", dir.path("DEBIAN/control"))
		command(t, "sed", "-i", "$ a # changed", dir.path("usr/share/azfilesauth/config.yaml"))
	})
}

// upstream is what Azure/AzFilesAuthenticator's package has.
var upstream = map[string]string{
	"etc/azfilesauth/config.yaml":                "# USER_UID: 0\nKRB5_CC_NAME: /tmp/krb5cc_1001\n",
	"etc/systemd/system/azfilesrefresh.service":  "[Service]\nExecStart=/usr/bin/azfilesrefresh\n[Install]\nWantedBy=multi-user.target\n",
	"usr/bin/azfilesauthmanager":                 "#!/usr/bin/env python3\nupstream\n",
	"usr/bin/azfilesrefresh":                     "#!/usr/bin/env python3\nupstream\n",
	"usr/include/azfilesauth.h":                  "/* upstream */\n",
	"usr/lib/libazfilesauth.so.0.0.0":            "upstream",
	"usr/lib/libazfilesauth.la":                  "upstream",
	"opt/azfilesauth/venv/lib/python3/module.py": "upstream\n",
}

// upstreamTree writes the files of upstream's package and its links.
func upstreamTree(t *testing.T) string {
	t.Helper()
	dir := root(t.TempDir())
	for name, content := range upstream {
		dir.write(t, name, content)
	}
	if err := os.Chmod(dir.path("etc/azfilesauth/config.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"libazfilesauth.so", "libazfilesauth.so.0"} {
		if err := os.Symlink("libazfilesauth.so.0.0.0", dir.path("usr/lib/"+link)); err != nil {
			t.Fatal(err)
		}
	}
	return string(dir)
}

// upstreamUsed does what upstream's first run and its README do.
func (r root) upstreamUsed(t *testing.T) {
	t.Helper()
	r.run(t, "groupadd", "-f", "sudo")
	r.run(t, "groupadd", "-f", "wheel")
	r.run(t, "useradd", "-m", "azfilesuser")
	r.run(t, "useradd", "-G", "sudo", "admin")
	r.run(t, "usermod", "-aG", "sudo,wheel", "azfilesuser")
	r.write(t, "etc/azfilesauth/config.yaml", ownConfig)
	command(t, "systemctl", "--root="+string(r), "enable", "azfilesrefresh")
	r.write(t, "run/azfilesauth/krb5cc_1001", "ticket")
}

// replaced looks for what is left of upstream.
func (r root) replaced(t *testing.T) {
	t.Helper()
	used(t, r)
	equal(t, "groups of azfilesuser", r.run(t, "id", "-nG", "azfilesuser"), "azfilesuser\n")
	equal(t, "groups of admin", r.run(t, "id", "-nG", "admin"), "admin sudo\n")
	for _, name := range []string{"usr/lib/libazfilesauth.la", "opt/azfilesauth", "etc/systemd/system/azfilesrefresh.service"} {
		if r.has(name) {
			t.Errorf("upstream's is there still: %s", name)
		}
	}
	r.enabled(t)
	r.works(t)
}

func TestDebTakesUpstreamsPlace(t *testing.T) {
	for _, suite := range suites {
		for _, kind := range []string{"conffiles", "plain files", "make install"} {
			t.Run(suite+"/"+kind, func(t *testing.T) {
				r := newRoot(t, suite)
				before := r.files(t)
				tree := upstreamTree(t)
				if kind == "make install" {
					command(t, "cp", "-a", tree+"/.", string(r))
				} else {
					r.install(t, upstreamDeb(t, tree, kind == "conffiles"))
				}
				r.upstreamUsed(t)
				out := r.install(t, built(t, debAMD64), built(t, debLibAMD64), built(t, debDevAMD64))
				if kind == "make install" { // what no package owns stays, but hides nothing of ours
					for _, f := range []string{"usr/lib/libazfilesauth.la", "usr/lib/libazfilesauth.so.0", "usr/lib/libazfilesauth.so.0.0.0", "opt/azfilesauth"} {
						if err := os.RemoveAll(r.path(f)); err != nil {
							t.Fatal(err)
						}
					}
				}
				if strings.Count(out, "took azfilesuser out of") != 2 {
					t.Errorf("not told: %s", out)
				}
				r.replaced(t)
				r.loads(t)
				command(t, "dpkg", "--root="+string(r), "--purge", "azfilesauth", "libazfilesauth0", "libazfilesauth-dev")
				r.run(t, "userdel", "-r", "azfilesuser")
				r.run(t, "userdel", "admin")
				left := slices.DeleteFunc(r.files(t), func(f string) bool { return !strings.Contains(f, "azfiles") })
				for _, f := range left {
					if !slices.Contains(before, f) {
						t.Errorf("left behind: %s", f)
					}
				}
			})
		}
	}
}

// libDir is where the C library is in the Debian packages for amd64.
const libDir = "/usr/lib/x86_64-linux-gnu/"

// undivided is a package as ours were before the C library got packages of its own.
func undivided(t *testing.T) string {
	t.Helper()
	return repack(t, built(t, debAMD64), func(dir root) {
		for _, deb := range []string{debLibAMD64, debDevAMD64} {
			command(t, "dpkg-deb", "-x", built(t, deb), string(dir))
		}
		command(t, "bash", "-c", "cd '"+dir.path("usr/lib")+"' && mv x86_64-linux-gnu/libazfilesauth.so* .")
		dir.write(t, "DEBIAN/triggers", "activate-noawait ldconfig\n")
		command(t, "sed", "-i", "s/^Version: .*/Version: 2.0.0~git20261120.0123456789ab-1/; /^Recommends:/d", dir.path("DEBIAN/control"))
	})
}

// TestDebDividesThePackage upgrades from the one package that held everything.
func TestDebDividesThePackage(t *testing.T) {
	old := undivided(t)
	programs, lib, dev := built(t, debAMD64), built(t, debLibAMD64), built(t, debDevAMD64)
	for name, upgrade := range map[string]func(r root){
		"dpkg":                func(r root) { r.install(t, programs, lib, dev) },
		"apt":                 func(r root) { r.apt(t, dev, lib, programs) },
		"one after the other": func(r root) { r.install(t, programs); r.install(t, lib); r.install(t, dev) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoot(t, "bookworm")
			before := r.files(t)
			r.install(t, old)
			r.loads(t)
			use(t, r)
			upgrade(r)
			used(t, r)
			r.works(t)
			r.loads(t)
			equal(t, "what pkg-config and the linker find", command(t, "dpkg-query", "--admindir="+r.path("var/lib/dpkg"), "-S", "/usr/include/azfilesauth.h", libDir+"libazfilesauth.so", "/usr/lib/libazfilesauth.so"),
				"libazfilesauth-dev: /usr/include/azfilesauth.h\nlibazfilesauth-dev: "+libDir+"libazfilesauth.so\nazfilesauth: /usr/lib/libazfilesauth.so\n")
			command(t, "dpkg", "--root="+string(r), "--purge", "azfilesauth", "libazfilesauth0", "libazfilesauth-dev")
			command(t, "rm", "-rf", r.path("tmp"), r.path("var/lib/apt"))
			gone := func(f string) bool { return strings.Contains(f, "azfiles") }
			if left := slices.DeleteFunc(r.files(t), func(f string) bool { return !gone(f) || slices.Contains(before, f) }); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
	r := newRoot(t, "bookworm")
	r.install(t, old)
	if out := r.install(t, programs); !strings.Contains(out, "the C library is a package of its own now: libazfilesauth0;") {
		t.Errorf("the library goes, and nobody is told: %s", out)
	}
}

// upstreamDeb packs the tree as debhelper does, where files below /etc are conffiles, or by hand.
func upstreamDeb(t *testing.T, tree string, conffiles bool) string {
	t.Helper()
	dir := root(tree)
	dir.write(t, "DEBIAN/control", "Package: azfilesauth\nVersion: 1.0-11\nArchitecture: amd64\nMaintainer: upstream <a@example.com>\n"+
		"Description: stand-in for the package of Azure/AzFilesAuthenticator\n")
	if conffiles {
		dir.write(t, "DEBIAN/conffiles", "/etc/azfilesauth/config.yaml\n/etc/systemd/system/azfilesrefresh.service\n")
	}
	command(t, "dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, tree+".deb")
	return tree + ".deb"
}
