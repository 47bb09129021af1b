//go:build packages && fresh

package packaging

import (
	"os"
	"path/filepath"
	"testing"
)

const (
	tarball   = "azfilesauth-2.0.0.tar.gz"
	sourceDeb = "azfilesauth_2.0.0-1.dsc"
	sourceRPM = "azfilesauth-2.0.0-1.src.rpm"
)

// TestSource builds the packages of the release's tarball and of the source packages, each where there is no network
// and no module that was downloaded before. They are the same, to the byte, as those that are built of the repository.
func TestSource(t *testing.T) {
	dist := root(t.TempDir())
	with(t, []string{"DIST=" + string(dist), "VERSION=2.0.0"}, "./build", "source")
	offline := func(dir, shell string) {
		t.Helper()
		with(t, []string{"GOPROXY=off", "GOFLAGS=-mod=vendor", "GOMODCACHE=" + t.TempDir()}, "unshare", "--net", "env", "-C", dir, "sh", "-euc", shell)
	}
	same := func(pattern string, names ...string) {
		t.Helper()
		for _, name := range names {
			paths, err := filepath.Glob(filepath.Join(pattern, name))
			if err != nil || len(paths) != 1 {
				t.Errorf("%s: %q", name, paths)
				continue
			}
			got, err := os.ReadFile(paths[0])
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(built(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("%s is another one than that of the repository", paths[0])
			}
		}
	}
	t.Run("tarball", func(t *testing.T) {
		dir := t.TempDir()
		offline(dir, "tar -xf "+dist.path(tarball)+"; cd azfilesauth-2.0.0; dpkg-buildpackage -us -uc -b")
		same(dir, all[what{"deb", "amd64"}]...)
	})
	t.Run("tarball, by make", func(t *testing.T) {
		dir := t.TempDir()
		offline(dir, "tar -xf "+dist.path(tarball)+"; cd azfilesauth-2.0.0; make deb")
		same(filepath.Join(dir, "azfilesauth-2.0.0/dist"), all[what{"deb", "amd64"}]...)
	})
	t.Run("dsc", func(t *testing.T) {
		dir := t.TempDir()
		offline(dir, "dpkg-source -x "+dist.path(sourceDeb)+"; cd azfilesauth-2.0.0; dpkg-buildpackage -us -uc -F")
		same(dir, all[what{"deb", "amd64"}]...)
		for _, name := range []string{sourceDeb, "azfilesauth_2.0.0-1.debian.tar.xz"} {
			got, want := root(dir).read(t, name), dist.read(t, name)
			if got != want {
				t.Errorf("%s, built again, is another one", name)
			}
		}
	})
	t.Run("src.rpm", func(t *testing.T) {
		dir := t.TempDir()
		offline(dir, "rpmbuild --rebuild --define '_topdir "+dir+"' "+dist.path(sourceRPM))
		same(filepath.Join(dir, "RPMS/*"), all[what{"rpm", "amd64"}]...)
	})
}
