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
	// What follows fails only with Stdout, and then there is nobody to tell.
	if s.inv.flags.json {
		_ = dropin.JSON(s.Stdout, tickets, zone)
	} else {
		_, _ = io.WriteString(s.Stdout, dropin.Text(path, tickets, zone))
	}
	return nil
}
