//go:build packages

package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

const rule = "etc/request-key.d/azfiles.conf"

// handler is the program that the kernel's request for a login at a server of somebody else goes to.
// It must be there: a rule without its program fails every Kerberos mount of the machine.
func (r root) handler(t *testing.T) string {
	t.Helper()
	files := requestkey.Files{Directory: r.path("etc/request-key.d"), Last: r.path("etc/request-key.conf")}
	won, err := files.Winner(requestkey.Request{
		Op: "create", Type: "cifs.spnego", Callout: "",
		Description: "ver=0x2;host=nas.example.org;ip4=192.0.2.7;sec=krb5;uid=0x0;creduid=0x0;user=root;pid=0x2a",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	program, _, _, err := won.Argv(requestkey.Macros{})
	if err != nil {
		t.Fatal(err)
	}
	r.run(t, "test", "-x", program)
	return program
}

const (
	oursAnswers  = "/usr/sbin/azfiles.upcall"
	stockAnswers = "/usr/sbin/cifs.upcall"
)

func TestDebRuleIsThereWithItsProgramOnly(t *testing.T) {
	r, deb := newRoot(t, "bookworm"), built(t, debAMD64)
	step := func(what, want string) {
		t.Helper()
		equal(t, what+": who is asked for another server", r.handler(t), want)
	}
	dpkg := func(args ...string) string {
		t.Helper()
		return command(t, "dpkg", append([]string{"--root=" + string(r)}, args...)...)
	}
	step("before", stockAnswers)
	dpkg("--unpack", deb)
	step("unpacked", stockAnswers)
	dpkg("--configure", "azfilesauth")
	step("installed", oursAnswers)
	dpkg("--install", next(t, deb))
	step("upgraded", oursAnswers)
	r.script(t, "prerm", "remove")
	step("about to be removed", stockAnswers)
	r.script(t, "postinst", "abort-remove")
	step("not removed after all", oursAnswers)
	dpkg("--remove", "azfilesauth")
	step("removed", stockAnswers)
	dpkg("--install", deb)
	step("installed again", oursAnswers)
	r.enabled(t)
	command(t, "systemctl", "--root="+string(r), "disable", "azfilesrefresh")
	dpkg("--remove", "azfilesauth")
	dpkg("--install", deb)
	if out, _ := exec.Command("systemctl", "--root="+string(r), "is-enabled", "azfilesrefresh").CombinedOutput(); string(out) != "disabled\n" {
		t.Errorf("disabled, removed and installed again: %s", out)
	}
	dpkg("--purge", "azfilesauth")
	step("purged", stockAnswers)
	for _, name := range []string{rule, "etc/systemd/system/multi-user.target.wants/azfilesrefresh.service", "etc/systemd/system/azfilesauth.service", "usr/lib/systemd/system-generators/azfiles-generator"} {
		if r.has(name) {
			t.Errorf("purged, and there still: %s", name)
		}
	}
}

// script runs a script of our package as dpkg does.
func (r root) script(t *testing.T, name, arg string) {
	t.Helper()
	r.run(t, "env", "DPKG_MAINTSCRIPT_NAME="+name, "DPKG_MAINTSCRIPT_PACKAGE=azfilesauth", "/var/lib/dpkg/info/azfilesauth."+name, arg)
}

// TestDebBringsAppArmorIntoForce holds that the profiles come and go with the programs, are loaded and unloaded where
// AppArmor is on, and stay as an administrator has edited them.
func TestDebBringsAppArmorIntoForce(t *testing.T) {
	r, deb := newRoot(t, "bookworm"), built(t, debAMD64)
	const profile, calls = "etc/apparmor.d/azfilesauth", "tmp/calls"
	loaded := func(what, want string) {
		t.Helper()
		got := ""
		if r.has(calls) {
			got = r.read(t, calls)
			if err := os.Remove(r.path(calls)); err != nil {
				t.Fatal(err)
			}
		}
		equal(t, what, got, want)
	}
	r.install(t, deb)
	if r.has("etc/apparmor.d") {
		t.Error("profiles, and no AppArmor")
	}
	for name, script := range map[string]string{"usr/bin/aa-enabled": "exit 0", "usr/sbin/apparmor_parser": "[ -e $4 ] && echo $* >>/" + calls} {
		r.write(t, name, "#!/bin/sh\n"+script+"\n")
		command(t, "chmod", "0755", r.path(name))
	}
	r.write(t, "etc/apparmor.d/abstractions/base", "")
	later := next(t, deb)
	r.install(t, later)
	loaded("upgraded", "-r -T -W /etc/apparmor.d/azfilesauth\n")
	edited := r.read(t, profile) + "# edited\n"
	r.write(t, profile, edited)
	r.install(t, later)
	loaded("edited, upgraded", "-r -T -W /etc/apparmor.d/azfilesauth\n")
	equal(t, "edited, upgraded", r.read(t, profile), edited)
	command(t, "dpkg", "--root="+string(r), "--remove", "azfilesauth")
	loaded("removed", "-R -T -W /etc/apparmor.d/azfilesauth\n")
	for _, name := range []string{profile, "etc/apparmor.d/abstractions/azfilesauth", "etc/apparmor.d/abstractions/azfilesauth-read"} {
		if r.has(name) {
			t.Errorf("removed, and there still: %s", name)
		}
	}
	r.install(t, deb)
	equal(t, "edited, installed again", r.read(t, profile), edited)
	command(t, "dpkg", "--root="+string(r), "--purge", "azfilesauth")
	if left, _ := filepath.Glob(r.path("etc/apparmor.d/*/azfiles*")); len(left) > 0 || r.has(profile+".dpkg-old") {
		t.Errorf("purged, and there still: %q", left)
	}
}

func TestDebKeepsWhatAnAdministratorDidToTheRule(t *testing.T) {
	r, deb := newRoot(t, "bookworm"), built(t, debAMD64)
	later := next(t, deb)
	r.install(t, deb)
	shipped := r.read(t, rule)
	r.install(t, changed(t, deb, "usr/share/azfilesauth/"+rule))
	equal(t, "not edited, upgraded", r.read(t, rule), shipped+"# changed\n")
	edited := strings.ReplaceAll(shipped, "%k", "%k # edited")
	r.write(t, rule, edited)
	r.install(t, later)
	equal(t, "edited, upgraded", r.read(t, rule), edited)
	command(t, "dpkg", "--root="+string(r), "--remove", "azfilesauth")
	equal(t, "edited, removed: who is asked", r.handler(t), stockAnswers)
	r.install(t, deb)
	equal(t, "edited, installed again", r.read(t, rule), edited)
	if err := os.Remove(r.path(rule)); err != nil {
		t.Fatal(err)
	}
	r.install(t, later)
	if r.has(rule) {
		t.Error("deleted, and put back by an upgrade")
	}
}

// TestDebRuleWasAConffile upgrades from a version of ours in which it was.
func TestDebRuleWasAConffile(t *testing.T) {
	deb := built(t, debAMD64)
	old := repack(t, deb, func(dir root) {
		dir.write(t, "DEBIAN/conffiles", "/etc/logrotate.d/azfilesauth\n/"+rule+"\n")
		dir.write(t, rule, dir.read(t, "usr/share/azfilesauth/"+rule)+"# of an older version\n")
		for _, script := range []string{"preinst", "postinst", "prerm", "postrm"} {
			if err := os.Remove(dir.path("DEBIAN/" + script)); err != nil {
				t.Fatal(err)
			}
		}
	})
	for _, edit := range []string{"", "# edited\n"} {
		r := newRoot(t, "bookworm")
		r.install(t, old)
		want := r.read(t, rule) + edit
		r.write(t, rule, want)
		r.install(t, deb)
		if edit == "" {
			want = r.read(t, "usr/share/azfilesauth/"+rule)
		}
		equal(t, "the rule", r.read(t, rule), want)
		if out := command(t, "dpkg-query", "--admindir="+r.path("var/lib/dpkg"), "-Wf", "${Conffiles}", "azfilesauth"); strings.Contains(out, rule) {
			t.Errorf("it is a conffile still: %s", out)
		}
		command(t, "dpkg", "--root="+string(r), "--remove", "azfilesauth")
		equal(t, "removed: who is asked", r.handler(t), stockAnswers)
		command(t, "dpkg", "--root="+string(r), "--purge", "azfilesauth")
		for _, name := range []string{rule, rule + ".dpkg-old", rule + ".dpkg-bak", rule + ".dpkg-remove"} {
			if r.has(name) {
				t.Errorf("purged, and there still: %s", name)
			}
		}
	}
}

// TestDebGoesBack installs upstream's package over ours again. Its unit must be there, be the one that
// systemd starts, and nothing may lead to our programs. Our library and our header may stay installed.
func TestDebGoesBack(t *testing.T) {
	for _, conffiles := range []bool{true, false} {
		r := newRoot(t, "bookworm")
		old := upstreamDeb(t, upstreamTree(t), conffiles)
		r.install(t, old)
		r.upstreamUsed(t)
		r.install(t, built(t, debAMD64))
		equal(t, "with ours: who is asked", r.handler(t), oursAnswers)
		if conffiles {
			r.install(t, built(t, debLibAMD64), built(t, debDevAMD64))
			r.install(t, old)
		} else {
			r.install(t, built(t, debLibAMD64))
			r.apt(t, old)
		}
		r.wentBack(t)
		equal(t, "upstream's library", r.read(t, "usr/lib/libazfilesauth.so.0"), upstream["usr/lib/libazfilesauth.so.0.0.0"])
		if conffiles { // a plain file is upstream's to overwrite
			equal(t, "config.yaml", r.read(t, "etc/azfilesauth/config.yaml"), ownConfig)
		}
		r.install(t, built(t, debAMD64))
		r.enabled(t)
		r.works(t)
	}
	r := newRoot(t, "bookworm")
	r.install(t, built(t, debAMD64))
	r.install(t, repack(t, upstreamDeb(t, upstreamTree(t), false), func(dir root) { // one that is to come
		command(t, "sed", "-i", "s/^Version: .*/Version: 3.0-1/", dir.path("DEBIAN/control"))
	}))
	r.wentBack(t)
}

func (r root) wentBack(t *testing.T) {
	t.Helper()
	equal(t, "gone back: who is asked", r.handler(t), stockAnswers)
	equal(t, "upstream's unit", r.read(t, "etc/systemd/system/azfilesrefresh.service"), upstream["etc/systemd/system/azfilesrefresh.service"])
	wanted, _ := os.Readlink(r.path("etc/systemd/system/multi-user.target.wants/azfilesrefresh.service"))
	equal(t, "what starts at boot", wanted, "/etc/systemd/system/azfilesrefresh.service")
	equal(t, "is-enabled", command(t, "systemctl", "--root="+string(r), "is-enabled", "azfilesrefresh"), "enabled\n")
	equal(t, "the daemon", r.read(t, "usr/bin/azfilesrefresh"), upstream["usr/bin/azfilesrefresh"])
	for _, name := range []string{"usr/bin/azfilesauth", "usr/sbin/azfiles.upcall", "etc/systemd/system/azfilesauth.service"} {
		if r.has(name) {
			t.Errorf("gone back, and there still: %s", name)
		}
	}
}

// TestDebThatDoesNotUnpack has each of the two packages fail to take the other's place, because a third one has one of its
// files. The one that was there must be as it was: its unit, enabled, and its rule.
func TestDebThatDoesNotUnpack(t *testing.T) {
	fails := func(r root, deb, name string) {
		t.Helper()
		tree := root(t.TempDir() + "/third")
		tree.write(t, name, "of somebody else\n")
		tree.write(t, "DEBIAN/control", "Package: third\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: has a file\n")
		command(t, "dpkg-deb", "--root-owner-group", "-Znone", "-b", string(tree), string(tree)+".deb")
		r.install(t, string(tree)+".deb")
		out, err := exec.Command("dpkg", "--root="+string(r), "--install", deb).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "trying to overwrite") {
			t.Fatalf("%v\n%s", err, out)
		}
		command(t, "dpkg", "--root="+string(r), "--purge", "third")
	}
	ours := built(t, debAMD64)
	for _, kind := range []string{"conffiles", "plain files", "make install"} {
		r, tree := newRoot(t, "bookworm"), upstreamTree(t)
		if kind == "make install" {
			command(t, "cp", "-a", tree+"/.", string(r))
		} else {
			r.install(t, upstreamDeb(t, tree, kind == "conffiles"))
		}
		r.upstreamUsed(t)
		fails(r, ours, "usr/share/azfilesauth/schema/output.schema.json")
		r.wentBack(t)
		equal(t, kind+": config.yaml", r.read(t, "etc/azfilesauth/config.yaml"), ownConfig)
		r.install(t, ours)
		r.enabled(t)
		equal(t, kind+": who is asked", r.handler(t), oursAnswers)
	}
	r := newRoot(t, "bookworm")
	r.install(t, ours)
	fails(r, upstreamDeb(t, upstreamTree(t), true), "usr/lib/libazfilesauth.la")
	equal(t, "not gone back: who is asked", r.handler(t), oursAnswers)
	r.enabled(t)
	r.works(t)
	for _, gone := range []string{"usr/bin/azfilesrefresh", "usr/lib/azfilesauth/etc-files"} { // dpkg was killed meanwhile, and goes on
		if err := os.Remove(r.path(gone)); err != nil {
			t.Fatal(err)
		}
	}
	r.script(t, "postrm", "upgrade")
}

// TestPackageOverASetup installs over what "azfilesauth setup" has made for a binary that was copied.
func TestPackageOverASetup(t *testing.T) {
	setup := func(r root) {
		command(t, "cp", unpacked(t, debAMD64).path("usr/bin/azfilesauth"), r.path("usr/bin/"))
		r.run(t, "azfilesauth", "setup")
	}
	for kind, install := range map[string]func(r root){
		"deb": func(r root) { r.install(t, built(t, debAMD64)) },
		"rpm": func(r root) { r.rpm(t, "-i", built(t, rpmAMD64)) },
	} {
		t.Run(kind, func(t *testing.T) {
			r := rpmRoot(t)
			setup(r)
			install(r)
			r.enabled(t)
			r.run(t, "azfilesauth", "setup", "--undo")
			if r.has("etc/systemd/system/azfilesrefresh.service") {
				t.Error("a unit hides the packaged one")
			}
			r.enabled(t)
			r.works(t)
		})
	}
	r := newRoot(t, "bookworm")
	r.install(t, built(t, debAMD64))
	command(t, "dpkg", "--root="+string(r), "--remove", "azfilesauth")
	setup(r)
	use(t, r)
	command(t, "dpkg", "--root="+string(r), "--purge", "azfilesauth")
	used(t, r)
	equal(t, "set up after a removal, purged: who is asked", r.handler(t), oursAnswers)
}

// TestDebStartsItsOwnDaemon holds that a daemon that ran before, without a package, does not stay in the place of ours.
func TestDebStartsItsOwnDaemon(t *testing.T) {
	r, deb := newRoot(t, "bookworm"), built(t, debAMD64)
	const calls = "tmp/calls"
	r.write(t, "run/systemd/system/x", "")
	r.write(t, "usr/bin/systemctl", "#!/bin/sh\necho \"$*\" >>/"+calls+"\n[ \"$2\" != is-enabled ] || echo enabled\n")
	command(t, "chmod", "0755", r.path("usr/bin/systemctl"))
	asked := func(what, want string) {
		t.Helper()
		got := regexp.MustCompile(`(?m)\b(stop|start|restart) azfilesrefresh.service$`).FindAllString(r.read(t, calls), -1)
		equal(t, what, strings.Join(got, ", "), want)
		r.write(t, calls, "")
	}
	r.install(t, deb)
	asked("installed", "stop azfilesrefresh.service, start azfilesrefresh.service")
	r.install(t, next(t, deb))
	asked("upgraded", "restart azfilesrefresh.service")
}

// repack changes a package; it stays of the same version.
func repack(t *testing.T, deb string, change func(dir root)) string {
	t.Helper()
	dir := root(t.TempDir() + "/deb")
	command(t, "dpkg-deb", "-R", deb, string(dir))
	change(dir)
	out := string(dir) + ".deb"
	command(t, "dpkg-deb", "--root-owner-group", "-Znone", "-b", string(dir), out)
	return out
}

// changed gives the package one more line in a file.
func changed(t *testing.T, deb, name string) string {
	t.Helper()
	return repack(t, deb, func(dir root) { dir.write(t, name, dir.read(t, name)+"# changed\n") })
}

func TestRPMRuleIsThereWithItsProgramOnly(t *testing.T) {
	r, rpm := rpmRoot(t), built(t, rpmAMD64)
	r.rpm(t, "-i", rpm)
	equal(t, "installed: who is asked", r.handler(t), oursAnswers)
	r.rpm(t, "-U", "--replacepkgs", rpm)
	equal(t, "upgraded: who is asked", r.handler(t), oursAnswers)
	edited := r.read(t, rule) + "# edited\n"
	r.write(t, rule, edited)
	r.rpm(t, "-e", "azfilesauth")
	equal(t, "erased: who is asked", r.handler(t), stockAnswers)
	r.rpm(t, "-i", rpm)
	equal(t, "edited, installed again", r.read(t, rule), edited)
	equal(t, "installed again: who is asked", r.handler(t), oursAnswers)
}

func TestRPMGoesBack(t *testing.T) {
	r, old := rpmRoot(t), upstreamRPM(t)
	r.rpm(t, "-i", old)
	r.upstreamUsed(t)
	r.rpm(t, "-U", built(t, rpmAMD64), built(t, rpmLibAMD64))
	equal(t, "with ours: who is asked", r.handler(t), oursAnswers)
	r.rpm(t, "-e", "libazfilesauth0")
	r.rpm(t, "-U", "--oldpackage", old)
	r.wentBack(t)
	equal(t, "config.yaml", r.read(t, "etc/azfilesauth/config.yaml"), ownConfig)
	r.rpm(t, "-U", built(t, rpmAMD64))
	equal(t, "ours again: who is asked", r.handler(t), oursAnswers)
	r.enabled(t)
}

const upgradeFile = "etc/azfilesauth/config.d/50-upgrade.yaml"

// stranded has a mount that upstream's daemon serves as the machine, live or in fstab.
func (r root) stranded(t *testing.T, live bool) {
	t.Helper()
	if live {
		r.mounted(t)
	} else {
		r.write(t, "etc/fstab", "//acct.file.core.windows.net/share /mnt/share cifs _netdev,sec=krb5,cruid=1001 0 0\n")
	}
}

// namesTheMachine looks for the default that such mounts need.
func (r root) namesTheMachine(t *testing.T, out string) {
	t.Helper()
	if !strings.Contains(r.read(t, upgradeFile), "\ndefault_identity: system\n") {
		t.Errorf("%s: %s", upgradeFile, r.read(t, upgradeFile))
	}
	if want := "/" + upgradeFile + " says so now: default_identity: system\n"; !strings.Contains(out, want) || !strings.Contains(out, "acct.file.core.windows.net") {
		t.Errorf("not told: %s", out)
	}
	if out := r.run(t, "azfilesauth", "config", "show"); !strings.Contains(out, "/"+upgradeFile) {
		t.Errorf("not in effect: %s", out)
	}
}

func TestDebUpgradeKeepsTheMachinesMounts(t *testing.T) {
	for _, live := range []bool{true, false} {
		r := newRoot(t, "bookworm")
		r.install(t, upstreamDeb(t, upstreamTree(t), true))
		r.upstreamUsed(t)
		r.stranded(t, live)
		r.namesTheMachine(t, r.install(t, built(t, debAMD64)))
	}
	r := newRoot(t, "bookworm")
	r.install(t, upstreamDeb(t, upstreamTree(t), true))
	r.install(t, built(t, debAMD64))
	r.stranded(t, true)
	r.install(t, next(t, built(t, debAMD64)))
	if r.has(upgradeFile) {
		t.Error("an upgrade of ours chose an identity")
	}
}

func TestRPMUpgradeKeepsTheMachinesMounts(t *testing.T) {
	r, rpm := rpmRoot(t), built(t, rpmAMD64)
	r.rpm(t, "-i", upstreamRPM(t))
	r.upstreamUsed(t)
	r.stranded(t, false)
	r.namesTheMachine(t, r.rpm(t, "-U", rpm))
	if err := os.Remove(r.path(upgradeFile)); err != nil {
		t.Fatal(err)
	}
	r.rpm(t, "-U", "--replacepkgs", rpm)
	if r.has(upgradeFile) {
		t.Error("an upgrade of ours chose an identity")
	}
}
