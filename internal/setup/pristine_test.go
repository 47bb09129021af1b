package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

const suite = "bookworm"

// debian unpacks a new Debian of this machine's archive, which is made once and kept under .cache.
func debian(t *testing.T) Host {
	t.Helper()
	cache, err := filepath.Abs("../../.cache/setup")
	must(t, err)
	archive := filepath.Join(cache, suite+".tar")
	if _, err := os.Stat(archive); err != nil {
		must(t, os.MkdirAll(cache, 0o755))
		mirror := command(t, "sh", "-c", `apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$'`)
		if _, err := exec.LookPath("mmdebstrap"); err != nil {
			t.Fatal("mmdebstrap is missing: apt-get install mmdebstrap")
		}
		command(t, "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=systemd,keyutils,krb5-config", suite, archive+".new.tar", mirror)
		must(t, os.Rename(archive+".new.tar", archive))
	}
	h := tree(t)
	command(t, "tar", "-C", h.Root, "--exclude=./dev/*", "-xf", archive)
	return h
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return strings.TrimSpace(string(out))
}

func TestPristine(t *testing.T) {
	needs.Root(t)
	h := debian(t)
	made, out := roundTrip(t, h, Default()...)
	var paths []string
	for _, c := range made {
		paths = append(paths, c.Path)
	}
	want := "/run/azfilesauth /etc/azfilesauth /etc/azfilesauth/config.yaml /etc/request-key.d/azfiles.conf " +
		"/etc/systemd/system/azfilesrefresh.service /etc/systemd/system/azfilesauth.service /etc/systemd/system/multi-user.target.wants/azfilesrefresh.service"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !strings.Contains(out, "note: /usr/sbin/azfiles.upcall is not there yet") {
		t.Errorf("%s", out)
	}

	// The same with all that can be asked for, on a machine that an earlier program has used.
	put(t, h.Root, "/etc/azfilesauth/config.yaml 0600", "LOG_DESTINATION: file\n")
	put(t, h.Root, "/etc/krb5.conf.d/", "")
	put(t, h.Root, "/etc/krb5.conf", "includedir /etc/krb5.conf.d/\n[libdefaults]\n\trdns = false\n[realms]\n")
	put(t, h.Root, "/usr/bin/azfilesauth 0755", "")
	made, _ = roundTrip(t, h, Actions()...)
	for _, want := range []string{passwdFile, groupFile, shadowFile, gshadowFile, krb5Conf, krb5Backup, krb5Drop, "/usr/sbin/azfiles.upcall"} {
		found := false
		for _, c := range made {
			found = found || c.Path == want
		}
		if !found {
			t.Errorf("%s was not changed", want)
		}
	}

	// Debian's own programs agree with what was done.
	apply(t, h, Directories, User, Unit)
	if got := command(t, "chroot", h.Root, "id", "azfilesuser"); got != "uid=999(azfilesuser) gid=999(azfilesuser) groups=999(azfilesuser)" && !strings.HasSuffix(got, "(azfilesuser)") {
		t.Error(got)
	}
	command(t, "chroot", h.Root, "pwck", "-r", "-q")
	command(t, "chroot", h.Root, "grpck", "-r")
	if got := command(t, "systemctl", "--root="+h.Root, "is-enabled", unitName); got != "enabled" {
		t.Errorf("the unit is %s", got)
	}
}
