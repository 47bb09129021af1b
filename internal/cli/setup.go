package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/setup"
)

// setupOptions are the flags of setup.
type setupOptions struct {
	dryRun, undo       bool
	krb5, stockHandler bool
	root               string
}

func (s *session) setupCommand() *cobra.Command {
	var o setupOptions
	cmd := s.command("setup [flags]", "Prepare this machine for mounts, or take that back", nil,
		func(ctx context.Context, _ []string) error { return s.setup(ctx, o) })
	cmd.Long = "Prepare this machine for mounts: folders, configuration, the rule for the kernel's requests, the\n" +
		"program's names, the system user where the configuration needs one, and the service. What is as it\n" +
		"should be stays. Every change is shown before any is made, and --undo takes all of them back: bytes,\n" +
		"owner and mode. No file of another package is changed, but for those that a flag asks for:\n\n" +
		"--edit-krb5-conf gives /etc/krb5.conf a default_realm if it has none. azfiles.upcall does without.\n" +
		"Where a stock cifs.upcall answers, it makes every failed login wait for a search for that realm's\n" +
		"servers, unless dns_lookup_kdc is false.\n\n" +
		"--stock-handler tells a stock cifs.upcall the realm of Azure Files, in /etc/krb5.conf.d/azfilesauth.conf.\n" +
		"It is needed where domain_realm maps core.windows.net to another realm."
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if o.undo && (o.dryRun || o.krb5 || o.stockHandler) {
			return usage(cmd.CommandPath(), "--undo takes no other flag than --root")
		}
		return words()(cmd, args)
	}
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "show the changes and make none")
	f.BoolVar(&o.undo, "undo", false, "take back what setup and doctor --fix did")
	f.BoolVar(&o.krb5, "edit-krb5-conf", false, "also set default_realm in /etc/krb5.conf and keep a copy")
	f.BoolVar(&o.stockHandler, "stock-handler", false, "also tell a stock cifs.upcall the realm of Azure Files")
	f.StringVar(&o.root, "root", "", "prepare the machine whose files are in this `DIR`, such as an image; start nothing")
	completeFlags(cmd, nil)
	return cmd
}

// prepared is the result of setup.
type prepared struct {
	DryRun  bool           `json:"dry_run"` // nothing was written
	Undone  bool           `json:"undone"`
	Changes []setup.Change `json:"changes"` // made, or with dry_run to be made
	Log     []string       `json:"log"`     // what was taken back
}

func (s *session) setup(ctx context.Context, o setupOptions) error {
	if err := s.needRoot("setup"); err != nil {
		return err
	}
	if o.root != "" {
		root, err := filepath.Abs(o.root)
		if err != nil {
			return err
		}
		o.root = root
	}
	host := setup.At(o.root)
	if o.undo {
		return s.undoSetup(ctx, host)
	}
	do := setup.Run
	if o.dryRun {
		do = setup.Show
	}
	out := s.Stdout // the diffs are there before the first change, whatever happens then
	if s.json {
		out = io.Discard
	}
	changes, err := do(ctx, host, o.actions(), out)
	if err != nil {
		if len(changes) > 0 {
			s.notes = append(s.notes, fmt.Sprintf("%d changes were made before; azfilesauth setup --undo takes them back", len(changes)))
		}
		return err
	}
	return s.result(prepared{DryRun: o.dryRun, Changes: append([]setup.Change{}, changes...), Log: []string{}}, func(w io.Writer) {
		switch {
		case len(changes) == 0:
			_, _ = fmt.Fprintln(w, "nothing is to be changed")
		case o.dryRun:
			_, _ = fmt.Fprintf(w, "changes to be made: %d; nothing was written\n", len(changes))
		default:
			_, _ = fmt.Fprintf(w, "changes made: %d; azfilesauth setup --undo takes them back\n", len(changes))
		}
	})
}

// actions are what the flags ask for.
func (o setupOptions) actions() []setup.Action {
	all := setup.Default()
	for id, wanted := range map[string]bool{setup.KRB5Conf: o.krb5, setup.StockHandler: o.stockHandler} {
		if a, ok := setup.ByID(id); ok && wanted {
			all = append(all, a)
		}
	}
	return all
}

// undoSetup tells what was taken back also when not all could be.
func (s *session) undoSetup(ctx context.Context, host setup.Host) error {
	var out bytes.Buffer
	err := setup.Undo(ctx, host, &out)
	log := []string{}
	for line := range bytes.Lines(out.Bytes()) {
		log = append(log, string(bytes.TrimSpace(line)))
	}
	if err != nil {
		s.notes = append(s.notes, log...)
		return fault.From(err)
	}
	return s.result(prepared{Undone: true, Changes: []setup.Change{}, Log: log}, func(w io.Writer) {
		_, _ = w.Write(out.Bytes())
		if len(log) == 0 {
			_, _ = fmt.Fprintln(w, "there is nothing to take back")
		}
	})
}
