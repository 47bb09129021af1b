package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// image is what qemu boots.
type image struct {
	kernel  string
	options string   // for the kernel
	args    []string // for qemu: memory, and what the root file system is in
	disk    bool     // it is in a disk, not in memory
}

// guestScript makes Debian's half of the guest.
const guestScript = "base.sh"

func (l *Lab) build(ctx context.Context) (image, error) {
	base, err := l.base(ctx, guestScript)
	if err != nil {
		return image{}, fmt.Errorf("the Debian half of the guest: %w", err)
	}
	overlay, err := l.overlay(ctx)
	if err != nil {
		return image{}, fmt.Errorf("our half of the guest: %w", err)
	}
	initrd := filepath.Join(l.Cache, "out", "initrd")
	img := image{kernel: filepath.Join(base, "vmlinuz"), args: []string{"-m", "1536", "-initrd", initrd}}
	return img, concat(initrd, filepath.Join(base, "base.cpio"), overlay)
}

// baseDir gives a script of this directory and the directory that it makes, which is named after the script's text
// and what else the script is told.
func (l *Lab) baseDir(name string, more ...string) (script, dir string, err error) {
	script = filepath.Join(l.Repo, "internal/lab", name)
	text, err := os.ReadFile(script)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{string(text)}, more...), "\x00")))
	return script, filepath.Join(l.Cache, "out", fmt.Sprintf("base-%x", sum)[:len("base-")+12]), nil
}

// base gives the directory that the script makes, with vmlinuz and what Debian has to say besides.
func (l *Lab) base(ctx context.Context, name string, more ...string) (string, error) {
	script, dir, err := l.baseDir(name, more...)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	l.say("unpacking the guest's Debian packages (%s), once", l.Suite)
	old, err := filepath.Glob(filepath.Join(l.Cache, "out", "base-*"))
	if err != nil {
		return "", err
	}
	for _, d := range old {
		if err := os.RemoveAll(d); err != nil {
			return "", err
		}
	}
	tmp := filepath.Join(l.Cache, "out", "base-unfinished")
	if err := l.command(ctx, "bash", append([]string{script, l.Cache, l.Suite, tmp}, more...)...); err != nil {
		return "", err
	}
	return dir, os.Rename(tmp, dir)
}

// overlay packs what is laid over the base: the guest's files, the stories, our programs, the product as
// it is installed and a program that uses its C library.
func (l *Lab) overlay(ctx context.Context) (string, error) {
	root := filepath.Join(l.Cache, "out", "overlay")
	if err := os.RemoveAll(root); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(root, "lab"), 0o755); err != nil {
		return "", err
	}
	archive := root + ".cpio"
	for _, args := range [][]string{
		{"cp", "-r", "internal/lab/root/.", root},
		{"cp", "-r", "internal/lab/stories", filepath.Join(root, "lab")},
		{"go", "build", "-trimpath", "-o", filepath.Join(root, "lab") + "/", "./internal/lab/guest", "./internal/azurefake/cmd/azurefake"},
		{"make", "-s", "install", "install-clib", "DESTDIR=" + root},
		{"gcc", "-pthread", "-Iinternal/clib", "-o", filepath.Join(root, "lab/caller"), "internal/clib/testdata/caller.c", "bin/libazfilesauth.so.0"},
		{"sh", "-c", `cd "$1" && find . -print0 | cpio --null -o -H newc --quiet -R 0:0 >"$2"`, "sh", root, archive},
	} {
		if err := l.command(ctx, args[0], args[1:]...); err != nil {
			return "", err
		}
	}
	return archive, nil
}

// command runs a step of the build in the repository. What is written in Go does not depend on the
// guest's C library.
func (l *Lab) command(ctx context.Context, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Stdout, c.Stderr = l.Repo, l.Log, l.Log
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "LC_ALL=C")
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	return nil
}

// concat joins archives: the kernel unpacks them one after the other.
func concat(name string, parts ...string) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := appendFile(out, part); err != nil {
			_ = out.Close()
			return err
		}
	}
	return out.Close()
}

func appendFile(out io.Writer, name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	_, err = io.Copy(out, in)
	return err
}
