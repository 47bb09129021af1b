package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const (
	defaultTimeout = 30 * time.Second
	maxTimeout     = time.Hour
)

// granted is the result of set.
type granted struct {
	Endpoint    string  `json:"endpoint"`     // the canonical host
	Server      string  `json:"server"`       // the service principal
	Identity    string  `json:"identity"`     // on one line
	Refreshable bool    `json:"refreshable"`  // a new ticket can be had without a person
	ExpiresAt   *string `json:"ends_at"`      // RFC 3339
	SecondsLeft int64   `json:"seconds_left"` // to ends_at
	CCache      string  `json:"ccache"`       // path of the credential cache
}

func (s *session) set(c *cobra.Command, args []string) error {
	ctx, cancel, err := bounded(c)
	if err != nil {
		return err
	}
	defer cancel()
	defer s.wait(ctx)()
	cfg, err := s.load()
	if err != nil {
		return err
	}
	step := s.step()
	m, err := s.manager(cfg, step)
	if err != nil {
		return err
	}
	r, err := s.request(cfg, m, args[0])
	defer r.Token.Wipe()
	if err != nil {
		return err
	}
	s.notes = []string{fmt.Sprintf("used: configuration %s, identity %s, credential cache %s", config.Place(s.Host), r.Identity, cfg.CCacheName(r.CRUID))}
	for _, w := range cfg.Warnings {
		step("warning: %s", w)
	}
	before, beforeErr := m.List(r.CRUID)
	got, err := m.Ensure(ctx, r)
	if fault.Is(err, fault.IdentityConflict, fault.IdentityUnnamed) {
		s.notes = append(s.notes, "with --force the new ticket is stored anyway")
	}
	if err != nil {
		return err
	}
	s.warnings = append(s.warnings, describeChanges(before, beforeErr, r, got)...)
	return s.printTicket(r, got)
}

// step tells what is being done, to those who want to know.
func (s *session) step() func(format string, a ...any) {
	if s.verbose {
		return s.say
	}
	return func(string, ...any) {}
}

// describeChanges tells what became of the cache as it was before, when looking at it gave err.
func describeChanges(before tickets.Listing, err error, r tickets.Request, got tickets.Result) []string {
	if fault.Is(err, fault.CCacheDamaged) {
		return []string{"the credential cache was damaged; it is kept as " + got.CCache + ".damaged, and a new one is created"}
	}
	if other := before.Replaced(r, got); other != "" {
		return []string{"it replaced a ticket of the identity " + other}
	}
	return nil
}

func (s *session) printTicket(r tickets.Request, got tickets.Result) error {
	g := granted{
		Endpoint: r.Endpoint.Host(), Server: got.Server, Identity: r.Identity.String(), Refreshable: r.Identity.Refreshable(),
		ExpiresAt: formatTime(got.EndTime), SecondsLeft: secondsLeft(s.Now(), got.EndTime), CCache: got.CCache,
	}
	if !g.Refreshable {
		s.warn("it cannot be renewed: it expires unless you set a new one")
	}
	return s.result(g, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s: ticket of the identity %s until %s (%s left), in %s\n",
			g.Endpoint, g.Identity, localTime(got.EndTime), timeLeft(s.Now(), got.EndTime), g.CCache)
	})
}
