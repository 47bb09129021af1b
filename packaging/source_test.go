//go:build packages && fresh

package packaging

import (
	"path/filepath"
	"strings"
	"testing"
)

const (
	tarball   = "azfilesauth-2.0.0.tar.gz"
	sourceDeb = "azfilesauth_2.0.0-1.dsc"
	sourceRPM = "azfilesauth-2.0.0-1.src.rpm"
)

// TestSource builds the packages of the release's tarball and of the source packages, each where there is no network
// and no module that was downloaded before.
func TestSource(t *testing.T) {
	dist := root(t.TempDir())
	with(t, []string{"DIST=" + string(dist), "VERSION=2.0.0"}, "./build", "source")
	offline := func(shell string) root {
		t.Helper()
		dir := t.TempDir()
		with(t, []string{"GOPROXY=off", "GOFLAGS=-mod=vendor", "GOMODCACHE=" + t.TempDir()}, "unshare", "--net", "env", "-C", dir, "sh", "-euc", shell)
		return root(dir)
	}
	debs := all[what{"deb", "amd64"}]
	made := offline("tar -xf " + dist.path(tarball) + "; cd azfilesauth-2.0.0; make deb; mv dist/* ..")
	again := offline("dpkg-source -x " + dist.path(sourceDeb) + "; cd azfilesauth-2.0.0; dpkg-buildpackage -us -uc -F")
	for _, name := range debs {
		if made.read(t, name) != again.read(t, name) {
			t.Errorf("make in the tarball and dpkg-buildpackage in the source package give another %s", name)
		}
	}
	if got, want := again.read(t, sourceDeb), dist.read(t, sourceDeb); got != want {
		t.Errorf("built again, %s is another one:\n%s\n%s", sourceDeb, got, want)
	}
	head := strings.TrimSpace(command(t, "git", "rev-parse", "HEAD"))
	command(t, "dpkg-deb", "-x", again.path(debAMD64), again.path("unpacked"))
	if out := command(t, again.path("unpacked/usr/bin/azfilesauth"), "version", "--json"); !strings.Contains(out, `"commit": "`+head) {
		t.Errorf("the program does not know its commit: %s", out)
	}
	if text := root(again.path("unpacked")).read(t, "usr/share/doc/azfilesauth/THIRD-PARTY"); !strings.Contains(text, "\nGo runtime and standard library ") ||
		!strings.Contains(text, "\ngopkg.in/yaml.v3 ") {
		t.Error("there are no licences of others")
	}

	rebuilt := offline(`rpmbuild --rebuild --define "_topdir $PWD" ` + dist.path(sourceRPM))
	for _, name := range all[what{"rpm", "amd64"}] {
		paths, err := filepath.Glob(rebuilt.path("RPMS/*/" + name))
		if err != nil || len(paths) != 1 {
			t.Errorf("rpmbuild --rebuild gives %q, and no %s", paths, name)
		}
	}
}
