package compat

import (
	"io"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/dropin"
)

// list shows the tickets. Whatever is wrong is known before the first byte is written.
func (s *session) list() error {
	path, tickets, err := s.manager.Bare(s.cfg.CredentialUID)
	if err != nil {
		return err
	}
	zone := s.Zone
	if zone == nil {
		zone = time.Local
	}
	text := ""
	if s.inv.flags.json {
		text = dropin.JSON(tickets, zone)
	} else {
		text = dropin.Text(path, tickets, zone)
	}
	_, _ = io.WriteString(s.Stdout, text) // fails only with Stdout, and then there is nobody to tell
	return nil
}
