package mounthelper

import (
	"errors"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// chooseIdentity finds who logs in: what the options say, else what the configuration says.
func chooseIdentity(s settings, cfg *config.Config, e endpoint.Endpoint) (identity.Identity, error) {
	if err := s.readUsername(); err != nil {
		return identity.Identity{}, err
	}
	id, err := cfg.Choose(e.Host(), s.choice)
	var unfit *config.ChoiceError
	switch {
	case errors.As(err, &unfit):
		err = invalid(unfit.Key, unfit.Problem)
	case err == nil && id.Kind == identity.Token && id.TokenFile == "":
		err = invalid("identity", "the access token has to come from somewhere: give its file with token_file=")
	}
	return id, err
}

// readUsername accepts the client id of a managed identity, which is how tables written for
// mount.cifs name one. mount(8) makes user=bob of the option that lets bob mount.
func (s *settings) readUsername() error {
	if s.username == "" {
		return nil
	}
	id := identity.Identity{Kind: identity.UserAssigned, ClientID: s.username}.Clean()
	switch {
	case id.Validate() != nil:
		return refused("username", "identity= or client_id= say who logs in, and a user name can only be a client id")
	case s.choice.ClientID == "":
		s.choice.ClientID = id.ClientID
	case !strings.EqualFold(s.choice.ClientID, id.ClientID):
		return invalid("username", "it names another client id than client_id=")
	}
	return nil
}
