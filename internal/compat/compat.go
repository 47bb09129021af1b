// Package compat is the face of azfilesauthmanager: the command line that scripts, Microsoft's own
// articles and the Azure Files CSI driver call.
//
// Its grammar and its output on success are those of the Python program of the same name. The driver
// mixes both streams and pastes them into a pod's event when a call fails, so a failure is one line
// on stderr that says what happened, why and how to fix it.
//
// Invariants: the exit status is 0, 1 for every failure, and 3 when the mount of another identity is
// in the way; a line on stderr has at most 1 KiB and never a secret; what may be an access token is
// wiped from the process's arguments before anything else is done; nobody is asked over the network
// before the whole command line is understood; set prints nothing on stdout.
package compat

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/confine"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	thishost "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/internal/waiting"
)

const program = "azfilesauthmanager"

// The exit statuses. That of a conflict is part of the program's contract.
const (
	exitOK       = 0
	exitFailure  = 1
	exitConflict = 3
)

const help = `usage:
  azfilesauthmanager set URI TOKEN                  an access token
  azfilesauthmanager set URI -                      the token comes from stdin
  azfilesauthmanager set URI --token-file FILE      it is read at every use
  azfilesauthmanager set URI --system
  azfilesauthmanager set URI --imds-client-id ID    or --imds-object-id, --imds-resource-id
                     [--identity-endpoint URL]      of Azure Arc's agent, with a managed identity
  azfilesauthmanager set URI --workload-identity --tenant-id ID --client-id ID
                     --token-file FILE [--authority-host URL] [--resource URL]
  azfilesauthmanager clear URI
  azfilesauthmanager list [--json]
  azfilesauthmanager --version | --help | -h
URI: https://ACCOUNT.file.core.windows.net
--force: replace the identity of a live mount; -v, --verbose: tell each step
--refresh: what set always does, get a new ticket
`

// Tool is azfilesauthmanager with its surroundings.
type Tool struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       bool // Stderr is one
	Version        string
	EUID           int // the effective uid of this process

	Host thishost.Host  // the machine: its configuration, mount table, users and clock
	Zone *time.Location // of the times that list shows; nil is the machine's

	// Environment is what was taken out of the one that this process was started with. Of it, set takes into account where the agent
	// of Azure Arc is, and the proxy for Entra and the storage account where the configuration names none.
	Environment map[string]string

	tickets.Access

	// Provision makes what set needs on a machine without a configuration, and gives that; nil makes nothing.
	Provision func(*config.Config) (*config.Config, error)

	// OpenLog gives the log that the configuration wants; nil keeps none.
	OpenLog func(log.Settings) *slog.Logger

	// Wipe overwrites a word of the arguments that Run was given; nil leaves them as they are.
	Wipe func(word string)
}

// Main is azfilesauthmanager on this machine. It takes os.Args and what was taken out of the environment, and gives the
// exit status.
func Main(args []string, version string, environment map[string]string) int {
	confine.HideMemory()
	t := Tool{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Terminal: waiting.IsTerminal(unix.Stderr),
		Version: version, EUID: os.Geteuid(),
		Host:        thishost.Real(),
		Environment: environment,
		Access:      tickets.RealAccess(),

		Provision: func(c *config.Config) (*config.Config, error) { return config.Provision(thishost.Real(), c) },
		OpenLog:   func(s log.Settings) *slog.Logger { return log.Open(thishost.Real(), s, program) },
		Wipe:      wipeArgument,
	}
	return t.Run(args)
}

// Run does what args, a whole command line with the program's name, say and gives the exit status.
func (t *Tool) Run(args []string) int {
	inv, err := parseArgs(args[1:])
	if t.Wipe != nil {
		for _, word := range inv.hidden {
			t.Wipe(word)
		}
	}
	if inv.help {
		_, _ = io.WriteString(t.Stdout, help)
		return exitOK
	}
	if inv.version {
		_, _ = fmt.Fprintln(t.Stdout, t.Version)
		return exitOK
	}
	if len(args) == 1 {
		_, _ = io.WriteString(t.Stdout, help)
		return exitFailure
	}
	s := &session{Tool: t, inv: inv}
	if err == nil && t.EUID != 0 {
		err = fault.NotRoot.New(program)
	}
	if err == nil {
		err = s.run()
	}
	return s.finish(err)
}
