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

// NewKubernetes makes a Lab whose guest is a node of Kubernetes before anything of ours is on it: containerd and runc, and
// the test of packaging/kubernetes/test, which asks them for the pods of the manifests as a kubelet does; see RunPods.
// It has a folder of its own, .cache/lab/<suite>-kubernetes, and needs root.
func NewKubernetes(suite string, log io.Writer) (*Lab, error) {
	l, err := New(suite, log)
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("mke2fs"); err != nil {
		return nil, fmt.Errorf("the guest that is a node of Kubernetes needs mke2fs: apt-get install e2fsprogs")
	}
	l.Cache += "-kubernetes"
	return l, nil
}

// RunPods makes the guest, boots it and hands every line of its console to line: those of "go test -v". A node's
// life is that with the pods of kustomize, or of the chart; all are lived by nothing. It returns an error
// when the guest did not come to its end or a test failed.
func (l *Lab) RunPods(ctx context.Context, line func(string), lives ...string) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	img, err := l.node(ctx)
	if err != nil {
		return err
	}
	return l.boot(ctx, img, l.Logs(), line, strings.Join(append([]string{"pods"}, lives...), ","))
}

// node makes the disk of a node. It is a disk because runc cannot leave a root that is the kernel's first one.
func (l *Lab) node(ctx context.Context) (image, error) {
	base, err := l.base(ctx, "base.sh", "containerd runc", "/usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/bin/ctr /usr/sbin/runc", "overlay")
	if err != nil {
		return image{}, fmt.Errorf("the Debian half of the guest: %w", err)
	}
	root, disk := filepath.Join(l.Cache, "out", "root"), filepath.Join(l.Cache, "out", "disk")
	lab := filepath.Join(root, "lab")
	for _, p := range []string{root, disk} {
		if err := os.RemoveAll(p); err != nil {
			return image{}, err
		}
	}
	if err := os.MkdirAll(lab, 0o755); err != nil {
		return image{}, err
	}
	for _, args := range [][]string{
		{"make", "-s", "pods"},
		{"sh", "-c", `cd "$1" && mkdir dev proc sys && cpio -idm --quiet <"$2"`, "sh", root, filepath.Join(base, "base.cpio")},
		{"cp", "-r", "internal/lab/root/.", root},
		{"packaging/kubernetes/test/standin", root, "bin/images"},
		{"cp", "-r", "packaging/kubernetes", lab},
		{"cp", "-r", "bin/images/pods.test", filepath.Join(lab, "kubernetes/test")},
		{"sh", "-c", `mkdir "$1" && cp bin/images/azfilesauth-amd64.oci.tar bin/images/pause.oci.tar bin/images/driver.oci.tar "$1"`, "sh", filepath.Join(lab, "images")},
		{"go", "build", "-trimpath", "-o", lab + "/", "./internal/lab/guest", "./internal/azurefake/cmd/azurefake"},
		{"chown", "-R", "0:0", root},
		{"truncate", "-s", "1G", disk},
		{"mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", "-m", "0", "-d", root, disk},
	} {
		if err := l.command(ctx, args[0], args[1:]...); err != nil {
			return image{}, fmt.Errorf("our half of the guest: %w", err)
		}
	}
	return image{
		disk:    true,
		kernel:  filepath.Join(base, "vmlinuz"),
		options: "root=/dev/nvme0n1 rootfstype=ext4 rootwait rw init=/init",
		args: []string{
			"-m", "1536", "-drive", "file=" + disk + ",format=raw,if=none,id=disk,cache=unsafe",
			"-device", "nvme,drive=disk,serial=lab",
		},
	}, os.RemoveAll(root)
}
