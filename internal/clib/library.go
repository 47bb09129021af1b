//go:build cgo && clib

package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/dropin"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// program is the name in the log, the one under which AzFilesAuthenticator's library writes there.
const program = "azfilesauth"

// call is one call of a function of the library. Nothing is kept between calls: the caller may have
// closed every descriptor, and root may have edited the configuration.
type call struct {
	host host.Host
	cfg  *config.Config // nil until it is read
	*tickets.Manager
	transport *transport.Route
}

// run does what a function is for and gives its return value.
func run(do func(*call) error) (code int) {
	c := &call{host: host.Real()}
	err := guarded(func() error {
		defer c.close()
		if err := c.open(); err != nil {
			return err
		}
		return do(c)
	})
	if err == nil {
		return 0
	}
	_ = guarded(func() error { c.report(err); return nil })
	return -1
}

// open reads the configuration and makes what asks Azure. A missing configuration is not made, and
// neither is a user: that is the work of packages and commands.
func (c *call) open() error {
	if os.Geteuid() != 0 {
		return fault.NotRoot.New("a program that calls libazfilesauth")
	}
	var err error
	if c.cfg, err = config.Read(c.host); err != nil {
		return err
	}
	if c.transport, err = transport.NewRoute(c.cfg.Transport); err != nil {
		return err
	}
	c.Manager, err = tickets.New(tickets.Options{
		Access: tickets.Access{Transport: c.transport, ForgetFailures: keyring.ForgetFailures}, Host: c.host, Config: c.cfg,
	})
	return err
}

// close leaves no connection behind.
func (c *call) close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// limit bounds what is left to do.
func (c *call) limit() (context.Context, context.CancelFunc) {
	return fault.WithTimeout(context.Background(), c.cfg.TotalTimeout, fault.BoundTotal)
}

// set exchanges an access token for a ticket and gives the time that the ticket has left.
func (c *call) set(uri string, token secret.Value) (time.Duration, error) {
	e, err := dropin.Endpoint(uri, c.cfg.Resolver)
	if err != nil {
		return 0, err
	}
	if token.Empty() { // to Ensure it would mean that the identity has one
		return 0, fault.TokenInvalid.New("the caller", "it is empty")
	}
	ctx, cancel := c.limit()
	defer cancel()
	got, err := c.Ensure(ctx, tickets.Request{
		Endpoint: e, Identity: c.issuedTo(e, token), CRUID: c.cfg.CredentialUID,
		Fresh: tickets.Always, Token: token,
	})
	if err != nil {
		return 0, err
	}
	c.record(slog.LevelInfo, "ticket obtained", "server", got.Server, "ccache", got.CCache, "ends", got.EndTime)
	return time.Until(got.EndTime), nil
}

// issuedTo gives the identity that obtained the ticket that is there, if the token was issued to it as
// well: then the caller is a daemon of AzFilesAuthenticator that replaces a ticket in time, and who
// refreshes it is no other than before. Of another token only the caller knows where it comes from.
func (c *call) issuedTo(e endpoint.Endpoint, token secret.Value) identity.Identity {
	listing, _ := c.List(c.cfg.CredentialUID) // what is wrong with it Ensure tells
	for _, t := range listing.Tickets {
		if id, err := identity.Parse(t.Identity); err == nil && t.Known && t.Trusted && t.Host() == e.Host() && id.Issued(token) {
			return id
		}
	}
	return identity.Identity{Kind: identity.Token}
}

func (c *call) clear(uri string) error {
	e, err := dropin.Endpoint(uri, c.cfg.Resolver)
	if err != nil {
		return err
	}
	ctx, cancel := c.limit()
	defer cancel()
	uid := c.cfg.CredentialUID
	_, err = c.Clear(ctx, uid, e)
	if fault.Is(err, fault.TicketUnknown) { // which is what the caller wants
		c.record(slog.LevelInfo, "there is no ticket to erase", "server", e.SPN(), "ccache", c.cfg.CCacheName(uid))
		return nil
	}
	if err != nil {
		return err
	}
	c.record(slog.LevelInfo, "ticket erased", "server", e.SPN(), "ccache", c.cfg.CCacheName(uid))
	return nil
}

// list gives the text that shows the tickets.
func (c *call) list(json bool) (string, error) {
	path, found, err := c.Bare(c.cfg.CredentialUID)
	if err != nil {
		return "", err
	}
	if json {
		var text strings.Builder
		err := dropin.JSON(&text, found, time.Local)
		return text.String(), err
	}
	return dropin.Text(path, found, time.Local), nil
}

// report says what went wrong: in the log, and on standard error only where there is no log.
func (c *call) report(err error) {
	f := fault.From(err)
	if !c.record(slog.LevelError, f.What(), "fault", string(f.ID()), "cause", f.Cause(), "fix", f.Fix()) {
		// Not os.Stderr: a write to it that meets a broken pipe ends a Go process.
		_, _ = unix.Write(unix.Stderr, []byte(program+": "+f.Error()+"\n"))
	}
}

// record writes a line to the log that the configuration names, syslog where it cannot be read, and
// reports whether there is one.
func (c *call) record(level slog.Level, message string, values ...any) bool {
	settings := log.Settings{Destination: log.Syslog}
	if c.cfg != nil {
		settings = c.cfg.Log
	}
	return log.Record(c.host, settings, program, level, message, values...) == nil
}
