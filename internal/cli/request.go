package cli

import (
	"errors"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// request makes one of the command line.
func (s *session) request(cfg *config.Config, name string) (r tickets.Request, err error) {
	r = tickets.Request{Fresh: tickets.Always, Replace: s.force}
	if r.Endpoint, err = s.resolveName(name, cfg); err != nil {
		return r, err
	}
	if r.Identity, err = s.choose(cfg, r.Endpoint); err != nil {
		return r, err
	}
	if r.CRUID, err = cfg.CRUID(s.cruid, s.Host); err != nil {
		return r, err
	}
	if s.stdin {
		r.Token, err = identity.ReadToken(s.Stdin, "stdin")
	}
	return r, err
}

// choose finds who logs in.
func (s *session) choose(cfg *config.Config, e endpoint.Endpoint) (identity.Identity, error) {
	wrong := func(problem string) (identity.Identity, error) {
		return identity.Identity{}, usage(program+" set", problem)
	}
	ch := s.choice
	if s.stdin {
		if ch.TokenFile != "" || ch.Name != "" && ch.Name != string(identity.Token) {
			return wrong("--token-stdin cannot be combined with another identity")
		}
		ch.Name = string(identity.Token)
	}
	id, err := cfg.Choose(e.Host(), ch)
	if unfit, ok := errors.AsType[*config.ChoiceError](err); ok {
		return wrong("--" + strings.ReplaceAll(unfit.Key, "_", "-") + ": " + unfit.Problem)
	}
	if err == nil && id.Kind == identity.Token && id.TokenFile == "" && !s.stdin {
		return wrong("--identity token needs --token-file or --token-stdin")
	}
	return id, err
}
