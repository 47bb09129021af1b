//go:build packages

package packaging

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func (r root) rpm(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, "rpm", append([]string{"--root", string(r), "--nodeps"}, args...)...)
}

func TestRPMDependsOnTwoPackages(t *testing.T) {
	for _, rpm := range []string{rpmAMD64, rpmARM64} {
		var names []string
		for name := range strings.Lines(command(t, "rpm", "-qp", "--requires", built(t, rpm))) {
			if !strings.HasPrefix(name, "rpmlib(") {
				names = append(names, strings.TrimSpace(name))
			}
		}
		slices.Sort(names)
		equal(t, rpm, strings.Join(slices.Compact(names), " "), "/bin/sh cifs-utils keyutils")
	}
}

// What rpmlint may say, and why, is in rpm/rpmlint.toml.
func TestRPMIsRpmlintClean(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		args := []string{"-c", "rpm/rpmlint.toml"}
		for _, rpm := range all[what{"rpm", arch}] { // together: the header asks for the library
			args = append(args, built(t, rpm))
		}
		if out := command(t, "rpmlint", args...); !strings.Contains(out, " 0 errors, 0 warnings,") {
			t.Errorf("%s:\n%s", arch, out)
		}
	}
}

// rpmRoot is a Debian with systemd, whose rpm database is empty, and with the library folder that RPM
// systems have.
func rpmRoot(t *testing.T) root {
	t.Helper()
	r := newRoot(t, "bookworm", "systemd")
	r.write(t, "etc/ld.so.conf.d/lib64.conf", "/usr/lib64\n")
	command(t, "rpm", "--root", string(r), "--initdb")
	return r
}

func TestRPMInstallUpgradeErase(t *testing.T) {
	r := rpmRoot(t)
	rpm := built(t, rpmAMD64)
	r.rpm(t, "-i", rpm, built(t, rpmLibAMD64), built(t, rpmDevAMD64), built(t, rpmSELinux))
	equal(t, "mode of config.yaml", r.mode(t, "etc/azfilesauth/config.yaml").String(), "-rw-------")
	r.enabled(t)
	r.works(t)
	r.loads(t)

	use(t, r)
	if err := os.Chmod(r.path("etc/azfilesauth/config.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	unit := "# by the administrator\n"
	r.write(t, "etc/systemd/system/azfilesrefresh.service", unit)
	r.rpm(t, "-U", "--replacepkgs", rpm)
	used(t, r)
	equal(t, "the administrator's unit", r.read(t, "etc/systemd/system/azfilesrefresh.service"), unit)
	if err := os.Remove(r.path("etc/systemd/system/azfilesrefresh.service")); err != nil {
		t.Fatal(err)
	}

	r.mounted(t)
	out := r.rpm(t, "-e", "azfilesauth", "azfilesauth-selinux")
	r.loads(t)
	if !strings.Contains(out, "umount /mnt/share\n") || strings.Contains(out, "/mnt/other") {
		t.Errorf("the removal does not tell what is mounted: %s", out)
	}
	equal(t, "config.yaml, kept", r.read(t, "etc/azfilesauth/config.yaml.rpmsave"), ownConfig)
	equal(t, "ticket", r.read(t, "run/azfilesauth/krb5cc_1001"), "ticket")
	for _, name := range []string{"usr/bin/azfilesauth", "etc/systemd/system/azfilesauth.service", "etc/systemd/system/multi-user.target.wants/azfilesrefresh.service"} {
		if r.has(name) {
			t.Errorf("erased, and there still: %s", name)
		}
	}
}

func TestRPMTakesUpstreamsPlace(t *testing.T) {
	r := rpmRoot(t)
	r.rpm(t, "-i", upstreamRPM(t))
	r.upstreamUsed(t)
	out := r.rpm(t, "-U", built(t, rpmAMD64), built(t, rpmLibAMD64))
	if strings.Count(out, "took azfilesuser out of") != 2 {
		t.Errorf("not told: %s", out)
	}
	equal(t, "installed", command(t, "rpm", "--root", string(r), "-q", "azfilesauth"), "azfilesauth-2.0.0-1.x86_64\n")
	r.replaced(t)
	r.loads(t)
	r.rpm(t, "-e", "azfilesauth")
}

// TestRPMDividesThePackage upgrades from the one package that held everything.
func TestRPMDividesThePackage(t *testing.T) {
	r := rpmRoot(t)
	r.rpm(t, "-i", undividedRPM(t))
	r.run(t, "ldconfig")
	r.loads(t)
	r.rpm(t, "-U", built(t, rpmAMD64), built(t, rpmLibAMD64), built(t, rpmDevAMD64))
	r.works(t)
	r.loads(t)
	equal(t, "what the linker finds", command(t, "rpm", "--root", string(r), "-qf", "/usr/include/azfilesauth.h", "/usr/lib64/libazfilesauth.so"),
		strings.Repeat("libazfilesauth-devel-2.0.0-1.x86_64\n", 2))
}

// TestRPMMovesNoTickets is about a configuration of 0 bytes, of ours and of upstream's.
func TestRPMMovesNoTickets(t *testing.T) {
	r, rpm := rpmRoot(t), built(t, rpmAMD64)
	r.rpm(t, "-i", rpm)
	r.cacheIs(t, "installed", "/run/azfilesauth/krb5cc_0", layer)
	r.emptied(t)
	r.cacheIs(t, "emptied", "/run/azfilesauth/krb5cc_0", layer)

	r = rpmRoot(t)
	r.rpm(t, "-i", upstreamRPM(t))
	r.upstreamUsed(t)
	r.write(t, "etc/azfilesauth/config.yaml", "")
	r.rpm(t, "-U", rpm)
	r.keptItsCache(t)
}

// upstreamRPM packs upstream's files, its unit where its package has it.
func upstreamRPM(t *testing.T) string {
	t.Helper()
	return packRPM(t, upstreamTree(t), "1.0-11", `%config(noreplace) /etc/azfilesauth/config.yaml
/etc/systemd/system/azfilesrefresh.service
/usr/bin/*
/usr/include/*
/usr/lib/lib*
/opt/azfilesauth
`)
}

// undividedRPM has what the package of ours had before the C library got packages of its own.
func undividedRPM(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	command(t, "sh", "-c", `rpm2cpio "$2" | cpio --quiet -idm -D "$1"; rpm2cpio "$3" | cpio --quiet -idm -D "$1"; rm -r "$1/usr/share"`, "sh", tree, built(t, rpmLibAMD64), built(t, rpmDevAMD64))
	return packRPM(t, tree, "2.0.0~git20261120.0123456789ab-1", "/usr/include/*\n/usr/lib64/*\n")
}

// packRPM packs the files of a tree.
func packRPM(t *testing.T, tree, version, files string) string {
	t.Helper()
	top := t.TempDir()
	spec := root(top)
	version, release, _ := strings.Cut(version, "-")
	spec.write(t, "upstream.spec", `Name: azfilesauth
Version: `+version+`
Release: `+release+`
Summary: stand-in
License: MIT
AutoReqProv: no
%define __os_install_post %{nil}
%define debug_package %{nil}
%description
stand-in for the package of Azure/AzFilesAuthenticator
%install
mkdir -p %{buildroot}
cp -a `+tree+`/. %{buildroot}
%files
`+files)
	command(t, "rpmbuild", "-bb", "--target", "x86_64-linux", "--define", "_topdir "+top, filepath.Join(top, "upstream.spec"))
	return filepath.Join(top, "RPMS/x86_64/azfilesauth-"+version+"-"+release+".x86_64.rpm")
}
