package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// useraddTime bounds it: it waits for whoever else changes the users, or for a directory service.
const useraddTime = 20 * time.Second

// useradd makes the system user: no home, no shell, no supplementary group (useradd(8)).
var useradd = []string{
	"--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
	"--shell", "/usr/sbin/nologin", "--comment", "Azure Files tickets", SystemUser,
}

// Provision makes what callers of the program that this one takes the place of find after its set: a
// USER_UID in the file itself, where they read it with awk, and, where no layer has one, the system user.
// It returns the configuration after that. Without useradd, as in small containers, the cache is root's. The
// error is a ConfigInvalid; a file that is there and cannot be written is no error, since it can be used.
func Provision(h host.Host, c *Config) (*Config, error) {
	if !c.Sets("USER_UID") {
		if _, err := h.LocalUser(SystemUser); err != nil {
			if program, err := h.Program("useradd"); err == nil {
				ctx, cancel := context.WithTimeout(context.Background(), useraddTime)
				defer cancel()
				_, _ = h.Exec(ctx, program, useradd...) // what counts is whether there is a user now
			}
		}
		var err error
		if c, err = Read(h); err != nil {
			return nil, err
		}
	}
	if c.Missing {
		if err := create(h, c.CredentialUID); err != nil {
			return nil, fault.ConfigInvalid.New(h.Config, "it is missing and cannot be made").Because(err)
		}
		return Read(h)
	}
	_ = appendUID(h, c.CredentialUID) // a Kubernetes configMap or a read-only /etc
	return c, nil
}

// create makes a new configuration. Whoever was faster has made it.
func create(h host.Host, uid int) error {
	if err := os.MkdirAll(h.Path(filepath.Dir(h.Config)), 0o755); err != nil {
		return err
	}
	file := h.Own(0o600)
	file.New = true
	err := h.Replace(h.Config, file, host.Content(fmt.Appendf(nil, "# See azfilesauth.yaml(5).\n%s", uidLine(uid))))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func uidLine(uid int) string { return fmt.Sprintf("USER_UID: %d\n", uid) }

// appendUID writes USER_UID behind the file, which otherwise stays as it is, unless it is there already or
// the file would mean something else with that line. The uid is the one in effect, so nothing changes for
// whoever reads all layers.
func appendUID(h host.Host, uid int) error {
	old, info, err := h.ReadFile(h.Config, MaxSize, host.Owned|host.NoLink)
	if err != nil || hasUID(old) {
		return err
	}
	text := bytes.Clone(old)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, uidLine(uid)...)
	if !hasUID(text) {
		return nil
	}
	st := host.StatOf(info)
	file := host.File{UID: int(st.Uid), GID: int(st.Gid), Mode: uint32(info.Mode().Perm()), Label: true}
	return h.Replace(h.Config, file, host.Content(text))
}

// hasUID reports whether the text of a file says USER_UID, which is false for one that cannot be read.
func hasUID(text []byte) bool {
	root, _, _, err := readLines(text)
	if err != nil || root == nil {
		return false
	}
	all, err := pairs("", root)
	return err == nil && slices.ContainsFunc(all, func(p pair) bool { return p.key == "USER_UID" })
}
