package doctor

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

func ruleTiesCheck() Check {
	return Check{
		ID: "request-key-ties", Group: Upcall, Title: "rules that compete", Severity: Latent, Offline: true, Needs: []ID{"request-key-files"},
		Proves: "No two rules for logins fit equally well.",
		Why:    "Of such rules the one wins that the folder happens to list first, which a copy of the machine may do in another order.",
		Run:    checkRuleTies,
	}
}

func checkRuleTies(_ context.Context, s *Subject) Result {
	for _, host := range []string{s.hosts()[0], "fileserver.example.com"} {
		all, err := s.rules().Matching(wanted(host))
		if err != nil {
			return s.CannotSee(rulesFolder, err)
		}
		if a, b, tie := tied(all); tie {
			return Warned("keep one of the two lines", "for %s, %s", host, s.shownRule(a)).And("just as well fits %s", s.shownRule(b))
		}
	}
	return Good("none")
}

// tied finds two rules that fit equally well and run different commands, in different files of the
// folder: the order within a file is fixed, and request-key.conf is always read last.
func tied(rules []keyring.Rule) (a, b keyring.Rule, ok bool) {
	for i, a := range rules {
		for _, b := range rules[i+1:] {
			if a.Wild == b.Wild && !slices.Equal(a.Command, b.Command) && a.Path != b.Path && filepath.Dir(a.Path) == filepath.Dir(b.Path) {
				return a, b, true
			}
		}
	}
	return a, b, false
}
