package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// NewSystemd makes a Lab whose guest has systemd as PID 1 and the product from its Debian package; see
// Boots. It has a folder of its own, .cache/lab/<suite>-systemd, and needs root.
func NewSystemd(suite string, log io.Writer) (*Lab, error) {
	l, err := New(suite, log)
	if err != nil {
		return nil, err
	}
	for tool, pkg := range map[string]string{"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("the systemd guest needs %s: apt-get install %s", tool, pkg)
		}
	}
	l.Cache += "-systemd"
	return l, nil
}

// The lives of machines with systemd: a new one with our package, one that had the package of
// Azure/AzFilesAuthenticator, and one with many shares in fstab, whose stories measure. How many is said by the
// settings UNITS, an even number, and ACCOUNTS, half of it.
const (
	NewMachine = "boots"
	OldMachine = "upgrade"
	ManyShares = "many"
)

// memory is what the guest of a life has, in MiB. Samba has a process for each account's connections.
func memory(life string) string {
	if life == ManyShares {
		return "4096"
	}
	return "1024"
}

// Boots are the names of the stories of a machine's life in their order. Each is one boot of the same
// machine: what one leaves on the disk, the next finds.
func (l *Lab) Boots(life string) (names []string, err error) {
	files, err := filepath.Glob(filepath.Join(l.Repo, "internal/lab/systemd", life, "*.txtar"))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".txtar"))
	}
	return names, err
}

// RunBoots makes the systemd guest's disk and boots it once for each story, of which each must come to
// its end for the next to begin. It hands every line of the console to line. The stories see the settings, NAME=VALUE
// without spaces and commas, in their environment.
func (l *Lab) RunBoots(ctx context.Context, life string, line func(string), settings ...string) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	img, err := l.disk(ctx, life)
	if err != nil {
		return err
	}
	names, err := l.Boots(life)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(l.Logs()); err != nil {
		return err
	}
	for _, name := range names {
		if err := l.boot(ctx, img, filepath.Join(l.Logs(), name), line, strings.Join(append([]string{"boot", name}, settings...), ",")); err != nil {
			return fmt.Errorf("boot %s: %w", name, err)
		}
	}
	return nil
}

// disk makes the disk of a machine that has never been booted.
func (l *Lab) disk(ctx context.Context, life string) (image, error) {
	base, err := l.base(ctx, "systemd.sh")
	if err != nil {
		return image{}, fmt.Errorf("the Debian half of the guest: %w", err)
	}
	out := filepath.Join(l.Cache, "out")
	root, disk, packages := filepath.Join(out, "root"), filepath.Join(out, "disk"), filepath.Join(out, "packages")
	for _, p := range []string{root, disk} {
		if err := os.RemoveAll(p); err != nil {
			return image{}, err
		}
	}
	for _, args := range [][]string{
		{"rm", "-rf", packages},
		{"env", "DIST=" + packages, "make", "-s", "deb"},
		{"cp", "-al", filepath.Join(base, "root"), root}, // of the links none is written through
		{"cp", "-r", "--remove-destination", "internal/lab/systemd/root/.", root},
		{"sh", "-c", `cd internal/lab/root/etc && cp -r --remove-destination hosts krb5-srv.conf resolv.conf nsswitch.conf samba "$1/etc/"`, "sh", root},
		{"cp", "-r", filepath.Join("internal/lab/systemd", life), filepath.Join(root, "lab/boots")},
		{"dpkg-deb", "--root-owner-group", "-Zgzip", "-b", "internal/lab/systemd/upstream", filepath.Join(root, "lab/upstream.deb")},
		{"sh", "-c", `cp "$1"/azfilesauth_*_amd64.deb "$2"`, "sh", packages, filepath.Join(root, "lab/azfilesauth.deb")},
		{"go", "build", "-trimpath", "-o", filepath.Join(root, "lab") + "/", "./internal/lab/guest", "./internal/azurefake/cmd/azurefake"},
		{"chown", "-R", "0:0", filepath.Join(root, "lab"), filepath.Join(root, "etc/systemd/system")},
		{"truncate", "-s", "800M", disk},
		{"mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", "-m", "0", "-d", root, disk},
	} {
		if err := l.command(ctx, args[0], args[1:]...); err != nil {
			return image{}, fmt.Errorf("our half of the guest: %w", err)
		}
	}
	return image{
		disk:    true,
		kernel:  filepath.Join(base, "vmlinuz"),
		options: "root=/dev/nvme0n1 rootfstype=ext4 rootwait rw selinux=0 loglevel=1 systemd.show_status=0",
		args: []string{
			"-m", memory(life), "-drive", "file=" + disk + ",format=raw,if=none,id=disk,cache=unsafe",
			"-device", "nvme,drive=disk,serial=lab",
		},
	}, os.RemoveAll(root)
}
