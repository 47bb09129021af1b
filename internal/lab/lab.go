// Package lab runs the product in a guest machine with a real Linux kernel.
//
// The guest is made of Debian's own kernel, request-key, mount.cifs, cifs.upcall and Samba, and of
// what this repository builds: the product as "make install" lays it down, the fake of Azure's
// services, and a program that runs the stories. A story (stories/*.txtar) is one use of the
// product, written as a test script. Each is told twice: once where cifs.upcall answers the kernel's
// request for a ticket (stock), and once where our own handler does and no other is installed
// (native); the stories in stories/stock and stories/native are told there alone. All of them run in
// one boot, which "go test -tags lab" starts; without the tag no test boots anything.
//
// The doctor's table of breaks is a run of its own: one thing after the other is broken, and the doctor has
// to find it.
//
// What systemd has to do with it is told by a second guest, whose PID 1 it is and which has the product
// from its Debian package (NewSystemd): each of its stories (systemd/boots/*.txtar) is one boot of the
// same machine, in the order of their names.
//
// Invariants: nothing is installed on this machine; a guest has no network but its own two
// namespaces; the processor is emulated, because a /dev/kvm that exists need not work. One run at a
// time uses a suite's folder, .cache/lab/<suite> at the top of the repository:
//
//	apt/            downloaded packages, kept
//	out/base-<key>  kernel and Debian files, made anew when base.sh (or systemd.sh) changes
//	out/logs        what the last run left: console.txt and the guest's /var/log; a folder for each boot
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Lab is the directory of one Debian suite and what it is built from.
type Lab struct {
	Repo  string    // the top of the repository
	Cache string    // .cache/lab/<suite>, or the same below $AZFILES_CACHE
	Suite string    // Debian's code name, such as bookworm
	Log   io.Writer // what the build has to say

	// Counted gives the guest a single processor of a thousand million instructions a second, by its own clock, in which
	// waiting takes no time of ours, but for that for a disk: what is measured there does not depend on this machine or on
	// what else it does.
	Counted bool

	// Terminal shows the console as it comes; standard input is the guest's then. Nil: lines, no input.
	Terminal io.Writer
}

// New makes a Lab for a Debian suite; "" is that of this machine. It fails when a program that the
// lab needs on this machine is missing.
func New(suite string, log io.Writer) (*Lab, error) {
	for _, tool := range []string{"qemu-system-x86_64", "cpio", "dpkg-deb", "apt-get", "make", "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("the lab needs %s: run make deps, which installs qemu-system-x86 and cpio", tool)
		}
	}
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOMOD: %w", err)
	}
	repo := filepath.Dir(strings.TrimSpace(string(gomod)))
	if suite == "" {
		if suite, err = hostSuite("/etc/os-release"); err != nil {
			return nil, err
		}
	}
	cache := os.Getenv("AZFILES_CACHE")
	if cache == "" {
		cache = filepath.Join(repo, ".cache")
	}
	return &Lab{Repo: repo, Cache: filepath.Join(cache, "lab", suite), Suite: suite, Log: log}, nil
}

// hostSuite reads VERSION_CODENAME of os-release(5).
func hostSuite(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok && strings.Contains(string(text), "ID=debian") {
			return v, nil
		}
	}
	return "", errors.New("this machine is not Debian: name a Debian suite with -suite or SUITE=")
}

// Logs is the folder that holds what the last run left.
func (l *Lab) Logs() string { return filepath.Join(l.Cache, "out", "logs") }

// say tells whoever waits what is going on.
func (l *Lab) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.Log, "lab: "+format+"\n", args...)
}

// lock keeps a second run out of the suite's folder until unlock.
func (l *Lab) lock() (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(l.Cache, "out"), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(l.Cache, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		l.say("waiting for another run in %s", l.Cache)
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
	return func() { _ = f.Close() }, nil
}

// Build makes the guest without booting it.
func (l *Lab) Build(ctx context.Context) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	_, err = l.build(ctx)
	return err
}

// Run builds the guest, boots it in a mode of the guest's program (stories, demo, bench) and hands
// every line of its console to line. args are words for that program; none may hold a space.
// It returns an error when the guest did not come to its end or its program did not end with 0.
func (l *Lab) Run(ctx context.Context, line func(string), mode string, args ...string) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	img, err := l.build(ctx)
	if err != nil {
		return err
	}
	return l.boot(ctx, img, l.Logs(), line, strings.Join(append([]string{mode}, args...), ","))
}
