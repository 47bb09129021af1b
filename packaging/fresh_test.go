//go:build packages && fresh

package packaging

import (
	"path/filepath"
	"strings"
	"testing"
)

// fresh runs a command of sh in a clone of this tree, in a root that has mounts of its own, with this machine's Go
// and what Go has downloaded and built.
func (r root) fresh(t *testing.T, script string) string {
	t.Helper()
	goRoot := strings.TrimSpace(command(t, "go", "env", "GOROOT"))
	const enter = `set -eu
		root=$1
		mount --make-rprivate /
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mkdir -p "$root/usr/local/go" "$root/modules" "$root/builds"
		mount --bind "$2" "$root/usr/local/go"
		mount --bind "$3" "$root/modules"
		mount --bind "$4" "$root/builds"
		exec chroot "$root" env -i HOME=/root PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
			GOMODCACHE=/modules GOCACHE=/builds GOTOOLCHAIN=local GOFLAGS=-buildvcs=false sh -euc "cd /src; $5"`
	return command(t, "unshare", "-m", "sh", "-c", enter, "sh", string(r), goRoot,
		strings.TrimSpace(command(t, "go", "env", "GOMODCACHE")), strings.TrimSpace(command(t, "go", "env", "GOCACHE")), script)
}

// TestFreshMachine builds on a Debian that has git, make and Go, and nothing else; make installs the rest.
func TestFreshMachine(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			r := newRoot(t, suite, "git", "make", "ca-certificates")
			top, err := filepath.Abs("..")
			if err != nil {
				t.Fatal(err)
			}
			command(t, "git", "clone", "-q", "--no-hardlinks", top, r.path("src"))
			command(t, "cp", "/etc/resolv.conf", r.path("etc/resolv.conf"))
			before := r.packages(t)
			r.fresh(t, "make build && bin/azfilesauth version")
			t.Logf("make build installs: %s", newer(before, r.packages(t)))
			r.fresh(t, "make deb VERSION=2.0.0 && make rpm VERSION=2.0.0")
			for _, name := range []string{debAMD64, rpmAMD64} {
				if !r.has("src/dist/" + name) {
					t.Errorf("no %s was built", name)
				}
			}
			for _, name := range newer(before, r.packages(t)) {
				for _, server := range []string{"prometheus", "samba", "krb5-kdc", "qemu"} {
					if strings.HasPrefix(name, server) {
						t.Errorf("building installed %s", name)
					}
				}
			}
		})
	}
}

// packages are the names of those that are installed.
func (r root) packages(t *testing.T) []string {
	t.Helper()
	return strings.Fields(r.run(t, "dpkg-query", "-Wf", "${Package}\n"))
}

// newer are those of after that are not among before.
func newer(before, after []string) []string {
	known := map[string]bool{}
	for _, name := range before {
		known[name] = true
	}
	var names []string
	for _, name := range after {
		if !known[name] {
			names = append(names, name)
		}
	}
	return names
}
