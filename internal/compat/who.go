package compat

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// way is one of the ways to say who set logs in as.
type way struct {
	chosen  bool
	kind    string   // of the identity
	needs   []string // switches with a value that must be there
	allowed []string // those that may
}

// ways are all of them; the one of a right command line is the only one chosen.
func (inv *invocation) ways() []way {
	has := func(name string) bool { return inv.values[name] != "" }
	workload, where := inv.flags.workload, []string{"--identity-endpoint"}
	return []way{
		{!inv.token.Empty() || inv.stdin, "token", nil, nil},
		{has("--token-file") && !workload, "token", []string{"--token-file"}, nil},
		{inv.flags.system, "system", nil, where},
		{has("--imds-client-id"), "user-assigned", []string{"--imds-client-id"}, where},
		{has("--imds-object-id"), "user-assigned", []string{"--imds-object-id"}, where},
		{has("--imds-resource-id"), "user-assigned", []string{"--imds-resource-id"}, where},
		{workload, "workload", []string{"--tenant-id", "--client-id", "--token-file"}, []string{"--authority-host", "--resource"}},
	}
}

// way gives the chosen way, the zero one when there is none.
func (inv *invocation) way() way {
	for _, w := range inv.ways() {
		if w.chosen {
			return w
		}
	}
	return way{}
}

// check finds what does not belong together.
func (inv *invocation) check() error {
	if inv.flags.json && inv.command != cmdList {
		return usage("--json is for list")
	}
	if inv.flags.refresh && inv.command != cmdSet {
		return usage("--refresh is for set")
	}
	n := 0
	for _, w := range inv.ways() {
		if w.chosen {
			n++
		}
	}
	w := inv.way()
	if inv.command != cmdSet && n > 0 {
		return usage(inv.command + " takes no identity")
	}
	if n > 1 {
		return usage("there is more than one identity")
	}
	if inv.command == cmdSet && n == 0 {
		return usage("a token or a switch that names the identity is missing")
	}
	for _, name := range valued {
		given, needed := inv.values[name] != "", slices.Contains(w.needs, name)
		if needed && !given {
			return usage(name + " is missing")
		}
		if given && !needed && !slices.Contains(w.allowed, name) {
			return usage(name + " cannot be used with this identity")
		}
	}
	return nil
}

func (inv *invocation) identity(cfg *config.Config, e endpoint.Endpoint) (identity.Identity, error) {
	file, err := absolute(inv.values["--token-file"])
	if err != nil {
		return identity.Identity{}, err
	}
	id, err := cfg.Choose(e.Host(), config.Choice{
		Name:       inv.way().kind,
		ClientID:   inv.values["--imds-client-id"] + inv.values["--client-id"],
		ObjectID:   inv.values["--imds-object-id"],
		ResourceID: inv.values["--imds-resource-id"],
		TenantID:   inv.values["--tenant-id"],
		TokenFile:  file,
		Authority:  unless(e.Cloud().Authority, inv.values["--authority-host"]),
		Resource:   unless(e.Cloud().Resource, inv.values["--resource"]),
	})
	if wrong, ok := errors.AsType[*config.ChoiceError](err); ok {
		return id, usage(wrong.Error())
	}
	return id, err
}

// managed gives a managed identity as the machine's identity service knows it. The caller may say which one that is, by
// a switch or by its environment, and names only Azure Arc's agent or IMDS. The record then says it to those who renew
// the ticket, who do not have the caller's environment.
func (s *session) managed(id identity.Identity) (identity.Identity, error) {
	places := []string{s.Environment["IDENTITY_ENDPOINT"], s.Environment["IMDS_ENDPOINT"]}
	if given := s.inv.values["--identity-endpoint"]; given != "" {
		if places = []string{given}; !identity.IsArc(given) && !identity.IsIMDS(given) {
			return id, usage("--identity-endpoint must be that of Azure Arc's agent on this machine, or of IMDS")
		}
	}
	if slices.ContainsFunc(places, identity.IsArc) {
		return id.OnArc()
	}
	return id, nil
}

// unless is a URL, or "" when it is the usual one: the same identity must have the same text whether
// the usual is written out or not.
func unless(usual, given string) string {
	if given = strings.TrimRight(given, "/"); strings.EqualFold(given, usual) {
		return ""
	}
	return given
}

func absolute(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", fault.Internal.New().Because(err)
	}
	return abs, nil
}
