package compat

import (
	"log/slog"

	"github.com/azfilesauth/azfilesauth/internal/dropin"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// set exchanges in any case: the driver calls it when something about the identity has changed.
func (s *session) set() error {
	r, err := s.request()
	if err != nil {
		return err
	}
	ctx, cancel := s.limit()
	defer cancel()
	r.Choice = s.proxyOfEnvironment()
	before, listError := s.manager.List(r.CRUID)
	got, err := s.manager.Ensure(ctx, r)
	if err != nil {
		return err
	}
	s.record(slog.LevelInfo, "ticket obtained", "server", got.Server, "identity", r.Identity.String(), "ccache", got.CCache, "ends", got.EndTime)
	if fault.Is(listError, fault.CCacheDamaged) {
		s.warn("the credential cache was damaged; it is now %s.damaged and a new one is created", s.ccache)
	}
	if others := before.Replaced(r, got); others != "" {
		s.warn("the ticket for %s was that of the identity %s, and is now that of %s", r.Endpoint, others, r.Identity)
	}
	// The driver uses this form, and nobody reads what it gets on success.
	if !s.inv.token.Empty() && !s.inv.stdin && (s.Terminal || s.inv.flags.verbose) {
		s.warn("a token on the command line can be seen by others and stays in the shell's history; use set URI - or --token-file")
	}
	return nil
}

// proxyOfEnvironment is the proxy that the environment names where the configuration names none: the callers of this program know
// that it follows its environment, as upstream's does. The record of the ticket has it for those who renew it.
func (s *session) proxyOfEnvironment() *transport.Choice {
	if s.cfg.Transport.Proxy != nil {
		return &transport.Choice{}
	}
	chosen, err := transport.FromEnvironment(s.Environment)
	if err != nil {
		s.warn("%v; it is ignored", err)
		return &transport.Choice{}
	}
	if chosen.Proxy != nil && chosen.Proxy.User != nil {
		s.warn("%s has a login, which is used now and kept nowhere: the ticket is renewed without that proxy unless /etc/azfilesauth/config.d/90-local.yaml, with mode 0600, has it under proxy:", transport.Variable(s.Environment))
	}
	return &chosen
}

// checkArguments finds what is wrong with the command line and the files that it names, before anything of the machine is
// changed for it.
func (s *session) checkArguments() error {
	_, id, err := s.named()
	if err != nil {
		return err
	}
	return id.CheckFiles(identity.Options{Host: s.Host, Owner: s.cfg.CredentialUID})
}

// named are the endpoint and the identity that the command line names.
func (s *session) named() (e endpoint.Endpoint, id identity.Identity, err error) {
	if e, err = dropin.Endpoint(s.inv.uri, s.cfg.Resolver); err == nil {
		id, err = s.inv.identity(s.cfg, e)
	}
	return e, id, err
}

// request is what the command line asks for.
func (s *session) request() (tickets.Request, error) {
	e, id, err := s.named()
	if err == nil {
		id, err = s.managed(id)
	}
	if err != nil {
		return tickets.Request{}, err
	}
	if s.inv.stdin {
		if s.inv.token, err = identity.ReadToken(s.Stdin, "stdin"); err != nil {
			return tickets.Request{}, err
		}
	}
	// The driver names the account's own host even where it then mounts by way of the private endpoint.
	return tickets.Request{
		Endpoint: e, Identity: id, CRUID: s.cfg.CredentialUID,
		Fresh: tickets.Always, Token: s.inv.token, Replace: s.inv.flags.force, Keep: true, Ahead: true,
	}, nil
}
