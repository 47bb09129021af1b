// Package flaws is what goes wrong in a program that a test has built: a reader of answers that an attacker has taken over, a crash, a
// loop without end.
package flaws

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Begin is what a program does by such a flaw before it does anything else; "" is nothing.
func Begin(what string) {
	switch what {
	case "panic":
		var m map[string]int
		m["crash"] = 1 //nolint:staticcheck // this is the crash
	case "spin":
		for { //nolint:staticcheck // this is the loop
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "kill":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	case "exit":
		os.Exit(0)
	}
}

// Attack is a flaw in what reads the answers that come by a transport: it tries to change files in a directory, and more that
// only root can. What succeeds is told in the file "attacked" of the run directory.
func Attack(by http.RoundTripper, dir, mountTable, run string) http.RoundTripper {
	return attacker{by, dir, mountTable, run}
}

type attacker struct {
	http.RoundTripper
	dir, mountTable, run string
}

func (a attacker) RoundTrip(req *http.Request) (*http.Response, error) {
	in := func(name string) string { return filepath.Join(a.dir, name) }
	told := []string{}
	for what, try := range map[string]func() error{
		"write":     func() error { return os.WriteFile(in("new"), []byte("x"), 0o600) },
		"append":    func() error { f, err := os.OpenFile(in("old"), os.O_WRONLY|os.O_APPEND, 0); _ = f.Close(); return err },
		"truncate":  func() error { return os.Truncate(in("old"), 0) },
		"remove":    func() error { return os.Remove(in("old")) },
		"move in":   func() error { return os.Rename(a.mountTable, in("moved")) },
		"directory": func() error { return os.Mkdir(in("dir"), 0o700) },
		"link":      func() error { return os.Symlink("/etc/shadow", in("link")) },
		"device":    func() error { return unix.Mknod(in("disk"), unix.S_IFBLK|0o600, 8<<8) },
		"mount": func() error {
			err := unix.Mount("tmpfs", a.dir, "tmpfs", 0, "")
			if err == nil {
				_ = unix.Unmount(a.dir, 0)
			}
			return err
		},
		"shell": func() error { return exec.Command("/bin/sh", "-c", "echo x >"+in("shell")).Run() },
		"trace": func() error { _, err := os.ReadFile("/proc/1/environ"); return err },
	} {
		if err := try(); err == nil {
			told = append(told, what)
		}
	}
	threads, _ := filepath.Glob("/proc/self/task/*/status")
	for _, thread := range threads {
		status, _ := os.ReadFile(thread)
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "CapPrm:") || strings.HasPrefix(line, "NoNewPrivs:") {
				told = append(told, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	slices.Sort(told)
	_ = os.Mkdir(a.run, 0o711) // is there when the process is contained
	if err := os.WriteFile(filepath.Join(a.run, "attacked"), []byte(strings.Join(slices.Compact(told), "\n")), 0o600); err != nil {
		return nil, err
	}
	return a.RoundTripper.RoundTrip(req)
}
