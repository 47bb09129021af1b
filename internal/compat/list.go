package compat

import (
	"io"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/dropin"
)

// list shows the tickets. Whatever is wrong is known before the first byte is written.
func (s *session) list() error {
	l, err := s.manager.List(s.cfg.CredentialUID)
	if err != nil {
		return err
	}
	tickets := make([]ccache.Credential, len(l.Tickets))
	for i, t := range l.Tickets {
		tickets[i] = t.Credential
	}
	zone := s.Zone
	if zone == nil {
		zone = time.Local
	}
	text := dropin.Text(l.CCache, tickets, zone)
	if s.inv.flags.json {
		text = dropin.JSON(tickets, zone)
	}
	_, _ = io.WriteString(s.Stdout, text) // fails only with Stdout, and then there is nobody to tell
	return nil
}
