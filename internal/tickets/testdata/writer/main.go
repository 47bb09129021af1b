// Command writer ensures one ticket with answers that Azure gave earlier, for tests that disturb its
// system calls. There is no network and all of it runs in the process's first thread, so that strace
// without -f sees every call on the way to the cache, and the same calls in each run.
//
//	writer CONFIG ANSWERS HOST
//
// ANSWERS is a directory with one HTTP response for each host. It exits with 0 when the ticket is in the
// cache, with 1 after it has printed a fault, with 2 after any other error.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

func init() { runtime.LockOSThread() } // main then runs in the thread that init runs in: the first

// answers is a directory.
type answers string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := os.ReadFile(filepath.Join(string(a), r.URL.Hostname()))
	if err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), r)
}

func main() {
	err := ensure(os.Args[1], answers(os.Args[2]), os.Args[3])
	var f *fault.Fault
	switch {
	case errors.As(err, &f):
		fmt.Println(f)
		os.Exit(1)
	case err != nil:
		fmt.Println(err)
		os.Exit(2)
	}
}

func ensure(conf string, azure answers, account string) error {
	machine := host.Real().Trusting(os.Geteuid())
	machine.Config = conf
	cfg, err := config.Read(machine)
	if err != nil {
		return err
	}
	m, err := tickets.New(tickets.Options{
		Host: machine, Config: cfg, Access: tickets.Access{Transport: azure, IMDS: azure},
		Mounted: func() ([]mounts.Mount, error) { return nil, nil },
	})
	if err != nil {
		return err
	}
	e, err := endpoint.Resolver{}.Resolve(account)
	if err != nil {
		return err
	}
	_, err = m.Ensure(context.Background(), tickets.Request{
		Endpoint: e, Identity: identity.Identity{Kind: identity.System}, Fresh: tickets.Always,
	})
	return err
}
