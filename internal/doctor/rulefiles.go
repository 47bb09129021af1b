package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

func ruleFilesCheck() Check {
	return Check{
		ID: "request-key-files", Group: Upcall, Title: "files of request-key", Severity: Fails, Offline: true,
		Proves: "Every file of rules ends with a line end, has no line that request-key cannot read, and only root can change it.",
		Why:    "One line that it cannot read, in whatever file, makes request-key give up before it comes to our rule.",
		Run:    checkRuleFiles,
	}
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
		return s.CannotSee(rulesFolder, err)
	}
	for _, path := range paths {
		found, err := s.lintRules(path)
		if err != nil {
			return s.CannotSee(path, err)
		}
		faults = append(faults, found...)
	}
	var broken *keyring.RuleError
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

// ruleFiles are the files that request-key reads, as paths beneath the root.
func (s *Subject) ruleFiles() ([]string, error) {
	entries, err := s.ReadDir(rulesFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		name := e.Name()
		if e.Type().IsRegular() && name[0] != '.' && len(name) >= 5 && strings.HasSuffix(name, ".conf") {
			paths = append(paths, filepath.Join(rulesFolder, name))
		}
	}
	if _, err := s.Stat(rulesFile); err == nil {
		paths = append(paths, rulesFile)
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
	n := 0
	for line := range strings.Lines(string(content)) {
		n++
		if f, wrong := s.lintLine(path, n, line); wrong {
			faults = append(faults, f)
		}
	}
	return faults, nil
}

// lintLine looks at one line, with its end.
func (s *Subject) lintLine(path string, n int, line string) (ruleFault, bool) {
	f := ruleFault{place: fileLine(path, n), fix: fmt.Sprintf("correct line %d of %s", n, path), breaks: s.winsHere(path, n)}
	if strings.Trim(line, "\n") == "" || strings.ContainsAny(line[:1], "# \t\v\f\r") {
		return ruleFault{}, false
	}
	const longest = 4095 // bytes
	columns := strings.Fields(line)
	switch {
	case len(line) > longest:
		f.text = "the line is too long for request-key, which gives up"
	case len(columns) < 5:
		f.text = "it has too few columns: operation, type, description, callout information, program"
	case !strings.HasSuffix(line, "\n"):
		f.text = "the last line has no line end, so request-key cuts off its last character"
		f.fix = "echo >> " + path
		if path == ourRules {
			f.action = "request-key-rule"
		}
	case !strings.HasPrefix(strings.TrimPrefix(columns[4], "|"), "/"):
		f.text = "the program is not an absolute path"
	case twoStars(columns[:4]):
		f.text = "of two * in a column the second is an ordinary character, so it hardly ever matches"
		f.breaks = false
	}
	return f, f.text != ""
}

func twoStars(columns []string) bool {
	return slices.ContainsFunc(columns, func(c string) bool { return strings.Count(c, "*") > 1 })
}

// winsHere reports whether a line decides about the logins to the endpoints: it is the rule for them,
// or request-key gives up at it.
func (s *Subject) winsHere(path string, line int) bool {
	w := s.winner()
	var broken *keyring.RuleError
	if errors.As(w.err, &broken) {
		return broken.Path == s.Path(path) && broken.Line == line
	}
	return w.err == nil && w.rule.Path == s.Path(path) && w.rule.Line == line
}
