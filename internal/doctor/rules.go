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

const (
	ourHandler   = "/usr/sbin/azfiles.upcall"
	stockHandler = "/usr/sbin/cifs.upcall"
)

// rules are the files of the rules beneath the root.
func (s *Subject) rules() requestkey.Files {
	return requestkey.Files{Directory: s.Path(requestkey.Directory), Last: s.Path(requestkey.LastFile)}
}

// sampleHost stands for every endpoint where none is known.
const sampleHost = "account.file.core.windows.net"

// wanted is what the kernel asks for at a login to host (cifs_get_spnego_key in
// fs/smb/client/cifs_spnego.c).
func wanted(host string) requestkey.Request {
	return requestkey.Request{Op: "create", Type: "cifs.spnego", Description: fmt.Sprintf(
		"ver=0x2;host=%s;ip4=192.0.2.1;sec=krb5;uid=0x0;creduid=0x0;user=root;pid=0x1000;upcall_target=mount", host)}
}

// hosts are the names by which the endpoints under test are mounted, or would be.
func (s *Subject) hosts() []string {
	var all []string
	for _, t := range s.Targets {
		named := false
		for _, from := range t.From {
			if from.Mount != nil || from.Fstab != nil {
				all, named = append(all, from.Host), true
			}
		}
		if !named {
			all = append(all, t.Endpoint.Host())
		}
	}
	if len(all) == 0 {
		return []string{sampleHost}
	}
	return all
}

// winner is the rule that answers for an endpoint.
type winner struct {
	host string
	rule requestkey.Rule
	err  error // requestkey.ErrNoRule, an *requestkey.Error, or that of reading the files
}

// winner finds the rule for the endpoints under test; if they have several, the first that is not
// ours.
func (s *Subject) winner() winner {
	s.memo.rules.Do(func() {
		for _, host := range s.hosts() {
			rule, err := s.rules().Winner(wanted(host), nil)
			s.memo.winner = winner{host, rule, err}
			if err != nil || !s.ourRule(rule) {
				return
			}
		}
	})
	return s.memo.winner
}

// ourRule reports whether a rule runs azfiles.upcall, wherever that is.
func (s *Subject) ourRule(rule requestkey.Rule) bool { return rule.RunsOurs(s.ours) }

// stockWins reports whether the rule for the endpoints runs cifs.upcall, without us.
func (s *Subject) stockWins() bool {
	w := s.winner()
	return w.err == nil && filepath.Base(w.rule.Handler()) == filepath.Base(stockHandler)
}

// delegates reports whether cifs.upcall builds the answer to the kernel, by our order or without us.
func (s *Subject) delegates() bool { return s.Mode() == modeCIFS || s.stockWins() }

// shownRule is a rule with its place.
func (s *Subject) shownRule(r requestkey.Rule) string {
	return fileLine(s.beneath(r.Path), r.Line) + " runs " + strings.Join(r.Command, " ")
}

// ruleFault is something wrong in a file of rules.
type ruleFault struct {
	place, text string
	fix         string
	action      string
	breaks      bool // logins to endpoints fail by it
}

func checkRuleFiles(_ context.Context, s *Subject) Result {
	var faults []ruleFault
	paths, err := s.ruleFiles()
	if err != nil {
		return s.CannotSee(requestkey.Directory, err)
	}
	for _, path := range paths {
		found, err := s.lintRules(path)
		if err != nil {
			return s.CannotSee(path, err)
		}
		faults = append(faults, found...)
	}
	var broken *requestkey.Error
	if errors.As(s.winner().err, &broken) && !slices.ContainsFunc(faults, func(f ruleFault) bool { return f.breaks }) {
		faults = append(faults, ruleFault{
			place: fileLine(s.beneath(broken.Path), broken.Line), text: broken.Problem, fix: s.correct(broken.Path, broken.Line), breaks: true,
		})
	}
	if len(faults) == 0 {
		return Good("%d files", len(paths))
	}
	return resultOf(faults)
}

// resultOf puts what breaks logins first.
func resultOf(faults []ruleFault) Result {
	first := faults[0]
	for _, f := range faults {
		if f.breaks {
			first = f
			break
		}
	}
	r := Warned(first.fix, "%s: %s", first.place, first.text).By(first.action)
	if first.breaks {
		r.Status = Problem
	}
	for _, f := range faults {
		if f != first {
			r = r.And("%s: %s", f.place, f.text)
		}
	}
	return r
}

// ruleFiles are the files that request-key reads, sorted, as paths beneath the root.
func (s *Subject) ruleFiles() ([]string, error) {
	read, err := s.rules().Paths()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, path := range read[:len(read)-1] {
		paths = append(paths, filepath.Join(requestkey.Directory, filepath.Base(path)))
	}
	slices.Sort(paths)
	if _, err := s.Stat(requestkey.LastFile); err == nil {
		paths = append(paths, requestkey.LastFile)
	}
	return paths, nil
}

// lintRules looks at one file: its owner, its end, and each line.
func (s *Subject) lintRules(path string) ([]ruleFault, error) {
	info, err := s.Stat(path)
	if err != nil {
		return nil, err
	}
	content, err := s.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var faults []ruleFault
	if problem := unsafe(info); problem != "" {
		faults = append(faults, ruleFault{place: path, text: "others than root can change it: " + problem, fix: "chown root:root " + path + " && chmod go-w " + path})
	}
	_, flaws := requestkey.Read(content)
	for _, f := range flaws {
		faults = append(faults, s.ruleFault(path, f))
	}
	return faults, nil
}

// ruleFault tells what to do about a flaw of a line.
func (s *Subject) ruleFault(path string, flaw requestkey.Flaw) ruleFault {
	f := ruleFault{
		place: fileLine(path, flaw.Line), text: flaw.Text, fix: fmt.Sprintf("correct line %d of %s", flaw.Line, path),
		breaks: flaw.Kind != requestkey.TwoStars && s.winsHere(path, flaw.Line),
	}
	if flaw.Kind == requestkey.Unended {
		f.fix = "echo >> " + path
		if path == requestkey.OurFile {
			f.action = "request-key-rule"
		}
	}
	return f
}

// winsHere reports whether a line decides about the logins to the endpoints: it is the rule for them,
// or request-key gives up at it.
func (s *Subject) winsHere(path string, line int) bool {
	w := s.winner()
	var broken *requestkey.Error
	if errors.As(w.err, &broken) {
		return broken.Path == s.Path(path) && broken.Line == line
	}
	return w.err == nil && w.rule.Path == s.Path(path) && w.rule.Line == line
}

func checkRule(_ context.Context, s *Subject) Result {
	const fix = "azfilesauth setup"
	w := s.winner()
	var broken *requestkey.Error
	switch {
	case errors.As(w.err, &broken):
		return Broken(s.correct(broken.Path, broken.Line), "%s: %s", fileLine(s.beneath(broken.Path), broken.Line), broken.Problem)
	case errors.Is(w.err, requestkey.ErrNoRule):
		return Broken(fix, "no rule matches a login to %s: %s is missing or has none", w.host, requestkey.OurFile).By("request-key-rule")
	case w.err != nil:
		return s.CannotSee(requestkey.Directory, w.err)
	}
	if _, _, _, err := w.rule.Argv(requestkey.Macros{Request: wanted(w.host), Key: "1", UID: "0", GID: "0"}); err != nil {
		r := Broken(s.correct(w.rule.Path, w.rule.Line), "%s: %s", s.shownRule(w.rule), problemOf(err))
		if w.rule.Path == s.Path(requestkey.OurFile) {
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

// problemOf is what an *requestkey.Error says without the place.
func problemOf(err error) string {
	var broken *requestkey.Error
	if errors.As(err, &broken) {
		return broken.Problem
	}
	return err.Error()
}

// overruled is the result when another rule wins: for want of ours, or because it fits better.
func (s *Subject) overruled(w winner) Result {
	ours, err := s.rules().Winner(wanted(w.host), func(r requestkey.Rule) bool { return !s.ourRule(r) })
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

func checkRuleTies(_ context.Context, s *Subject) Result {
	for _, host := range []string{s.hosts()[0], "fileserver.example.com"} {
		all, err := s.rules().Matching(wanted(host))
		if err != nil {
			return s.CannotSee(requestkey.Directory, err)
		}
		if a, b, tie := tied(all); tie {
			return Warned("keep one of the two lines", "for %s, %s", host, s.shownRule(a)).And("just as well fits %s", s.shownRule(b))
		}
	}
	return Good("none")
}

// tied finds two rules that fit equally well and run different commands, in different files of the
// folder: the order within a file is fixed, and request-key.conf is always read last.
func tied(rules []requestkey.Rule) (a, b requestkey.Rule, ok bool) {
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
	const other = "fileserver.example.com"
	rule, err := s.rules().Winner(wanted(other), s.ourRule)
	installed := s.FirstOf(stockHandler, "/sbin/cifs.upcall", "/usr/local/sbin/cifs.upcall")
	switch {
	case errors.Is(err, requestkey.ErrNoRule) && installed == "":
		return Known("there is neither %s nor cifs.upcall, as on distributions that do not package them; Azure Files does not need them", requestkey.StockFile)
	case errors.Is(err, requestkey.ErrNoRule):
		return Warned(s.reinstall("cifs-utils"), "%s is missing: Kerberos mounts from other servers have no handler", requestkey.StockFile)
	case err != nil:
		return s.CannotSee(requestkey.Directory, err)
	}
	program := rule.Handler()
	_, _, _, err = rule.Argv(requestkey.Macros{Request: wanted(other), Key: "1", UID: "0", GID: "0"})
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

func checkDNSResolver(_ context.Context, s *Subject) Result {
	rule, err := s.rules().Winner(requestkey.Request{Op: "create", Type: "dns_resolver", Description: s.hosts()[0]}, nil)
	if errors.Is(err, requestkey.ErrNoRule) {
		return Warned(s.reinstall("keyutils"), "no rule of request-key matches dns_resolver: %s is missing or changed", requestkey.LastFile)
	}
	if err != nil {
		return s.CannotSee(requestkey.Directory, err)
	}
	program := rule.Handler()
	if _, err := s.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return Warned(s.reinstall("keyutils"), "%s, which is missing", s.shownRule(rule))
	}
	return Good("%s", s.shownRule(rule))
}
