package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/setup"
)

// prepared is the result of setup.
type prepared struct {
	DryRun  bool           `json:"dry_run"` // nothing was written
	Undone  bool           `json:"undone"`
	Changes []setup.Change `json:"changes"` // made, or with dry_run to be made
	Log     []string       `json:"log"`     // what was undone
}

func (s *session) setup(c *cobra.Command, _ []string) error {
	root := s.root
	if root != "" {
		var err error
		if root, err = filepath.Abs(root); err != nil {
			return err
		}
	}
	ctx, host := c.Context(), setup.At(root)
	if s.node {
		return s.setupNode(ctx, host)
	}
	if s.undo {
		return s.undoSetup(ctx, host, setup.Undo)
	}
	do := setup.Run
	if s.dryRun {
		do = setup.Show
	}
	changes, err := do(ctx, host, s.actions(), s.progress())
	if err != nil {
		if len(changes) > 0 {
			s.notes = append(s.notes, fmt.Sprintf("%d changes were made before; azfilesauth setup --undo reverts them", len(changes)))
		}
		return err
	}
	return s.result(prepared{DryRun: s.dryRun, Changes: append([]setup.Change{}, changes...), Log: []string{}}, func(w io.Writer) {
		if len(changes) == 0 {
			_, _ = fmt.Fprintln(w, "nothing is to be changed")
		} else if s.dryRun {
			_, _ = fmt.Fprintf(w, "changes to be made: %d; nothing was written\n", len(changes))
		} else {
			_, _ = fmt.Fprintf(w, "changes made: %d; azfilesauth setup --undo reverts them\n", len(changes))
		}
	})
}

// setupNode is setup --node. What it says is a pod's log.
func (s *session) setupNode(ctx context.Context, host setup.Host) error {
	if s.undo {
		ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
		defer stop()
		err := s.undoSetup(ctx, host, setup.RemoveNode)
		if err == nil && s.stay {
			<-ctx.Done()
		}
		return err
	}
	node := setup.Node{Host: host, Program: "/proc/self/exe", Version: s.Version, Layers: s.layers}
	changes, err := node.Install(ctx, s.progress())
	if err != nil {
		return err
	}
	return s.result(prepared{Changes: append([]setup.Change{}, changes...), Log: []string{}}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "version %s; changes made: %d\n", s.Version, len(changes))
	})
}

// actions are what the flags ask for.
func (s *session) actions() []setup.Action {
	all := setup.Default()
	for id, wanted := range map[string]bool{setup.KRB5Conf: s.krb5, setup.StockHandler: s.stockHandler} {
		if a, ok := setup.ByID(id); ok && wanted {
			all = append(all, a)
		}
	}
	return all
}

// undoSetup tells what was undone, also when not all could be.
func (s *session) undoSetup(ctx context.Context, host setup.Host, undo func(context.Context, setup.Host, io.Writer) error) error {
	var out bytes.Buffer
	err := undo(ctx, host, &out)
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
			_, _ = fmt.Fprintln(w, "there is nothing to revert")
		}
	})
}
