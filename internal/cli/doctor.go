package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/setup"
)

// examined is the result of doctor: the report, after --fix that of the second look, and what --fix
// changed.
type examined struct {
	doctor.Report
	Changes []setup.Change `json:"changes,omitempty"`
}

// doctorOffline is "doctor config check", the offline part by a name of its own.
func (s *session) doctorOffline(c *cobra.Command, args []string) error {
	s.offline = true
	return s.doctor(c, args)
}

// doctor examines, repairs if that is asked for, and presents what was found at last.
func (s *session) doctor(c *cobra.Command, args []string) error {
	if s.fix && s.EUID != 0 {
		return fault.NotRoot.New(program + " doctor --fix")
	}
	if info, err := os.Stat(s.root); s.root != "" && (err != nil || !info.IsDir()) {
		return usage(program+" doctor", "the path for --root must be a directory")
	}
	ctx, endpoint := c.Context(), strings.Join(args, "")
	report, err := s.diagnose(ctx, endpoint)
	if err != nil {
		return err
	}
	var changes []setup.Change
	if s.fix {
		if changes, err = s.repair(ctx, report); err != nil {
			return err
		}
	}
	if len(changes) > 0 {
		if report, err = s.diagnose(ctx, endpoint); err != nil {
			return err
		}
	}
	s.exit = report.Exit
	if s.json {
		s.warnings = report.WarningLines()
	}
	return s.result(examined{report, changes}, func(w io.Writer) { report.Write(w, s.paint) })
}

// diagnose looks once.
func (s *session) diagnose(ctx context.Context, endpoint string) (doctor.Report, error) {
	subject, err := s.subject(endpoint)
	if err != nil {
		return doctor.Report{}, err
	}
	return doctor.Run(ctx, subject, doctor.All()), nil
}

// subject is what doctor and bundle look at: this machine, or another one with its own configuration.
func (s *session) subject(endpoint string) (*doctor.Subject, error) {
	machine := s.Host
	if s.root != "" {
		root, err := filepath.Abs(s.root)
		if err != nil {
			return nil, err
		}
		machine = host.Beneath(root).Trusting(s.UID)
		machine.Now = s.Now
	}
	self, _ := os.Executable() // without it a binary of another name is not known to be ours
	return doctor.New(doctor.Options{
		Host: machine, Endpoint: endpoint, Offline: s.offline, EUID: s.EUID, Version: s.Version, Self: self, Transport: s.Transport, IMDS: s.IMDS,
	})
}

// repair does what setup can for what was found.
func (s *session) repair(ctx context.Context, r doctor.Report) ([]setup.Change, error) {
	var todo []setup.Action
	for _, id := range r.Actions() {
		if a, ok := setup.ByID(id); ok {
			todo = append(todo, a)
		}
	}
	return setup.Run(ctx, setup.At(s.root), todo, s.progress())
}

// paint colours the words of a report.
func (s *session) paint(status doctor.Status, text string) string {
	code, ok := map[doctor.Status]string{doctor.OK: green, doctor.Warning: yellow, doctor.Problem: red}[status]
	if !ok {
		return text
	}
	return s.colour(code, text)
}
