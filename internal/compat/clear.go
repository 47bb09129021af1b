package compat

import (
	"fmt"
	"log/slog"

	"github.com/azfilesauth/azfilesauth/internal/dropin"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// clear erases a ticket. What it prints on stdout is for programs.
func (s *session) clear() error {
	e, err := dropin.Endpoint(s.inv.uri, s.cfg.Resolver)
	if err != nil {
		return err
	}
	ctx, cancel := s.limit()
	defer cancel()
	had, err := s.manager.Clear(ctx, s.cfg.CredentialUID, e)
	missing := fault.Is(err, fault.TicketUnknown) // which is what the caller wants
	if err != nil && !missing {
		return err
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s clear: 0\n", program)
	if missing {
		s.say("there is no ticket for %s in %s", e.SPN(), s.ccache)
		return nil
	}
	if !had {
		s.say("there was no ticket for %s in %s; the identity that was stored for it is forgotten", e.SPN(), s.ccache)
		return nil
	}
	s.record(slog.LevelInfo, "ticket erased", "server", e.SPN(), "ccache", s.ccache)
	s.say("the ticket for %s is erased from %s", e.SPN(), s.ccache)
	return nil
}
