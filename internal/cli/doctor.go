package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/setup"
)

// examination is what the flags of doctor say.
type examination struct {
	endpoint     string
	root         string
	offline, fix bool
}

func (s *session) doctorCommand() *cobra.Command {
	var e examination
	cmd := s.command("doctor [ENDPOINT|MOUNTPOINT] [flags]", "Find out why a share would not mount, and how to mend it", nil,
		func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				e.endpoint = args[0]
			}
			return s.doctor(ctx, e)
		})
	cmd.Long = "Find out why a share would not mount, and how to mend it: for one endpoint, given by its host, a URL,\n" +
		"a share or a mount point, or for every one that is mounted, in fstab or in the configuration.\n" +
		"Nothing is changed, unless --fix is given.\n\n" +
		"The exit status is 0 when all is well, 1 when mounts work but something is to be mended, and 2 when a\n" +
		"mount would fail now. The last line names the first broken link of the chain and its fix."
	cmd.Args = atMostOne("ENDPOINT or MOUNTPOINT")
	cmd.ValidArgsFunction = s.firstOf(s.endpointsAndMountpoints)
	flags := cmd.Flags()
	flags.StringVar(&e.root, "root", "", "look at the machine whose files are in this `DIR`, such as an image; ask nothing else")
	flags.BoolVar(&e.offline, "offline", false, "look at files alone: run no program, ask neither the network nor the kernel")
	flags.BoolVar(&e.fix, "fix", false, "mend what setup can mend, as root, and look again; setup --undo takes it back")
	completeFlags(cmd, nil)
	cmd.AddCommand(s.doctorConfigCommand())
	return cmd
}

// doctorConfigCommand is "doctor config check", the offline part by a name of its own.
func (s *session) doctorConfigCommand() *cobra.Command {
	group := &cobra.Command{
		Use: "config", Short: "Look at the files of this machine alone",
		Args: words(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	e := examination{offline: true}
	check := s.command("check [flags]", "Look at the files alone: configuration, krb5.conf, request-key", words(),
		func(ctx context.Context, _ []string) error { return s.doctor(ctx, e) })
	check.Flags().StringVar(&e.root, "root", "", "look at the machine whose files are in this `DIR`")
	completeFlags(check, nil)
	group.AddCommand(check)
	return group
}

// atMostOne makes cobra refuse a second argument.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage(cmd.CommandPath(), "there is more than one "+name)
		}
		return nil
	}
}

// examined is the result of doctor: the report, after --fix that of the second look, and what --fix
// changed.
type examined struct {
	doctor.Report
	Changes []setup.Change `json:"changes,omitempty"`
}

// doctor examines, mends if that is asked for, and presents what was found at last.
func (s *session) doctor(ctx context.Context, e examination) error {
	if e.fix {
		if err := s.needRoot("doctor --fix"); err != nil {
			return err
		}
	}
	if e.root != "" {
		root, err := filepath.Abs(e.root)
		if err != nil {
			return err
		}
		if info, err := os.Stat(root); err != nil || !info.IsDir() {
			return usage(program+" doctor", "what --root names is not a folder")
		}
		e.root = root
	}
	report, err := s.diagnose(ctx, e)
	if err != nil {
		return err
	}
	var changes []setup.Change
	if e.fix {
		if changes, err = s.mend(ctx, e, report); err != nil {
			return err
		}
	}
	if len(changes) > 0 {
		if report, err = s.diagnose(ctx, e); err != nil {
			return err
		}
	}
	s.exit = report.Exit
	return s.result(examined{report, changes}, func(w io.Writer) { report.Write(w, s.paint) })
}

// diagnose looks once.
func (s *session) diagnose(ctx context.Context, e examination) (doctor.Report, error) {
	subject, err := s.subject(e)
	if err != nil {
		return doctor.Report{}, err
	}
	return doctor.Run(ctx, subject, doctor.All()), nil
}

// subject is what doctor and bundle look at: this machine, or another one with its own configuration.
func (s *session) subject(e examination) (*doctor.Subject, error) {
	machine := host.Beneath(e.root)
	if e.root == "" {
		machine = host.Real()
		machine.Config = s.Config
	}
	machine.Now = s.Now
	self, _ := os.Executable() // without it a binary of another name is not known to be ours
	return doctor.New(doctor.Options{
		Host: machine, Endpoint: e.endpoint, Offline: e.offline, EUID: s.EUID, Version: s.Version, Self: self, Transport: s.Transport, IMDS: s.IMDS,
	})
}

// mend does what setup can for what was found.
func (s *session) mend(ctx context.Context, e examination, r doctor.Report) ([]setup.Change, error) {
	var todo []setup.Action
	for _, id := range r.Actions() {
		if a, ok := setup.ByID(id); ok {
			todo = append(todo, a)
		}
	}
	out := s.Stdout // the diffs are there before the first change
	if s.json {
		out = io.Discard
	}
	return setup.Run(ctx, setup.At(e.root), todo, out)
}

// paint colours the words of a report.
func (s *session) paint(status doctor.Status, text string) string {
	code, ok := map[doctor.Status]string{doctor.OK: green, doctor.Warning: yellow, doctor.Problem: red}[status]
	if !ok {
		return text
	}
	return s.colour(code, text)
}
