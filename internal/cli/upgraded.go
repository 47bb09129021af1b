package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// dropIn is what upgraded writes, beside the configuration.
const dropIn = "config.d/50-upgrade.yaml"

// upgrade is the result of upgraded.
type upgrade struct {
	Hosts   []string `json:"hosts"`             // where nothing but the new default says who logs in
	Written string   `json:"written,omitempty"` // the path of the file that has it
}

// upgraded is called by the packages when they take the place of Azure/AzFilesAuthenticator. Its daemon
// logs in as the machine for a mount that names nobody; ours does only where the configuration says so.
// A file that is there already stays.
func (s *session) upgraded(*cobra.Command, []string) error {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	live, err := mounts.ListFrom(s.Mounts, cfg.Resolver)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // none in an image that is being built
		return fault.From(err)
	}
	lines, err := mounts.Fstab(s.Host)
	if err != nil {
		return fault.From(err)
	}
	u := upgrade{Hosts: tickets.LeftToTheMachine(cfg, live, lines)}
	if len(u.Hosts) > 0 {
		if u.Written, err = s.writeDefault(); err != nil {
			return fault.ConfigInvalid.New(s.Config, "its drop-in "+dropIn+" cannot be made").Because(err)
		}
	}
	return s.result(u, func(w io.Writer) {
		if u.Written != "" {
			_, _ = fmt.Fprintf(w, "azfilesauth: mounts of %s log in as the machine; %s says so now: default_identity: system\n",
				strings.Join(u.Hosts, ", "), u.Written)
		}
	})
}

func (s *session) writeDefault() (path string, err error) {
	path = filepath.Join(filepath.Dir(s.Config), dropIn)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	file := s.Own(0o644)
	file.New = true
	err = s.Replace(path, file, host.Content([]byte(
		"# Written when azfilesauth took the place of Azure/AzFilesAuthenticator: its mounts that name no\n"+
			"# identity log in as the machine. See azfilesauth.yaml(5).\ndefault_identity: system\n")))
	if errors.Is(err, fs.ErrExist) {
		return "", nil
	}
	return path, err
}
