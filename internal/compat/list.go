package compat

import (
	"io"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/dropin"
	"github.com/azfilesauth/azfilesauth/internal/fault"
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
	if s.inv.flags.json {
		err = dropin.JSON(s.Stdout, tickets, zone)
	} else {
		_, err = io.WriteString(s.Stdout, dropin.Text(path, tickets, zone))
	}
	if err != nil {
		return fault.OutputFailed.New().Because(err)
	}
	return nil
}
