package cli

import (
	"context"
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

// setOptions are the flags of set.
type setOptions struct {
	choice  config.Choice
	stdin   bool // the access token comes from there
	cruid   string
	force   bool
	timeout time.Duration
	verbose bool
}

func (s *session) setCommand() *cobra.Command {
	var o setOptions
	cmd := s.command("set ENDPOINT [flags]", "Get a new ticket for an endpoint", setWords,
		func(ctx context.Context, args []string) error { return s.set(ctx, args[0], o) })
	cmd.Long = "Get a new ticket for an endpoint, whatever the credential cache holds. ENDPOINT is the host of a\n" +
		"storage account or its https URL. Without flags, the configuration says who logs in."
	cmd.Example = "  azfilesauth set acct.file.core.windows.net --identity system\n" +
		"  azfilesauth set acct.file.core.windows.net --client-id 00000000-0000-0000-0000-000000000000\n" +
		"  az account get-access-token --resource https://storage.azure.com --query accessToken -o tsv |\n" +
		"    azfilesauth set acct.file.core.windows.net --token-stdin"
	cmd.ValidArgsFunction = s.firstOf(s.endpoints)
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.choice.Name, "identity", "", "a `NAME` under identities: in the configuration, or a kind: system,\nuser-assigned, workload, service-principal, cli, arc, token")
	f.StringVar(&o.choice.ClientID, "client-id", "", "the client `ID` of a managed identity or an application")
	f.StringVar(&o.choice.ObjectID, "object-id", "", "the object `ID` of a managed identity")
	f.StringVar(&o.choice.ResourceID, "resource-id", "", "the resource `ID` of a managed identity")
	f.StringVar(&o.choice.TenantID, "tenant-id", "", "the `ID` of the tenant of an application")
	f.StringVar(&o.choice.TokenFile, "token-file", "", "a `FILE` with an access token, or with --tenant-id a federated one")
	f.BoolVar(&o.stdin, "token-stdin", false, "read an access token from stdin")
	f.StringVar(&o.choice.SecretFile, "secret-file", "", "a `FILE` with the secret of an application")
	f.StringVar(&o.choice.CertificateFile, "certificate-file", "", "a `FILE` with the certificate and key of an application")
	f.StringVar(&o.choice.User, "user", "", "the `USER` of this machine who is logged in to the Azure CLI")
	f.StringVar(&o.choice.Authority, "authority-host", "", "the `URL` where Entra issues tokens")
	f.StringVar(&o.choice.Resource, "resource", "", "the `URL` that tokens are for")
	f.StringVar(&o.cruid, "cruid", "", "the `UID` whose credential cache it is (default USER_UID)")
	f.BoolVar(&o.force, "force", false, "replace another identity even while its mount is live")
	f.DurationVar(&o.timeout, "timeout", defaultTimeout, "bound on all of it, a `TIME` such as 90s")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell each step")
	completeFlags(cmd, map[string]completer{"identity": s.completeIdentity})
	return cmd
}

// setWords knows the mistake of those who come from azfilesauthmanager.
func setWords(cmd *cobra.Command, args []string) error {
	if len(args) == 2 {
		return usage(cmd.CommandPath(), "there are too many arguments; an access token belongs to --token-stdin, where nobody else sees it")
	}
	return words("endpoint")(cmd, args)
}

// granted is the result of set.
type granted struct {
	Endpoint    string   `json:"endpoint"`     // the canonical host
	Server      string   `json:"server"`       // the service principal
	Identity    string   `json:"identity"`     // on one line
	Refreshable bool     `json:"refreshable"`  // a new ticket can be had without a person
	EndsAt      *string  `json:"ends_at"`      // RFC 3339
	SecondsLeft int64    `json:"seconds_left"` // to ends_at
	CCache      string   `json:"ccache"`       // path of the credential cache
	Warnings    []string `json:"warnings,omitempty"`
}

// set gets a new ticket and presents it.
func (s *session) set(ctx context.Context, name string, o setOptions) error {
	if err := s.needRoot("set"); err != nil {
		return err
	}
	if o.timeout <= 0 || o.timeout > maxTimeout {
		return usage("azfilesauth set", "--timeout must be a time between 0 and 1h, such as 30s")
	}
	cfg, err := s.load()
	if err != nil {
		return err
	}
	r, err := s.request(cfg, name, o)
	defer r.Token.Wipe()
	if err != nil {
		return err
	}
	s.notes = []string{fmt.Sprintf("used: configuration %s, identity %s, credential cache %s", s.Config, r.Identity, cfg.CCacheName(r.CRUID))}
	step := s.step(o.verbose)
	for _, w := range cfg.Warnings() {
		step("warning: %s", w)
	}
	m, err := s.manager(cfg, step)
	if err != nil {
		return err
	}
	before, beforeErr := m.List(r.CRUID)
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	got, err := m.Ensure(ctx, r)
	if fault.Is(err, fault.IdentityConflict) {
		s.notes = append(s.notes, "with --force the new ticket is stored all the same")
	}
	if err != nil {
		return err
	}
	return s.grant(r, got, changes(before, beforeErr, r, got))
}

// step tells what is being done, to those who want to know.
func (s *session) step(verbose bool) func(format string, a ...any) {
	if verbose {
		return s.say
	}
	return func(string, ...any) {}
}

// changes tells what became of the cache as it was before, when looking at it gave err.
func changes(before tickets.Listing, err error, r tickets.Request, got tickets.Result) []string {
	if fault.Is(err, fault.CCacheDamaged) {
		return []string{"the credential cache was damaged; it is kept as " + got.CCache + ".damaged, and a new one is begun"}
	}
	for _, t := range before.Tickets {
		if ticketHost(t) == r.Endpoint.Host() && t.Known && t.Identity != r.Identity.String() {
			return []string{"it took the place of a ticket of the identity " + t.Identity}
		}
	}
	return nil
}

// grant presents a new ticket.
func (s *session) grant(r tickets.Request, got tickets.Result, warnings []string) error {
	g := granted{
		Endpoint: r.Endpoint.Host(), Server: got.Server, Identity: r.Identity.String(), Refreshable: r.Identity.Refreshable(),
		EndsAt: stamp(got.EndTime), SecondsLeft: secondsLeft(s.Now(), got.EndTime), CCache: got.CCache, Warnings: warnings,
	}
	if !g.Refreshable {
		g.Warnings = append(g.Warnings, "nobody can renew it: it ends for good unless you set a new one")
	}
	if !s.json {
		for _, w := range g.Warnings {
			s.say("warning: %s", printable(w))
		}
	}
	return s.result(g, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s: ticket of the identity %s until %s (%s left), in %s\n",
			g.Endpoint, g.Identity, localTime(got.EndTime), timeLeft(s.Now(), got.EndTime), g.CCache)
	})
}
