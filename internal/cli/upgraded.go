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

	"github.com/azfilesauth/azfilesauth/internal/config"
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
	CCache  string   `json:"ccache,omitempty"`  // where the tickets stay, if the packages' layer has them elsewhere
	Written string   `json:"written,omitempty"` // the path of the file that says so
}

// upgraded is called by the packages when they take the place of Azure/AzFilesAuthenticator. Its daemon
// logs in as the machine for a mount that names nobody; ours does only where the configuration says so.
// --keep-cache says that its tickets are there: they stay in the cache that is built in where the machine
// names none, and not the packages' layer. A file that is there already stays.
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
	if s.keepCache && !cfg.Local && !cfg.SetsHere("KRB5_CC_NAME") {
		u.CCache = config.StockCache
	}
	if len(u.Hosts) > 0 || u.CCache != "" {
		if u.Written, err = s.writeUpgrade(u); err != nil {
			return fault.ConfigInvalid.New(s.Config, "its drop-in "+dropIn+" cannot be made").Because(err)
		}
	}
	return s.result(u, func(w io.Writer) {
		if u.Written != "" && len(u.Hosts) > 0 {
			_, _ = fmt.Fprintf(w, "azfilesauth: mounts of %s log in as the machine; %s says so now: default_identity: system\n",
				strings.Join(u.Hosts, ", "), u.Written)
		}
		if u.Written != "" && u.CCache != "" {
			_, _ = fmt.Fprintf(w, "azfilesauth: the tickets stay where they are; %s says so now: KRB5_CC_NAME: %s\n", u.Written, u.CCache)
		}
	})
}

func (s *session) writeUpgrade(u upgrade) (path string, err error) {
	text := "# Written when azfilesauth replaced Azure/AzFilesAuthenticator; see azfilesauth.yaml(5). What is set here\n" +
		"# wins over config.yaml.\n"
	if len(u.Hosts) > 0 {
		text += "# Its mounts that name no identity log in as the machine.\ndefault_identity: system\n"
	}
	if u.CCache != "" {
		text += "# Its tickets stay where they are.\nKRB5_CC_NAME: " + u.CCache + "\n"
	}
	path = filepath.Join(filepath.Dir(s.Config), dropIn)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	file := s.Own(0o644)
	file.New = true
	err = s.Replace(path, file, host.Content([]byte(text)))
	if errors.Is(err, fs.ErrExist) {
		return "", nil
	}
	return path, err
}
