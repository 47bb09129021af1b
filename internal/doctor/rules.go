package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

func checkRuleFiles(_ context.Context, s *Subject) Result {
	paths, err := s.rules().Paths()
	if err != nil {
		return s.CannotSee(requestkey.Directory, err)
	}
	slices.Sort(paths[:len(paths)-1])
	files, found := 0, []Result{}
	for _, path := range paths {
		flaws, err := s.lintRules(s.pathOnMachine(path))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return s.CannotSee(s.pathOnMachine(path), err)
		}
		files++
		found = append(found, flaws...)
	}
	if broken, ok := errors.AsType[*requestkey.Error](s.winner().err); ok && worst(found...).Status != Problem {
		found = append(found, Broken(s.correct(broken.Path, broken.Line), "%s: %s", s.fileLine(broken.Path, broken.Line), broken.Problem))
	}
	if len(found) == 0 {
		return Good("%d files", files)
	}
	return worst(found...)
}

// lintRules looks at one file: its owner, its end, and each line. What breaks the logins to the endpoints
// is a problem.
func (s *Subject) lintRules(path string) ([]Result, error) {
	info, err := s.Stat(path)
	if err != nil {
		return nil, err
	}
	content, err := s.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var found []Result
	if exposed := s.Exposed(info); exposed != nil {
		found = append(found, secured(path, "%s: others than root can change it: %v", path, exposed))
	}
	_, flaws := requestkey.Read(content)
	for _, flaw := range flaws {
		r := Warned(s.correct(s.Path(path), flaw.Line), "%s: %s", fileLine(path, flaw.Line), flaw.Text)
		if flaw.Kind == requestkey.Unended {
			r.Fix = "echo >> " + path
		}
		if flaw.Kind == requestkey.Unended && path == requestkey.OurFile {
			r = r.By("request-key-rule")
		}
		if flaw.Kind != requestkey.TwoStars && s.decidesLogins(s.Path(path), flaw.Line) {
			r.Status = Problem
		}
		found = append(found, r)
	}
	return found, nil
}

// decidesLogins reports whether a line decides about the logins to the endpoints: it is the rule for them, or
// request-key gives up at it.
func (s *Subject) decidesLogins(path string, line int) bool {
	w := s.winner()
	if broken, ok := errors.AsType[*requestkey.Error](w.err); ok {
		return broken.Path == path && broken.Line == line
	}
	return w.err == nil && w.rule.Path == path && w.rule.Line == line
}

func checkRule(_ context.Context, s *Subject) Result {
	const fix = "azfilesauth setup"
	w := s.winner()
	if errors.Is(w.err, requestkey.ErrNoRule) {
		return Broken(fix, "no rule matches a login to %s: %s is missing or has none", w.host, requestkey.OurFile).By("request-key-rule")
	}
	if w.err != nil { // a line that cannot be read is the finding of request-key-files
		return s.CannotSee(requestkey.Directory, w.err)
	}
	if err := runs(w.rule, w.host); err != nil {
		r := Broken(s.correct(w.rule.Path, w.rule.Line), "%s: %s", s.shown(w.rule), problemOf(err))
		if w.rule.Path == s.Path(requestkey.OurFile) {
			r = r.By("request-key-rule")
		}
		return r
	}
	if s.ourRule(w.rule) {
		return Good("%s", s.shown(w.rule))
	}
	ours, err := s.rules().Winner(requestkey.Login(w.host), func(r requestkey.Rule) bool { return !s.ourRule(r) })
	if err == nil {
		return Broken(fmt.Sprintf("remove line %d of %s", w.rule.Line, s.pathOnMachine(w.rule.Path)), "for %s, %s", w.host, s.shown(w.rule)).
			And("it fits better than, or as well as, the rule of azfilesauth in %s", s.fileLine(ours.Path, ours.Line))
	}
	r := Broken(fix, "the rule of azfilesauth is missing, so for %s %s", w.host, s.shown(w.rule)).By("request-key-rule")
	if !s.stockWins() {
		return r
	}
	name, from, tickets, same := s.defaultCache()
	if !same {
		return r.And("cifs.upcall looks in %s (%s), and the tickets are in %s", name, from, tickets)
	}
	r.Status = Warning
	return r.And("cifs.upcall finds a ticket that is in the cache where libkrb5 looks by default, and fetches none")
}

// shown is a rule with its place.
func (s *Subject) shown(r requestkey.Rule) string {
	return s.fileLine(r.Path, r.Line) + " runs " + strings.Join(r.Command, " ")
}

// correct is the advice about a line of a file, and fileLine its place. Both take a path in this process.
func (s *Subject) correct(path string, line int) string {
	return fmt.Sprintf("correct line %d of %s", line, s.pathOnMachine(path))
}

func (s *Subject) fileLine(path string, line int) string {
	return fileLine(s.pathOnMachine(path), line)
}

// runs tries whether request-key can run the command of a rule for a login to a host.
func runs(rule requestkey.Rule, host string) error {
	_, _, _, err := rule.Argv(requestkey.Macros{Request: requestkey.Login(host), Key: "1", UID: "0", GID: "0"})
	return err
}

// problemOf is what a *requestkey.Error says without the place.
func problemOf(err error) string {
	if broken, ok := errors.AsType[*requestkey.Error](err); ok {
		return broken.Problem
	}
	return err.Error()
}

// otherServer stands for every server that is no endpoint.
const otherServer = "fileserver.example.com"

func checkRuleTies(_ context.Context, s *Subject) Result {
	for _, host := range []string{s.hosts()[0], otherServer} {
		all, err := s.rules().Matching(requestkey.Login(host))
		if err != nil {
			return s.CannotSee(requestkey.Directory, err)
		}
		if a, b, tie := findTie(all); tie {
			return Warned("keep one of the two lines", "for %s, %s", host, s.shown(a)).And("just as well fits %s", s.shown(b))
		}
	}
	return Good("none")
}

// findTie finds two rules that fit equally well and run different commands, in different files of the
// directory: the order within a file is fixed, and request-key.conf is always read last.
func findTie(rules []requestkey.Rule) (a, b requestkey.Rule, ok bool) {
	for i, a := range rules {
		for _, b := range rules[i+1:] {
			if a.Wild == b.Wild && !slices.Equal(a.Command, b.Command) && a.Path != b.Path && filepath.Dir(a.Path) == filepath.Dir(b.Path) {
				return a, b, true
			}
		}
	}
	return a, b, false
}

// checkSpnegoConf looks for the rule that other servers' logins go by, wherever it is.
func checkSpnegoConf(_ context.Context, s *Subject) Result {
	fix := s.reinstall("cifs-utils")
	rule, err := s.rules().Winner(requestkey.Login(otherServer), s.ourRule)
	if errors.Is(err, requestkey.ErrNoRule) && s.FirstOf(stockHandlers()...) == "" {
		return Known("there is neither %s nor cifs.upcall, as on distributions that do not package them; Azure Files does not need them", requestkey.StockFile)
	}
	if errors.Is(err, requestkey.ErrNoRule) {
		return Warned(fix, "%s is missing: Kerberos mounts from other servers have no handler", requestkey.StockFile)
	}
	if err != nil {
		return s.CannotSee(requestkey.Directory, err)
	}
	if err := runs(rule, otherServer); err != nil {
		return Warned(fix, "%s: %s", s.shown(rule), problemOf(err))
	}
	if filepath.Base(rule.Handler()) == filepath.Base(stockHandler) && !slices.Contains(rule.Command, "%k") {
		return Warned(fix, "%s, without %%k, the key that it is to answer", s.shown(rule))
	}
	return s.examineRuled(rule, fix)
}

// examineRuled looks for the program of a rule.
func (s *Subject) examineRuled(rule requestkey.Rule, fix string) Result {
	if _, err := s.Stat(rule.Handler()); errors.Is(err, fs.ErrNotExist) {
		return Warned(fix, "%s, which is missing", s.shown(rule))
	}
	return Good("%s", s.shown(rule))
}

func checkDNSResolver(_ context.Context, s *Subject) Result {
	fix := s.reinstall("keyutils")
	rule, err := s.rules().Winner(requestkey.Request{Op: "create", Type: "dns_resolver", Description: s.hosts()[0]}, nil)
	if errors.Is(err, requestkey.ErrNoRule) {
		return Warned(fix, "no rule of request-key matches dns_resolver: %s is missing or changed", requestkey.LastFile)
	}
	if err != nil {
		return s.CannotSee(requestkey.Directory, err)
	}
	return s.examineRuled(rule, fix)
}
