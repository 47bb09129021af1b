//go:build packages

package packaging

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The packages with the programs, those with the C library, and those with its header.
const (
	debAMD64    = "azfilesauth_2.0.0-1_amd64.deb"
	debARM64    = "azfilesauth_2.0.0-1_arm64.deb"
	rpmAMD64    = "azfilesauth-2.0.0-1.x86_64.rpm"
	rpmARM64    = "azfilesauth-2.0.0-1.aarch64.rpm"
	debLibAMD64 = "libazfilesauth0_2.0.0-1_amd64.deb"
	debLibARM64 = "libazfilesauth0_2.0.0-1_arm64.deb"
	rpmLibAMD64 = "libazfilesauth0-2.0.0-1.x86_64.rpm"
	rpmLibARM64 = "libazfilesauth0-2.0.0-1.aarch64.rpm"
	debDevAMD64 = "libazfilesauth-dev_2.0.0-1_amd64.deb"
	debDevARM64 = "libazfilesauth-dev_2.0.0-1_arm64.deb"
	rpmDevAMD64 = "libazfilesauth-devel-2.0.0-1.x86_64.rpm"
	rpmDevARM64 = "libazfilesauth-devel-2.0.0-1.aarch64.rpm"
	rpmSELinux  = "azfilesauth-selinux-2.0.0-1.noarch.rpm"
)

var suites = []string{"bookworm", "trixie"}

// command runs a program without input and gives what it printed; a failure ends the test.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	return with(t, nil, name, args...)
}

// with is command with additions to the environment.
func with(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), append(env, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// what packaging/build is asked for.
type what struct{ kind, arch string }

// all are the packages that each call of packaging/build gives.
var all = map[what][]string{
	{"deb", "amd64"}: {debAMD64, debLibAMD64, debDevAMD64},
	{"deb", "arm64"}: {debARM64, debLibARM64, debDevARM64},
	{"rpm", "amd64"}: {rpmAMD64, rpmLibAMD64, rpmDevAMD64, rpmSELinux},
	{"rpm", "arm64"}: {rpmARM64, rpmLibARM64, rpmDevARM64},
}

// built gives the path of a package, which is built once for the whole run, or was before it: then it is
// in $AZFILES_DIST.
func built(t *testing.T, name string) string {
	t.Helper()
	if dir := os.Getenv("AZFILES_DIST"); dir != "" {
		return filepath.Join(dir, name)
	}
	dir := filepath.Join(cache(t), "dist")
	builds.Lock()
	defer builds.Unlock()
	for w, names := range all {
		if !slices.Contains(names, name) {
			continue
		}
		err, done := builds.done[w]
		if !done {
			err = build(dir, w)
			builds.done[w] = err
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	t.Fatalf("nothing builds %s", name)
	return ""
}

var builds = struct {
	sync.Mutex
	done map[what]error
}{done: map[what]error{}}

// build builds packages into dir, and holds that they are those of all: none is missing, there is no other.
func build(dir string, w what, env ...string) error {
	cmd := exec.Command("./build", w.kind, w.arch)
	cmd.Env = append(os.Environ(), append(env, "DIST="+dir, "VERSION=2.0.0")...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", w, err, said.String())
	}
	var names []string
	for _, path := range strings.Fields(string(out)) {
		names = append(names, filepath.Base(path))
	}
	missing := func(name string) bool { return !slices.Contains(names, name) }
	other := func(name string) bool { return !slices.Contains(all[w], name) && name != rpmSELinux }
	if slices.ContainsFunc(all[w], missing) || slices.ContainsFunc(names, other) {
		return fmt.Errorf("build %s gives %q", w, names)
	}
	return nil
}

func cache(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("AZFILES_CACHE")
	if dir == "" {
		dir = "../.cache"
	}
	dir, err := filepath.Abs(filepath.Join(dir, "packages"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// root is the directory of a Debian without our package.
type root string

// newRoot unpacks a small Debian that has what our package depends on, and more.
func newRoot(t *testing.T, suite string, more ...string) root {
	t.Helper()
	have := append([]string{"cifs-utils", "keyutils"}, more...)
	tarball := filepath.Join(cache(t), strings.Join(append([]string{suite}, have...), "-")+".tar")
	if _, err := os.Stat(tarball); err != nil {
		site, unfinished := archive(t), strings.TrimSuffix(tarball, ".tar")+"-unfinished.tar"
		command(t, "mmdebstrap", "--quiet", "--variant=minbase", "--include="+strings.Join(have, ","), suite, unfinished,
			"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "+site+" "+suite+" main")
		if err := os.Rename(unfinished, tarball); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	command(t, "tar", "-xf", tarball, "-C", dir, "--exclude=./dev/*")
	r := root(dir)
	r.write(t, "dev/null", "") // the scripts' programs open it; a file is enough, and needs no mknod
	return r
}

// archive is the mirror of Debian that this machine's apt uses.
func archive(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(command(t, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")) {
		if strings.HasSuffix(strings.TrimSpace(line), "/debian/") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatal("no Debian archive is configured for apt on this machine")
	return ""
}

func (r root) path(name string) string { return filepath.Join(string(r), name) }

func (r root) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r root) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(r.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (r root) has(name string) bool {
	_, err := os.Lstat(r.path(name))
	return err == nil
}

// run runs a program inside.
func (r root) run(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, "chroot", append([]string{string(r)}, args...)...)
}

// install installs .deb files from outside, as an image builder does.
func (r root) install(t *testing.T, debs ...string) string {
	t.Helper()
	return command(t, "dpkg", append([]string{"--root=" + string(r), "--install"}, debs...)...)
}

// apt installs .deb files from inside, where no archive of packages is known.
func (r root) apt(t *testing.T, debs ...string) string {
	t.Helper()
	_ = os.Remove(r.path("etc/apt/sources.list"))
	_ = os.RemoveAll(r.path("var/lib/apt/lists"))
	args := []string{"apt-get", "-y", "--allow-downgrades", "-o", "APT::Sandbox::User=root", "install"}
	for _, deb := range debs {
		command(t, "cp", deb, r.path("tmp/"))
		args = append(args, "/tmp/"+filepath.Base(deb))
	}
	return r.run(t, args...)
}

// files lists what there is, with the kind and mode of each and where links lead, but for what the
// packaging system itself notes.
func (r root) files(t *testing.T) []string {
	t.Helper()
	own := regexp.MustCompile(`^(var/lib/dpkg|var/log|var/cache|etc/ld\.so\.cache|dev|tmp)(/|$)`)
	var all []string
	err := filepath.WalkDir(string(r), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(string(r), path)
		if own.MatchString(name) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target, _ := os.Readlink(path)
		all = append(all, fmt.Sprintf("%s %s %s", info.Mode(), name, target))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (r root) sameFiles(t *testing.T, before []string) {
	t.Helper()
	after := r.files(t)
	for _, f := range after {
		if !slices.Contains(before, f) {
			t.Errorf("left behind: %s", f)
		}
	}
	for _, f := range before {
		if !slices.Contains(after, f) {
			t.Errorf("gone: %s", f)
		}
	}
}

func (r root) mode(t *testing.T, name string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(r.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// enabled tells whether systemd would start our unit at boot, and that it is the packaged one.
func (r root) enabled(t *testing.T) {
	t.Helper()
	for _, link := range []string{"multi-user.target.wants/azfilesrefresh.service", "azfilesauth.service"} {
		target, err := os.Readlink(r.path("etc/systemd/system/" + link))
		if err != nil {
			t.Error(err)
		} else if target != "/usr/lib/systemd/system/azfilesrefresh.service" && target != "/lib/systemd/system/azfilesrefresh.service" {
			t.Errorf("%s leads to %s", link, target)
		}
	}
}

// works uses what is installed.
func (r root) works(t *testing.T) {
	t.Helper()
	if out := r.run(t, "azfilesauth", "version"); !strings.HasPrefix(out, "azfilesauth 2.0.0 (") {
		t.Errorf("azfilesauth version: %s", out)
	}
	if out := r.run(t, "azfilesauthmanager", "--version"); out != "2.0.0\n" {
		t.Errorf("azfilesauthmanager --version: %q", out)
	}
	r.run(t, "azfilesauth", "config", "check")
	for _, name := range []string{"/sbin/mount.azfiles", "/usr/sbin/azfiles.upcall", "/usr/bin/azfilesrefresh"} {
		if out := strings.TrimSpace(r.run(t, "readlink", "-e", name)); out != "/usr/bin/azfilesauth" {
			t.Errorf("%s leads to %s", name, out)
		}
	}
	// The request-key rule names a program that is there.
	if !strings.Contains(r.read(t, "etc/request-key.d/azfiles.conf"), " /usr/sbin/azfiles.upcall %k") {
		t.Error("no rule for the kernel's requests")
	}
	profiles := "apparmor"
	if r.has("usr/share/azfilesauth/etc/apparmor.d") { // of the .deb: in force
		profiles = "etc/apparmor.d"
	}
	for _, name := range []string{profiles + "/azfilesauth", profiles + "/abstractions/azfilesauth", profiles + "/abstractions/azfilesauth-read", "selinux/azfilesauth.te", "selinux/azfilesauth.fc", "prometheus/azfilesauth.rules.yml", "prometheus/azfilesauth.dashboard.json", "schema/output.schema.json", "schema/config.schema.json"} {
		if !r.mode(t, "usr/share/azfilesauth/"+name).IsRegular() {
			t.Errorf("%s is no file", name)
		}
	}
	r.run(t, "bash", "-n", "/usr/share/bash-completion/completions/azfilesauth")
	for range 2 {
		command(t, "systemctl", "--root="+string(r), "enable", "azfilesrefresh")
	}
	if out := command(t, "systemctl", "--root="+string(r), "is-enabled", "azfilesrefresh"); out != "enabled\n" {
		t.Errorf("is-enabled: %s", out)
	}
}

// loads looks for the C library as programs do that are linked with it.
func (r root) loads(t *testing.T) {
	t.Helper()
	if out := r.run(t, "ldconfig", "-p"); !strings.Contains(out, "libazfilesauth.so.0 ") {
		t.Error("the loader does not find the library")
	}
}

// mounted makes the scripts believe that a share is mounted.
func (r root) mounted(t *testing.T) {
	t.Helper()
	r.write(t, "proc/self/mountinfo", `21 1 254:0 / / rw - ext4 /dev/vda rw
60 21 0:50 / /mnt/share rw - cifs //acct.file.core.windows.net/share rw,vers=3.1.1,sec=krb5,cruid=0,username=root
61 21 0:51 / /mnt/other rw - cifs //nas.example.org/x rw,vers=3.1.1,sec=ntlmssp
`)
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
