// Package mounthelper is the face of mount.azfiles, the program that mount(8) runs for file systems
// of type azfiles.
//
// It turns a command line and mount options into a request for a service ticket, has it put into
// the credential cache, and hands the mount itself to mount.cifs, which it runs as a child so that
// it can say what an error number means.
//
// Invariants: what can be refused is refused before anybody is asked over the network; mount.cifs
// gets a fixed environment and, with sec=, cruid= and username= always given, never asks for a
// password; a mount point is never touched when a share is mounted there, since its server may be
// gone; the exit status is one of mount(8)'s, and mount.cifs' own is passed through.
package mounthelper

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/confine"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/internal/waiting"
)

const program = "mount.azfiles"

const usageText = `usage: mount.azfiles SOURCE MOUNTPOINT [-fnsv] [-o OPTIONS]
       mount -t azfiles //ACCOUNT.file.core.windows.net/SHARE MOUNTPOINT -o identity=system

options of its own; all others go to mount.cifs, but one that looks like a mistyped
option is refused:
%s
switches: -f check only, -n no mtab, -s ignore unknown options, -v show each step, -h or --help,
          -V or --version; -t TYPE and -N NAMESPACE are ignored
`

func help() string {
	var options strings.Builder
	for _, r := range mounts.Rules() {
		if r.Fate == mounts.Own && r.Text != "" {
			fmt.Fprintf(&options, "  %-21s %s\n", r.Name+"="+r.Value, r.Text)
		}
	}
	return fmt.Sprintf(usageText, options.String())
}

// Helper is mount.azfiles with its surroundings.
type Helper struct {
	Stdout, Stderr io.Writer
	Version        string
	Host           host.Host // its trusted user is who may run the program
	RequestKey     string    // the program that the kernel runs to obtain a key
	BootID         string    // as /proc/sys/kernel/random/boot_id

	// Syslog is the socket of the system's log, to which failures go as well; "" is none.
	Syslog string
	// Journaled says that Stderr is the journal: what goes there by Syslog is not written to Stderr, too.
	Journaled bool

	// Terminal says that Stderr is a terminal.
	Terminal bool

	// Confined tells whether a container's rules can forbid the mount, see isConfined.
	Confined func() bool

	// Target tells whether the kernel knows upcall_target, and whether it could be asked; nil asks by a mount.
	Target func() (known, told bool)

	tickets.Access
}

// Main is mount.azfiles on this machine. It takes os.Args and what was taken out of the environment, and gives the exit
// status.
func Main(args []string, version string, ignored map[string]string) int {
	env := os.Environ()
	for name, value := range ignored { // which is told of once it is confined
		env = append(env, name+"="+value)
	}
	if err := confine.Enter(program, env); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		return int(fault.ExitSystem)
	}
	journaled := log.StderrIsJournal() // the environment says it
	confine.Isolate()
	h := Helper{
		Stdout: os.Stdout, Stderr: os.Stderr, Version: version, Host: host.Real(),
		Syslog: log.System, Journaled: journaled, Terminal: waiting.IsTerminal(unix.Stderr),
		Confined:   func() bool { return isConfined(host.Real()) },
		Target:     func() (known, told bool) { return knowsTarget(host.Real()) },
		RequestKey: "/sbin/request-key", BootID: "/proc/sys/kernel/random/boot_id",
		Access: tickets.RealAccess(),
	}
	h.Host.Ignored = ignored
	h.Host.Programs = append(h.Host.Programs, "/usr/local/sbin") // where a mount.cifs of one's own is
	return h.Run(args)
}

// Run does what args, a whole command line with the program's name, say and gives the exit status.
func (h *Helper) Run(args []string) int {
	inv, err := parseArgs(args[1:])
	if err == nil && inv.help {
		_, _ = io.WriteString(h.Stdout, help())
		return 0
	}
	if err == nil && inv.version {
		_, _ = fmt.Fprintf(h.Stdout, "%s from azfilesauth %s\n", program, h.Version)
		return 0
	}
	if os.Geteuid() != h.Host.UID {
		err = fault.NotRoot.New(program)
	}
	j := job{inv: inv}
	if err != nil {
		return h.fail(err, &j)
	}
	line := waiting.New(h.Stderr, program, h.Terminal, j.inv.verbose)
	defer line.Done()
	j.waiting, h.Stderr = line, line
	ctx := context.Background()
	if heeded := unignored(endings); len(heeded) > 0 {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, heeded...)
		defer stop()
	}
	status := h.mount(ctx, &j)
	h.remember(&j, status)
	h.sayDoctor(&j, status)
	return status
}

// mount does the work, from what costs nothing to what costs most.
func (h *Helper) mount(ctx context.Context, j *job) int {
	if err := h.read(j); err != nil {
		return h.fail(err, j)
	}
	if !j.opts.Remount && j.mounted() {
		h.step(j, "%s is already mounted on %s", j.source.UNC, j.target)
		return 0
	}
	if err := h.decide(j); err != nil {
		return h.fail(err, j)
	}
	j.decided = true
	if j.inv.fake {
		h.step(j, "nothing is asked and nothing is mounted, because of -f")
		return 0
	}
	if !j.opts.Remount {
		if err := h.ticket(ctx, j); err != nil {
			return h.fail(err, j)
		}
	}
	return h.delegate(ctx, j)
}

func (h *Helper) ticket(ctx context.Context, j *job) error {
	manager, err := tickets.New(tickets.Options{
		Access: h.Access,
		Host:   h.Host,
		Config: j.cfg,
		Step:   func(format string, a ...any) { h.step(j, format, a...) },
		Waits:  j.waiting.For,
	})
	if err != nil {
		return err
	}
	limited, cancel := fault.WithTimeout(ctx, j.opts.Timeout, fault.BoundMount)
	defer cancel()
	j.waiting.Until(time.Now().Add(j.opts.Timeout))
	got, err := manager.Ensure(limited, j.Request)
	j.waiting.Done()
	if ctx.Err() != nil { // whatever the interrupted step made of it
		return fault.Interrupted.New()
	}
	if err != nil {
		return err
	}
	j.ccache = got.CCache
	return nil
}

// delegate runs mount.cifs and explains its failure.
func (h *Helper) delegate(ctx context.Context, j *job) int {
	began := time.Now()
	end, err := h.runMount(ctx, j)
	if err == nil && end.status == 0 {
		h.step(j, "mounted")
		return 0
	}
	if end.signaled || ctx.Err() != nil {
		return h.fail(fault.Interrupted.New(), j)
	}
	if err != nil {
		return h.fail(fault.MountFailed.New("no start").First("see why it does not run: "+fault.Word("file", j.mountCIFS)+" -V").Because(err), j)
	}
	j.confined = h.Confined()
	f := j.explain(end, h.RequestKey)
	h.fail(f, j)
	if fault.Is(f, fault.UpcallFailed) {
		h.sayUpcall(j, began)
	}
	if end.status < 0 {
		return int(fault.ExitInterrupted)
	}
	return end.status
}
