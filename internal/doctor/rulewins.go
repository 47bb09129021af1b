package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

func ruleCheck() Check {
	return Check{
		ID: "request-key-rule", Group: Upcall, Title: "rule of request-key", Severity: Fails, Offline: true, Needs: []ID{"request-key-files"},
		Proves: "Of all rules, ours answers the logins to the endpoints.",
		Why:    "Another handler knows neither identities nor our cache, and does not fetch a ticket that has ended.",
		Run:    checkRule,
	}
}

func checkRule(_ context.Context, s *Subject) Result {
	const fix = "azfilesauth setup"
	w := s.winner()
	var broken *keyring.RuleError
	switch {
	case errors.As(w.err, &broken):
		return Broken(s.correct(broken.Path, broken.Line), "%s: %s", fileLine(s.beneath(broken.Path), broken.Line), broken.Problem)
	case errors.Is(w.err, keyring.ErrNoRule):
		return Broken(fix, "no rule matches a login to %s: %s is missing or has none", w.host, ourRules).By("request-key-rule")
	case w.err != nil:
		return s.CannotSee(rulesFolder, w.err)
	}
	if _, _, _, err := w.rule.Argv(keyring.Macros{Wanted: wanted(w.host), Key: "1", UID: "0", GID: "0"}); err != nil {
		r := Broken(s.correct(w.rule.Path, w.rule.Line), "%s: %s", s.shownRule(w.rule), problemOf(err))
		if w.rule.Path == s.Path(ourRules) {
			r = r.By("request-key-rule")
		}
		return r
	}
	if s.ourRule(w.rule) {
		return Good("%s", s.shownRule(w.rule))
	}
	return s.overruled(w)
}

// correct is the advice about a line of a file of this machine.
func (s *Subject) correct(path string, line int) string {
	return fmt.Sprintf("correct line %d of %s", line, s.beneath(path))
}

// problemOf is what a *keyring.RuleError says without the place.
func problemOf(err error) string {
	var broken *keyring.RuleError
	if errors.As(err, &broken) {
		return broken.Problem
	}
	return err.Error()
}

// overruled is the result when another rule wins: for want of ours, or because it fits better.
func (s *Subject) overruled(w winner) Result {
	ours, err := s.rules().Winner(wanted(w.host), func(r keyring.Rule) bool { return !s.ourRule(r) })
	if err == nil {
		return Broken(fmt.Sprintf("remove line %d of %s", w.rule.Line, s.beneath(w.rule.Path)), "for %s, %s", w.host, s.shownRule(w.rule)).
			And("it fits better than, or as well as, our rule in %s", fileLine(s.beneath(ours.Path), ours.Line))
	}
	if !s.stockWins() {
		return Broken("azfilesauth setup", "our rule is missing, so for %s %s", w.host, s.shownRule(w.rule)).By("request-key-rule")
	}
	name, from, tickets, same := s.caches()
	if same {
		return Warned("azfilesauth setup", "our rule is missing, so for %s %s", w.host, s.shownRule(w.rule)).
			And("cifs.upcall finds a ticket that is in the cache where libkrb5 looks by default, and fetches none").By("request-key-rule")
	}
	return Broken("azfilesauth setup", "our rule is missing, so for %s %s", w.host, s.shownRule(w.rule)).
		And("cifs.upcall looks in %s (%s), and the tickets are in %s", name, from, tickets).By("request-key-rule")
}
