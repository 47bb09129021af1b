package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

func spnegoConfCheck() Check {
	return Check{
		ID: "cifs-spnego-conf", Group: Upcall, Title: "cifs.spnego.conf", Severity: Latent, Offline: true, Needs: []ID{"request-key-files"},
		Proves: "The rule of cifs-utils for logins to other servers is there and runs a program that is there.",
		Why:    "azfiles.upcall passes logins to other servers on to the rule that would win without ours. Azure Files does not need it.",
		Run:    checkSpnegoConf,
	}
}

// checkSpnegoConf looks for the rule that other servers' logins go by, wherever it is.
func checkSpnegoConf(_ context.Context, s *Subject) Result {
	const other = "fileserver.example.com"
	rule, err := s.rules().Winner(wanted(other), s.ourRule)
	installed := s.FirstOf(stockHandler, "/sbin/cifs.upcall", "/usr/local/sbin/cifs.upcall")
	switch {
	case errors.Is(err, keyring.ErrNoRule) && installed == "":
		return Known("there is neither %s nor cifs.upcall, as on distributions that do not package them; Azure Files does not need them", stockRules)
	case errors.Is(err, keyring.ErrNoRule):
		return Warned(s.reinstall("cifs-utils"), "%s is missing: Kerberos mounts from other servers have no handler", stockRules)
	case err != nil:
		return s.CannotSee(rulesFolder, err)
	}
	program := winner{rule: rule}.handler()
	_, _, _, err = rule.Argv(keyring.Macros{Wanted: wanted(other), Key: "1", UID: "0", GID: "0"})
	switch {
	case err != nil:
		return Warned(s.reinstall("cifs-utils"), "%s: %s", s.shownRule(rule), problemOf(err))
	case filepath.Base(program) == filepath.Base(stockHandler) && !slices.Contains(rule.Command, "%k"):
		return Warned(s.reinstall("cifs-utils"), "%s, without %%k, the key that it is to answer", s.shownRule(rule))
	}
	if _, err := s.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return Warned(s.reinstall("cifs-utils"), "%s, which is missing", s.shownRule(rule))
	}
	return Good("%s", s.shownRule(rule))
}
