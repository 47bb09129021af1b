//go:build upcalltest

package upcall

import (
	"encoding/json"
	"os"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/flaws"
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
		begin: func() { flaws.Begin(s.Begin) },
	}
	h.Config, h.Run, h.Mounts = s.Config, s.Run, s.MountTable
	if s.Storage != "" {
		road, err := transport.NewRoute(transport.Options{Bundles: []string{s.CA}, Dial: azurefake.Dial(s.Storage, s.IMDS)})
		if err != nil {
			panic(err)
		}
		h.Transport, h.IMDS = road, road
		if s.Attack != "" {
			h.Transport = flaws.Attack(road, s.Attack, s.MountTable, s.Run)
		}
	}
	return h
}
