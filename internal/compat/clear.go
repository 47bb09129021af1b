package compat

import (
	"fmt"
	"log/slog"

	"github.com/azfilesauth/azfilesauth/internal/dropin"
)

// clear erases a ticket. What it prints on stdout is for programs.
func (s *session) clear() error {
	e, err := dropin.Endpoint(s.inv.uri, s.cfg.Resolver())
	if err != nil {
		return err
	}
	ctx, cancel := s.limit()
	defer cancel()
	if err := s.manager.Clear(ctx, s.cfg.CredentialUID(), e); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s clear: 0\n", program)
	s.record(slog.LevelInfo, "ticket erased", "server", e.SPN(), "ccache", s.ccache)
	s.say("the ticket for %s is erased from %s", e.SPN(), s.ccache)
	return nil
}
