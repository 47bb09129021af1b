package compat

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// session is one run of a command.
type session struct {
	*Tool
	inv     invocation
	cfg     *config.Config
	manager *tickets.Manager
	ccache  string // the credential cache, once it is known
}

func (s *session) run() error {
	var err error
	if s.cfg, err = config.Read(s.Host); err != nil {
		return err
	}
	if s.inv.command == cmdSet {
		if err := s.checkArguments(); err != nil {
			return err
		}
	}
	if s.inv.command == cmdSet && s.Provision != nil {
		if s.cfg, err = s.Provision(s.cfg); err != nil {
			return err
		}
	}
	s.step("configuration: %s", s.Host.Config)
	for _, w := range s.cfg.Warnings {
		s.step("warning: %s", w)
	}
	s.ccache = s.cfg.CCacheName(s.cfg.CredentialUID)
	if s.cfg.PerUser() { // a sentence that upstream's tests look for
		s.record(slog.LevelInfo, fmt.Sprintf("Using default per-user ccache for UID: %d", s.cfg.CredentialUID), "ccache", s.ccache)
	}
	s.manager, err = tickets.New(tickets.Options{
		Access: s.Access,
		Host:   s.Host,
		Config: s.cfg,
		Step:   s.step,
	})
	if err != nil {
		return err
	}
	switch s.inv.command {
	case cmdSet:
		return s.set()
	case cmdClear:
		return s.clear()
	}
	return s.list()
}

// limit bounds what is left to do. The driver has 90 s for a mount, of which this is a part.
func (s *session) limit() (context.Context, context.CancelFunc) {
	return fault.WithTimeout(context.Background(), s.cfg.TotalTimeout, fault.BoundTotal)
}

// record writes one line to the log that the configuration names.
func (s *session) record(level slog.Level, message string, values ...any) {
	if s.OpenLog != nil && s.cfg != nil {
		s.OpenLog(s.cfg.Log).Log(context.Background(), level, message, values...)
	}
}

// step tells what is being done, to those who want to know.
func (s *session) step(format string, a ...any) {
	if s.inv.flags.verbose {
		s.say(format, a...)
	}
}

func (s *session) warn(format string, a ...any) { s.say("warning: "+format, a...) }

func (s *session) say(format string, a ...any) {
	_, _ = io.WriteString(s.Stderr, fault.Shorten(program+": "+fmt.Sprintf(format, a...), maxLine)+"\n")
}
