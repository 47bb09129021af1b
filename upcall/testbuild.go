//go:build upcalltest

package upcall

import (
	"encoding/json"
	"os"
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
	Deadline          time.Duration
	Begin             string // what happens before a request is looked at
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
		deadline: s.Deadline,
		begin:    func() { begin(s.Begin) },
	}
	h.Config, h.Run, h.Mounts = s.Config, s.Run, s.MountTable
	if s.Storage != "" {
		road, err := transport.NewRoute(transport.Options{Bundles: []string{s.CA}, Dial: azurefake.Dial(s.Storage, s.IMDS)})
		if err != nil {
			panic(err)
		}
		h.transport, h.imds = road, road
	}
	return h
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
