package cli

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// checked is the result of config check.
type checked struct {
	File   string `json:"file"`
	OK     bool   `json:"ok"`     // always true: else there is a fault
	Exists bool   `json:"exists"` // false: there is no file, and the defaults hold
}

// check reads a configuration strictly, by default the one that is in use.
func (s *session) check(*cobra.Command, []string) error {
	path := cmp.Or(s.file, s.Config)
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	if cfg.Missing() && s.file != "" {
		return fault.ConfigInvalid.New(path, "it cannot be opened").Because(fs.ErrNotExist)
	}
	if err := cfg.Strict(); err != nil {
		for _, w := range cfg.Warnings()[1:] { // the first is the fault
			s.notes = append(s.notes, "also: "+w)
		}
		return err
	}
	return s.result(checked{path, true, !cfg.Missing()}, func(w io.Writer) {
		remark := ""
		if cfg.Missing() {
			remark = " (there is no such file, so the defaults hold)"
		}
		_, _ = fmt.Fprintf(w, "ok: %s%s\n", path, remark)
	})
}

// shownConfig is the result of config show.
type shownConfig struct {
	File     string    `json:"file"`
	Exists   bool      `json:"exists"` // false: there is no file, and the defaults hold
	Settings []setting `json:"settings"`
	Warnings []string  `json:"warnings"`
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
	shown := shownConfig{cfg.Path(), !cfg.Missing(), nil, append([]string{}, cfg.Warnings()...)}
	rows := [][]string{{"KEY", "VALUE", "FROM"}}
	for _, v := range cfg.Settings() {
		shown.Settings = append(shown.Settings, setting{v.Key, v.Value, v.From()})
		rows = append(rows, []string{legible.Line(v.Key), legible.Line(cmp.Or(v.Value, "(none)")), legible.Line(v.From())})
	}
	if !s.json {
		for _, w := range shown.Warnings {
			s.say("warning: %s", w)
		}
	}
	return s.result(shown, func(w io.Writer) { table(w, rows) })
}
