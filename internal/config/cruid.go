package config

import (
	"strconv"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// SystemUser owns the credential cache when USER_UID is not set: a user who cannot log in and belongs
// to no group but his own.
const SystemUser = "azfilesuser"

// CRUID finds the uid whose credential cache is used: want is a number or a name that the machine h knows,
// or "" for USER_UID. The kernel's helper refuses a uid that getent(1)
// does not list; root is there always, and the user who called sudo need not be. The errors are of kind UIDUnknown.
func (c *Config) CRUID(want string, h host.Host) (int, error) {
	if want == "" && c.Local {
		return c.CredentialUID, nil
	}
	if want == "" {
		want = strconv.Itoa(c.CredentialUID)
	}
	if want == "0" || want == "root" {
		return 0, nil
	}
	user, err := h.LookupUser(want)
	if err != nil {
		return 0, fault.UIDUnknown.New(want).Because(err)
	}
	return user.UID, nil
}
