//go:build upcalltest

package upcall

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// testFile is the path of the file with the surroundings of a test, in JSON. It is set when the
// test's program is built, because request-key gives a handler neither arguments nor an environment
// of a test's own.
var testFile string

// testSetup is the content of testFile.
type testSetup struct {
	Config, Run, MountTable, RulesFolder, RulesFile, Helper, Syslog, Kmsg string

	Storage, IMDS, CA string // addresses of the fake Azure, and a file
	Deadline, Grace   time.Duration
	Begin             string // what happens before a request is looked at
	Attack            string // a directory that a flaw in what reads answers would write to; how that ends is told in Run
}

// surroundings are those of a test: keys of the type user, which everybody can request.
func surroundings(env []string) *handler {
	text, err := os.ReadFile(testFile)
	if err != nil {
		panic(err)
	}
	var s testSetup
	if err := json.Unmarshal(text, &s); err != nil {
		panic(err)
	}
	h := &handler{
		Host: machine.Real(), keyType: "user",
		rules:  requestkey.Files{Directory: s.RulesFolder, Last: s.RulesFile},
		helper: s.Helper, syslog: s.Syslog, kmsg: s.Kmsg, env: env,
		deadline: s.Deadline, grace: s.Grace,
		begin: func() { begin(s.Begin) },
	}
	h.Config, h.Run, h.Mounts = s.Config, s.Run, s.MountTable
	if s.Storage != "" {
		road, err := transport.NewRoute(transport.Options{Bundles: []string{s.CA}, Dial: azurefake.Dial(s.Storage, s.IMDS)})
		if err != nil {
			panic(err)
		}
		h.Transport, h.IMDS = road, road
		if s.Attack != "" {
			h.Transport = attacker{road, s}
		}
	}
	return h
}

// attacker is a flaw in what reads the storage account's answers.
type attacker struct {
	http.RoundTripper
	testSetup
}

func (a attacker) RoundTrip(req *http.Request) (*http.Response, error) {
	in := func(name string) string { return filepath.Join(a.Attack, name) }
	told := []string{}
	for what, try := range map[string]func() error{
		"write":     func() error { return os.WriteFile(in("new"), []byte("x"), 0o600) },
		"append":    func() error { f, err := os.OpenFile(in("old"), os.O_WRONLY|os.O_APPEND, 0); _ = f.Close(); return err },
		"truncate":  func() error { return os.Truncate(in("old"), 0) },
		"remove":    func() error { return os.Remove(in("old")) },
		"move in":   func() error { return os.Rename(a.MountTable, in("moved")) },
		"directory": func() error { return os.Mkdir(in("dir"), 0o700) },
		"link":      func() error { return os.Symlink("/etc/shadow", in("link")) },
		"device":    func() error { return unix.Mknod(in("disk"), unix.S_IFBLK|0o600, 8<<8) },
		"mount": func() error {
			err := unix.Mount("tmpfs", a.Attack, "tmpfs", 0, "")
			if err == nil {
				_ = unix.Unmount(a.Attack, 0)
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
	_ = os.Mkdir(a.Run, 0o711) // is there when the process is contained
	if err := os.WriteFile(filepath.Join(a.Run, "attacked"), []byte(strings.Join(slices.Compact(told), "\n")), 0o600); err != nil {
		return nil, err
	}
	return a.RoundTripper.RoundTrip(req)
}

func begin(what string) {
	switch what {
	case "panic":
		var m map[string]int
		m["crash"] = 1
	case "spin":
		for {
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "kill":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	case "exit":
		os.Exit(0)
	}
}
