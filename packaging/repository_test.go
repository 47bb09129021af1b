//go:build packages

package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// served is the address at which serve gives out the repository, in a network of its own.
const served = "http://127.0.0.1:8088"

// signer makes a key that lives as long as the test, and gives its fingerprint.
func signer(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("", "gpg") // the path of gpg-agent's socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() {
		command(t, "gpgconf", "--kill", "all")
		_ = os.RemoveAll(home)
	})
	command(t, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Test of a repository <test@example.org>", "rsa3072", "sign", "never")
	for line := range strings.Lines(command(t, "gpg", "--batch", "--with-colons", "--list-secret-keys")) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			return f[9]
		}
	}
	t.Fatal("gpg made no key")
	return ""
}

// publish adds packages to the repository in dir.
func publish(t *testing.T, dir, key string, packages ...string) {
	t.Helper()
	dist := t.TempDir()
	for _, p := range packages {
		command(t, "cp", p, dist)
	}
	command(t, "./repository", dist, dir, served, key)
}

// inside runs a command of sh where nothing but the repository can be reached, and gives what it
// printed and whether it succeeded. The server ends with it.
func inside(t *testing.T, repository, shell string) (string, bool) {
	t.Helper()
	script := `ip link set lo up
python3 -m http.server 8088 --bind 127.0.0.1 --directory "$1" >/dev/null 2>&1 &
server=$!
until python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8088))' 2>/dev/null; do sleep 0.1; done
sh -c "$2" </dev/null && ok=0 || ok=1
kill $server
echo "ended with $ok"`
	out := with(t, nil, "unshare", "--net", "--mount", "sh", "-c", script, "sh", repository, shell)
	text, ok := strings.CutSuffix(out, "ended with 0\n")
	return text, ok
}

func repositoryOfAll(t *testing.T, key string) string {
	t.Helper()
	dir := t.TempDir()
	var packages []string
	for _, names := range all {
		for _, name := range names {
			packages = append(packages, built(t, name))
		}
	}
	publish(t, dir, key, packages...)
	return dir
}

func TestAptRepository(t *testing.T) {
	key := signer(t)
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			dir := repositoryOfAll(t, key)
			r := newRoot(t, suite, "wget")
			// Debian's own archive is not asked: what the package depends on is there.
			for _, name := range []string{"etc/apt/sources.list", "etc/apt/sources.list.d/0000debian.list"} {
				_ = os.Remove(r.path(name))
			}
			if suite == "bookworm" { // an upgrade there, a first installation elsewhere
				r.install(t, undivided(t))
			}
			r.write(t, "enter", "mount --bind /dev/null "+r.path("dev/null")+"; exec chroot "+string(r)+" \"$@\"\n")
			enter := "sh " + r.path("enter") + " "
			if out, ok := inside(t, dir, "wget -qO- "+served+"/install.sh | "+enter+"sh"); !ok || !strings.Contains(out, "azfilesauth") {
				t.Fatalf("install.sh failed: %s", out)
			}
			r.works(t)
			r.loads(t) // which is recommended

			newer := filepath.Join(t.TempDir(), "azfilesauth_2.0.1-1_amd64.deb")
			command(t, "cp", next(t, built(t, debAMD64)), newer)
			publish(t, dir, key, newer, built(t, rpmAMD64), built(t, rpmARM64))
			upgrade := enter + "apt-get update && " + enter + "apt-get install -y --only-upgrade azfilesauth"
			if out, ok := inside(t, dir, upgrade); !ok {
				t.Fatalf("the upgrade failed: %s", out)
			}
			equal(t, "version", command(t, "dpkg-query", "--admindir="+r.path("var/lib/dpkg"), "-Wf", "${Version}", "azfilesauth"), "2.0.1-1")

			index := filepath.Join(dir, "deb/dists/stable/InRelease")
			command(t, "sed", "-i", "s/^Label: azfilesauth/Label: somebody/", index)
			if err := os.Remove(filepath.Join(dir, "deb/dists/stable/Release.gpg")); err != nil {
				t.Fatal(err)
			}
			if out, ok := inside(t, dir, enter+"apt-get -o APT::Update::Error-Mode=any update"); ok {
				t.Errorf("apt takes a changed index: %s", out)
			}
		})
	}
}

// TestDnfRepository uses Debian's dnf. What Red Hat's packages would bring is a stand-in.
func TestDnfRepository(t *testing.T) {
	key := signer(t)
	dir := repositoryOfAll(t, key)
	standIn := t.TempDir()
	spec := root(standIn)
	system := strings.ReplaceAll(command(t, "sh", "-c", `rpm -qp --requires "$1" | grep -v '^rpmlib' | sort -u`, "sh", built(t, rpmLibAMD64)), "\n", " ")
	spec.write(t, "system.spec", `Name: system
Version: 1
Release: 1
Summary: stand-in
License: MIT
BuildArch: noarch
Provides: cifs-utils keyutils /bin/sh `+system+`
%description
Stand-in.
%files
`)
	command(t, "rpmbuild", "-bb", "--define", "_topdir "+standIn, spec.path("system.spec"))
	command(t, "createrepo_c", "--quiet", spec.path("RPMS/noarch"))
	spec.write(t, "repos/system.repo", "[system]\nname=system\nbaseurl=file://"+spec.path("RPMS/noarch")+"\ngpgcheck=0\n")
	command(t, "cp", filepath.Join(dir, "azfilesauth.repo"), spec.path("repos/"))
	spec.write(t, "log/hawkey.log", "")
	dnf := func(r root, rest string) (string, bool) {
		return inside(t, dir, "dnf --quiet -y --releasever=1 --setopt=reposdir="+spec.path("repos")+" --setopt=cachedir="+spec.path("cache")+
			" --setopt=persistdir="+spec.path("state")+" --setopt=logdir="+spec.path("log")+" --installroot="+string(r)+" "+rest)
	}
	installs := func(verb string, r root) {
		if out, ok := dnf(r, verb+" azfilesauth"); !ok {
			t.Fatalf("dnf %s failed: %s", verb, out)
		}
		r.works(t)
		r.loads(t)
		equal(t, verb, command(t, "rpm", "--root", string(r), "-q", "azfilesauth"), "azfilesauth-2.0.0-1.x86_64\n")
	}
	r := rpmRoot(t)
	installs("install", r)
	before := rpmRoot(t)
	before.rpm(t, "-i", undividedRPM(t))
	installs("upgrade", before)

	command(t, "sh", "-c", "echo >>"+filepath.Join(dir, "rpm/x86_64/repodata/repomd.xml"))
	if out, ok := dnf(r, "--setopt=azfilesauth.skip_if_unavailable=False --refresh makecache"); ok {
		t.Errorf("dnf takes a changed index: %s", out)
	}
}

// An unknown system is told so, and nothing is written.
func TestInstallScriptRefusesWhatItDoesNotKnow(t *testing.T) {
	key := signer(t)
	dir, r := repositoryOfAll(t, key), newRoot(t, "bookworm")
	if err := os.Remove(r.path("etc/os-release")); err != nil {
		t.Fatal(err)
	}
	r.write(t, "etc/os-release", "ID=alpine\n")
	command(t, "cp", filepath.Join(dir, "install.sh"), r.path("install.sh"))
	before := r.files(t)
	out, ok := inside(t, dir, "chroot "+string(r)+" sh /install.sh 2>&1")
	if ok || !strings.Contains(out, "no packages for this distribution (ID and ID_LIKE of /etc/os-release: alpine )") {
		t.Errorf("got %v: %s", ok, out)
	}
	r.sameFiles(t, before)
}

// TestSite makes the site; mkdocs fails at a link that leads nowhere.
func TestSite(t *testing.T) {
	r := root(t.TempDir())
	command(t, "site/build", r.path("site"))
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, page := range pages {
		if name := strings.TrimSuffix(filepath.Base(page), ".md"); !r.has("site/" + name + "/index.html") {
			t.Errorf("%s is not on the site", page)
		}
	}
	for _, want := range []string{`href="install/"`, `href="https://github.com/azfilesauth/azfilesauth/blob/main/SECURITY.md"`} {
		if !strings.Contains(r.read(t, "site/index.html"), want) {
			t.Errorf("the first page has no %s", want)
		}
	}
}

func TestUninstallTakesBackWhatInstallPut(t *testing.T) {
	r := root(t.TempDir())
	r.write(t, "usr/bin/other", "")
	r.write(t, "etc/request-key.d/other.conf", "")
	run := func(targets ...string) {
		command(t, "make", append([]string{"-C", "..", "DESTDIR=" + string(r)}, targets...)...)
	}
	before := r.files(t)
	run("install", "install-clib")
	if !r.has("etc/request-key.d/azfiles.conf") || !r.has("usr/lib/libazfilesauth.so.0") {
		t.Fatal("install put no rule or no library")
	}
	command(t, "systemctl", "--root="+string(r), "enable", "azfilesrefresh")
	if !r.has("etc/systemd/system/multi-user.target.wants/azfilesrefresh.service") {
		t.Fatal("it is not enabled")
	}
	r.write(t, "etc/azfilesauth/config.yaml", "USER_UID: 0\n")
	run("uninstall")
	equal(t, "config.yaml", r.read(t, "etc/azfilesauth/config.yaml"), "USER_UID: 0\n")
	command(t, "rm", "-r", r.path("etc/azfilesauth"))
	command(t, "find", string(r), "-mindepth", "1", "-type", "d", "-empty", "-delete")
	r.sameFiles(t, before)
}

// Installed elsewhere, no file of ours names the directories of packages, and setup and doctor find what is there.
func TestInstallElsewhere(t *testing.T) {
	r := newRoot(t, "bookworm")
	args := []string{"-C", "..", "DESTDIR=" + string(r), "PREFIX=/usr/local", "SBINDIR=/opt/az/sbin"}
	command(t, "make", append(args, "install")...)
	t.Cleanup(func() { command(t, "make", "-C", "..", "build") })
	equal(t, "rule", r.read(t, "etc/request-key.d/azfiles.conf")[strings.LastIndex(r.read(t, "etc/request-key.d/azfiles.conf"), "create"):],
		"create cifs.spnego ver=0x2;host=* * /opt/az/sbin/azfiles.upcall %k\n")
	for _, name := range []string{
		"usr/local/lib/systemd/system/azfilesrefresh.service", "usr/local/lib/systemd/system/azfiles-mount-retry.service",
		"usr/local/lib/azfilesauth/etc-files", "usr/local/share/azfilesauth/etc/request-key.d/azfiles.conf",
	} {
		for _, packaged := range []string{"/usr/bin/azfiles", "/usr/sbin/azfiles", "/usr/lib/azfilesauth/azfiles", "/usr/share/azfilesauth"} {
			if strings.Contains(r.read(t, name), packaged) {
				t.Errorf("%s names %s", name, packaged)
			}
		}
	}
	if out := r.run(t, "/usr/sbin/mount.azfiles", "-V"); !strings.Contains(out, "azfilesauth") {
		t.Errorf("mount(8) finds no helper: %s", out)
	}
	r.run(t, "rm", "/etc/request-key.d/azfiles.conf")
	r.run(t, "azfilesauth", "setup", "--root", "/")
	if !strings.Contains(r.read(t, "etc/request-key.d/azfiles.conf"), " /opt/az/sbin/azfiles.upcall ") {
		t.Error("setup writes a rule for another place")
	}
	command(t, "make", append(args, "uninstall")...)
	command(t, "sh", "-c", `! find "$1" -name '*azfiles*' -not -path '*/etc/azfilesauth*' -not -path '*/run/*' -not -path '*/var/lib/*' | grep .`, "sh", string(r))
}
