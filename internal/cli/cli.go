// Package cli is the face of azfilesauth, the command for people and for their scripts.
//
// Each command is in a file of its own: a function that describes it to cobra and a method that does
// the work. The work itself is in the packages below; a command reads its arguments, asks them, and
// presents the result as a few lines for people or, with --json, as one JSON object for programs, which
// begins as answer does. The names of the JSON's keys are promised to stay, and others may join them.
//
// Invariants: a failure is always a fault, on stderr or, with --json, as the key fault on stdout,
// and its exit status is the process's; a result is written whole or not at all; nothing that was
// typed where a secret could stand is repeated; what needs root says so before it does anything.
// There is no package-level state: the same binary is mount.azfiles and the kernel's upcall, which
// must not pay for commands that they do not have.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/confine"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/internal/waiting"
)

const program = "azfilesauth"

// App is azfilesauth with its surroundings.
type App struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Coloured       bool // Stdout shows colours
	Version        string
	EUID           int // the effective uid of this process

	host.Host        // the machine and its files
	Socket    string // where the daemon listens

	Rows     func() int    // the height of the terminal that is Stdout, 0 is not known; nil when it cannot be drawn on
	Columns  func() int    // its width, 0 is not known; nil is as wide as it takes
	Terminal bool          // Stderr is one
	Interval time.Duration // from one look of status --watch to the next

	// Watch is the daemon on a machine, with where status and refresh reach it. It runs until a signal and gives the exit
	// status. It is a face of its own, so it is handed in.
	Watch func(h host.Host, socket string) int

	tickets.Access
}

// Main is azfilesauth on this machine. It takes os.Args, what was taken out of the environment and the daemon, and gives
// the exit status.
func Main(args []string, version string, ignored map[string]string, watch func(h host.Host, socket string) int) int {
	confine.HideMemory()
	a := App{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Coloured: coloured(waiting.IsTerminal(unix.Stdout), os.Getenv),
		Version:  version, EUID: os.Geteuid(),
		Socket:   control.DefaultPath,
		Host:     host.Real(),
		Rows:     rows(waiting.IsTerminal(unix.Stdout), os.Getenv),
		Columns:  columns(waiting.IsTerminal(unix.Stdout)),
		Interval: time.Second,
		Terminal: waiting.IsTerminal(unix.Stderr),
		Watch:    watch,
		Access:   tickets.RealAccess(),
	}
	a.Host.Ignored = ignored
	return a.Run(args)
}

// session is one run of the App.
type session struct {
	*App
	json     bool     // for a program, not for a person
	path     string   // that runs, with the program's name
	warnings []string // of the result
	failure  *failure // of the result
	waits    func(what string)
	notes    []string // what belongs to a failure beside its fault
	exit     int      // the exit status of a command that has told its failures itself
	options
}

// Run does what args, a whole command line with the program's name, say and gives the exit status.
func (a *App) Run(args []string) int {
	s := &session{App: a}
	root := s.tree()
	if slices.Contains(args, "--version") && wantsJSON(args[1:]) { // cobra prints it as text
		args = []string{args[0], "version", "--json"}
	}
	root.SetArgs(args[1:])
	command, err := root.ExecuteC()
	if err == nil {
		return s.exit
	}
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok { // all but cobra's own errors are faults
		f = unknownCommand(root, args[1:])
	}
	s.json, s.path = s.json || wantsJSON(args[1:]), command.CommandPath()
	exit := int(f.Exit())
	if exitsWithVerdict(command, args) && fault.Is(f, fault.Usage, fault.HostUnknown) {
		exit = exitUsage
	}
	s.fail(f, exit)
	return exit
}

// exitUsage is that of sysexits.h for a wrong command line, of a command whose small statuses are judgments.
const exitUsage = 64

// exitsWithVerdict reports whether the exit status of a command is its judgment: the doctor's, and that of status --check.
func exitsWithVerdict(command *cobra.Command, args []string) bool {
	path := strings.TrimPrefix(command.CommandPath(), program+" ")
	isCheck := func(arg string) bool { return arg == "--check" || strings.HasPrefix(arg, "--check=") }
	return path == "doctor" || strings.HasPrefix(path, "doctor ") || path == "status" && slices.ContainsFunc(args, isCheck)
}

func (s *session) load() (*config.Config, error) { return config.Read(s.Host) }

// openTickets reads the configuration and makes the Manager of its tickets.
func (s *session) openTickets() (*config.Config, *tickets.Manager, error) {
	cfg, err := s.load()
	if err != nil {
		return nil, nil, err
	}
	m, err := s.manager(cfg, nil)
	return cfg, m, err
}

// openCache is open for a command with the flag --cruid, which it returns as a uid.
func (s *session) openCache() (*config.Config, *tickets.Manager, int, error) {
	cfg, m, err := s.openTickets()
	if err != nil {
		return nil, nil, 0, err
	}
	uid, err := cfg.CRUID(s.cruid, s.Host)
	return cfg, m, uid, err
}

// wait begins to say what a command waits for, whose context is ctx; stop ends that.
func (s *session) wait(ctx context.Context) (stop func()) {
	app, stderr := *s.App, s.Stderr
	line := waiting.New(stderr, program, s.Terminal && !s.json, s.verbose)
	if end, ok := ctx.Deadline(); ok {
		line.Until(end)
	}
	app.Stderr = line
	s.App, s.waits = &app, line.For
	return line.Done
}

// manager makes the Manager of the tickets; step is told what is being done, nil for nobody.
func (s *session) manager(cfg *config.Config, step func(format string, a ...any)) (*tickets.Manager, error) {
	return tickets.New(tickets.Options{Access: s.Access, Host: s.Host, Config: cfg, Step: step, Waits: s.waits})
}
