package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// request makes one of the command line and, for what that leaves open, of the mount point that it names.
func (s *session) request(cfg *config.Config, m *tickets.Manager, name string) (r tickets.Request, err error) {
	target, err := s.resolveName(name, cfg)
	if err != nil {
		return r, err
	}
	chosen := s.stdin || s.choice != (config.Choice{})
	if r, err = m.OfPlace(target.place); err != nil && (!chosen || s.cruid == "") {
		return r, s.atLine(target, err)
	}
	if ofPlace := err == nil && !r.Endpoint.IsZero(); s.cruid != "" || !ofPlace {
		if r.CRUID, err = cfg.CRUID(s.cruid, s.Host); err != nil {
			return r, err
		}
	}
	if chosen || r.Identity == (identity.Identity{}) {
		if r.Identity, err = s.choose(cfg, target.Endpoint); err != nil {
			return r, err
		}
	}
	if !chosen {
		s.warnings = append(s.warnings, otherLines(m, target, r)...)
	}
	r.Endpoint, r.Username, r.Fresh, r.Replace = target.Endpoint, "", tickets.Always, s.force
	if s.stdin {
		r.Token, err = identity.ReadToken(s.Stdin, "stdin")
	}
	return r, err
}

// atLine tells by which line of fstab the login of a mount point failed to be found.
func (s *session) atLine(target named, err error) error {
	if l := target.place.Line(); l != nil {
		s.notes = append(s.notes, fmt.Sprintf("the identity and the credential uid are those of /etc/fstab:%d; flags replace them", l.Line))
	}
	return err
}

// otherLines tells of lines of fstab that mean another login than the one that was found: further ones for the mount point,
// which mount(8) does not take, or those of an account that was named otherwise.
func otherLines(m *tickets.Manager, target named, r tickets.Request) (told []string) {
	for _, l := range target.lines {
		other, err := m.OfLine(l)
		ofPlace := target.place.Path != "" && filepath.Clean(l.Target) == target.place.Path
		if err != nil || ofPlace != (target.place.Path != "") || other.CRUID == r.CRUID && identity.SamePrincipal(other.Identity.String(), r.Identity.String()) {
			continue
		}
		how := "name its mount point for a ticket of that login"
		if ofPlace {
			how = "of several lines for a mount point the first counts, and what is mounted there counts before them"
		}
		told = append(told, fmt.Sprintf("/etc/fstab:%d logs in as %s for the credential uid %d, not as %s for %d: %s", l.Line, other.Identity, other.CRUID, r.Identity, r.CRUID, how))
	}
	return told
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
		return wrong(flagOf(unfit.Key) + ": " + unfit.Problem)
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok && fault.Is(f, fault.IdentityInvalid) {
		return id, f.Reword(func(text string) string { return identity.Spell(text, flagOf) })
	}
	if err == nil && id.Kind == identity.Token && id.TokenFile == "" && !s.stdin {
		return wrong("--identity token needs --token-file or --token-stdin")
	}
	return id, err
}

// flagOf is the flag for a key of the text form of identities.
func flagOf(key string) string { return "--" + strings.ReplaceAll(key, "_", "-") }
