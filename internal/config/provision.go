package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// useradd makes the system user: no home, no shell, no supplementary group (useradd(8)).
var useradd = []string{
	"--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
	"--shell", "/usr/sbin/nologin", "--comment", "Azure Files tickets", SystemUser,
}

// Provision makes what a machine needs when its configuration c has no USER_UID, as the program that this
// one takes the place of does: the system user, and the file when there is none. It returns the
// configuration after that. An existing file is never changed: the user is then found by name. Without
// useradd, as in small containers, the cache is root's. The error is a ConfigInvalid.
func Provision(h host.Host, c *Config) (*Config, error) {
	if c.Sets("USER_UID") {
		return c, nil
	}
	user, err := h.LookupUser(SystemUser)
	if err != nil {
		if program, err := h.Program("useradd"); err == nil {
			_, _ = h.Exec(context.Background(), program, useradd...) // what counts is whether there is a user now
		}
		user, _ = h.LookupUser(SystemUser)
	}
	if c.missing {
		if err := create(h, user.UID); err != nil {
			return nil, fault.ConfigInvalid.New(h.Config, "it is missing and cannot be made").Because(err)
		}
	}
	return Read(h)
}

// create makes a new configuration. Whoever was faster has made it.
func create(h host.Host, uid int) error {
	if err := os.MkdirAll(h.Path(filepath.Dir(h.Config)), 0o755); err != nil {
		return err
	}
	file := h.Own(0o600)
	file.New = true
	err := h.Replace(h.Config, file, host.Content(fmt.Appendf(nil, "# See azfilesauth.yaml(5).\nUSER_UID: %d\n", uid)))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
