package cli

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func (s *session) configCommand() *cobra.Command {
	group := &cobra.Command{
		Use: "config", Short: "Check or show the configuration",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd.CommandPath(), noCommand(cmd, args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	group.AddCommand(s.checkCommand(), s.showCommand())
	return group
}

func (s *session) checkCommand() *cobra.Command {
	var file string
	cmd := s.command("check [flags]", "Look for mistakes in the configuration", words(),
		func(context.Context, []string) error { return s.check(file) })
	cmd.Long = "Look for mistakes in the configuration. A key that is not known, which other commands only warn\n" +
		"of, is an error here."
	cmd.Flags().StringVar(&file, "file", "", "check this `FILE` instead of "+s.Config)
	return cmd
}

// checked is the result of config check.
type checked struct {
	File   string `json:"file"`
	OK     bool   `json:"ok"`     // always true: else there is a fault
	Exists bool   `json:"exists"` // false: there is no file, and the defaults hold
}

// check reads a configuration strictly; file "" is the one that is in use.
func (s *session) check(file string) error {
	path := s.Config
	if file != "" {
		path = file
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	if cfg.Missing() && file != "" {
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

func (s *session) showCommand() *cobra.Command {
	cmd := s.command("show [flags]", "Show the values in effect and where each comes from", words(),
		func(context.Context, []string) error { return s.show() })
	cmd.Long = "Show the values in effect and where each comes from. What can be a secret, such as a value under\n" +
		"ENVIRONMENT: or the login in proxy:, is REDACTED."
	return cmd
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
func (s *session) show() error {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	shown := shownConfig{cfg.Path(), !cfg.Missing(), nil, append([]string{}, cfg.Warnings()...)}
	rows := [][]string{{"KEY", "VALUE", "FROM"}}
	for _, v := range cfg.Settings() {
		shown.Settings = append(shown.Settings, setting{v.Key, v.Value, v.From()})
		rows = append(rows, []string{printable(v.Key), printable(orNone(v.Value)), printable(v.From())})
	}
	if !s.json {
		for _, w := range shown.Warnings {
			s.say("warning: %s", w)
		}
	}
	return s.result(shown, func(w io.Writer) { table(w, rows) })
}

func orNone(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}
