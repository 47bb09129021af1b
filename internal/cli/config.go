package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// checked is the result of config check.
type checked struct {
	File   string `json:"file"`
	OK     bool   `json:"ok"`     // always true: else there is a fault
	Exists bool   `json:"exists"` // false: there is no file, and the defaults hold
}

// check judges a configuration strictly: the one that is in use, or what is in a file or, for "-", on the
// standard input, whoever it belongs to.
func (s *session) check(*cobra.Command, []string) error {
	path := cmp.Or(s.file, s.Config)
	h := s.Host
	h.Config = path
	judge := config.Check
	if s.file == "-" {
		path, h.Config = "stdin", "stdin"
		judge = func(h host.Host) (*config.Config, []string, error) {
			content, err := io.ReadAll(io.LimitReader(s.Stdin, config.MaxSize+1))
			if err != nil {
				return nil, nil, fault.ConfigInvalid.New(h.Config, "it cannot be read").Because(err)
			}
			return config.CheckContent(h, content)
		}
	} else if s.file != "" {
		judge = config.CheckFile
	}
	cfg, more, err := judge(h)
	if cfg != nil {
		problems, misuse := cfg.Misused(s.examineUse(h, cfg))
		if err == nil && misuse != nil {
			err, problems = misuse, problems[1:]
		}
		more = append(more, problems...)
	}
	for _, also := range more { // the first is the fault
		s.notes = append(s.notes, "also: "+also)
	}
	if err != nil {
		return err
	}
	if cfg.Missing && s.file != "" {
		return fault.ConfigInvalid.New(path, "it cannot be opened").Because(fs.ErrNotExist)
	}
	return s.result(checked{path, true, !cfg.Missing}, func(w io.Writer) {
		if cfg.Missing {
			_, _ = fmt.Fprintf(w, "ok: %s (there is no such file, so the defaults hold)\n", path)
		}
		for _, file := range cfg.Files { // which tells that a drop-in is read
			_, _ = fmt.Fprintf(w, "ok: %s\n", legible.Line(file))
		}
	})
}

// examineUse judges what the parts that use the configuration would refuse, with their own rules. A credential cache and a
// user are questions for the machine that is meant, so content of the standard input is not asked for them.
func (s *session) examineUse(h host.Host, cfg *config.Config) []config.Misuse {
	problems, notes := mounts.CheckSite(cfg)
	s.warnings = append(s.warnings, notes...)
	if s.file == "-" {
		return problems
	}
	if _, err := cfg.CRUID("", h); err != nil && cfg.Sets("USER_UID") {
		s.warnings = append(s.warnings, "USER_UID: "+fault.From(err).What())
	}
	name := cfg.CCacheName(cfg.CredentialUID)
	if !cfg.Sets("KRB5_CC_NAME") || filepath.Dir(name) == h.Run { // which is made when it is needed
		return problems
	}
	h.Run = "" // so that nothing is made
	if _, err := ccache.Open(h, name, cfg.CredentialUID); fault.Is(err, fault.CCacheFolder) && !errors.Is(err, fs.ErrPermission) {
		problems = append(problems, config.Misuse{Key: "KRB5_CC_NAME", Problem: fault.From(err).What()})
	}
	return problems
}

// shownConfig is the result of config show.
type shownConfig struct {
	File     string    `json:"file"`
	Exists   bool      `json:"exists"` // false: there is no file, and the defaults hold
	Settings []setting `json:"settings"`
}

type setting struct {
	Key   string `json:"key"`
	Value string `json:"value"` // "" is none
	From  string `json:"from"`  // FILE:LINE, or "default"
}

// show presents the configuration in effect.
func (s *session) show(*cobra.Command, []string) error {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	shown := shownConfig{cfg.Path, !cfg.Missing, nil}
	rows := [][]string{{"KEY", "VALUE", "FROM"}}
	for _, v := range cfg.Settings() {
		shown.Settings = append(shown.Settings, setting{v.Key, v.Value, v.From()})
		rows = append(rows, []string{legible.Line(v.Key), legible.Line(cmp.Or(v.Value, "(none)")), legible.Line(v.From())})
	}
	s.warnings = cfg.Warnings
	return s.result(shown, func(w io.Writer) { table(w, rows) })
}
