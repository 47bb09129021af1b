package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// SystemUser owns the credential cache when USER_UID is not set: a user who cannot log in and belongs
// to no group but his own.
const SystemUser = "azfilesuser"

// useradd makes it: no home, no shell, no supplementary group (useradd(8)).
var useradd = []string{
	"useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
	"--shell", "/usr/sbin/nologin", "--comment", "Azure Files tickets", SystemUser,
}

// userFolders are where useradd is looked for; PATH is not root's word.
var userFolders = []string{"/usr/sbin", "/sbin"}

// Provisioner makes what a machine needs when its configuration has no USER_UID, as the program that
// this one takes the place of does: the system user, and the file when there is none.
type Provisioner struct {
	Passwd  string   // as /etc/passwd
	Folders []string // where useradd is; nil means the system's
}

// Provision returns the configuration at c's path after that. An existing file is never changed: the
// user is then found by name. Without useradd, as in small containers, the cache is root's. The
// error is a ConfigInvalid.
func (p Provisioner) Provision(c *Config) (*Config, error) {
	if c.Sets("USER_UID") {
		return c, nil
	}
	uid, found, _ := lookupUser(p.Passwd, SystemUser)
	if !found && p.addUser() == nil {
		uid, _, _ = lookupUser(p.Passwd, SystemUser)
	}
	if c.missing {
		if err := create(c.path, uid); err != nil {
			return nil, fault.ConfigInvalid.New(c.path, "it is missing and cannot be made").Because(err)
		}
	}
	now, err := Load(c.path)
	if err == nil && !now.Sets("USER_UID") {
		now.uid = uid
	}
	return now, err
}

func (p Provisioner) addUser() error {
	folders := p.Folders
	if folders == nil {
		folders = userFolders
	}
	for _, dir := range folders {
		program := filepath.Join(dir, useradd[0])
		if _, err := os.Stat(program); err != nil {
			continue
		}
		return (&exec.Cmd{Path: program, Args: useradd, Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}}).Run()
	}
	return fs.ErrNotExist
}

// create puts a new configuration in place, whole, so that nobody reads half of it. Whoever was faster
// has made it.
func create(path string, uid int) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".config-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = fmt.Fprintf(f, "# See azfilesauth.yaml(5).\nUSER_UID: %d\n", uid)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
