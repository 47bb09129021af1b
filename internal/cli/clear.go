package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

func (s *session) clearCommand() *cobra.Command {
	var all bool
	var cruid string
	cmd := s.command("clear ENDPOINT | --all", "Erase tickets", nil,
		func(ctx context.Context, args []string) error { return s.clear(ctx, args, cruid) })
	cmd.Long = "Erase the ticket of an endpoint, or all tickets of a credential cache. A mount that is live keeps\n" +
		"its connection, and needs a new ticket at the next login."
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case all && len(args) > 0:
			return usage(cmd.CommandPath(), "--all and an endpoint exclude each other")
		case all:
			return nil
		}
		return words("endpoint (or --all)")(cmd, args)
	}
	cmd.ValidArgsFunction = s.firstOf(s.endpoints)
	cmd.Flags().BoolVar(&all, "all", false, "erase all tickets")
	cmd.Flags().StringVar(&cruid, "cruid", "", "the `UID` whose credential cache it is (default USER_UID)")
	completeFlags(cmd, nil)
	return cmd
}

// erased is the result of clear.
type erased struct {
	Endpoints []string `json:"erased"` // hosts whose tickets were erased
	CCache    string   `json:"ccache"` // path of the credential cache
}

// clear erases the ticket of the endpoint in args, or all without one.
func (s *session) clear(ctx context.Context, args []string, cruid string) error {
	if err := s.needRoot("clear"); err != nil {
		return err
	}
	cfg, err := s.load()
	if err != nil {
		return err
	}
	uid, err := cfg.CRUID(cruid, s.Passwd)
	if err != nil {
		return err
	}
	m, err := s.manager(cfg, nil)
	if err != nil {
		return err
	}
	e, err := s.erase(ctx, cfg, m, uid, args)
	if err != nil {
		return err
	}
	return s.result(e, func(w io.Writer) {
		for _, host := range e.Endpoints {
			_, _ = fmt.Fprintf(w, "%s: ticket erased from %s\n", printable(host), e.CCache)
		}
		if len(e.Endpoints) == 0 {
			_, _ = fmt.Fprintf(w, "there are no tickets in %s\n", e.CCache)
		}
	})
}

func (s *session) erase(ctx context.Context, cfg *config.Config, m *tickets.Manager, uid int, args []string) (erased, error) {
	listing, err := m.List(uid)
	e := erased{Endpoints: []string{}, CCache: listing.CCache}
	if err != nil {
		return e, err
	}
	if len(args) > 0 {
		target, err := mounts.Named(args[0], cfg.Resolver())
		if err != nil {
			return e, err
		}
		e.Endpoints = append(e.Endpoints, target.Host())
		return e, m.Clear(ctx, uid, target)
	}
	principals, err := m.ClearAll(ctx, uid)
	for _, p := range principals {
		_, host, _ := strings.Cut(p, "/")
		host, _, _ = strings.Cut(host, "@")
		e.Endpoints = append(e.Endpoints, host)
	}
	slices.Sort(e.Endpoints)
	return e, err
}
