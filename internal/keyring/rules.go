package keyring

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// RuleFiles are the configuration of /sbin/request-key (request-key.conf(5)).
type RuleFiles struct {
	Folder string // its regular files *.conf are read first, in the order in which the folder lists them
	File   string // is read last
}

// SystemRules are those that the kernel's requests go by.
func SystemRules() RuleFiles {
	return RuleFiles{Folder: "/etc/request-key.d", File: "/etc/request-key.conf"}
}

// Wanted is what a rule's first four columns are matched with.
type Wanted struct {
	Op          string // "create"
	Type        string
	Description string
	Callout     string
}

// Rule is a line of the configuration.
type Rule struct {
	Path string // of its file
	Line int    // counted from 1
	// Wild is how many characters the * of each of the first four columns stands for. The rule with
	// the smallest wins, compared from the first column on.
	Wild    [4]int
	Command []string // the program and its arguments, macros as they are written
}

// ErrNoRule means that no rule matches.
var ErrNoRule = errors.New("no rule of request-key matches")

// RuleError is a line that makes request-key give up, for every key that the line's columns match as
// far as they go.
type RuleError struct {
	Path    string
	Line    int // 0: the file as a whole
	Problem string
}

func (e *RuleError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Problem) }

// Bounds of request-key.c (keyutils 1.6.3).
const (
	maxRuleLine = 4096 // bytes, with the line's end
	maxRuleArgs = 254
)

// Winner finds the rule that request-key 1.6 or later runs: of all that match the one that is least
// wild, of equals the one that was read first. Rules that skip reports are taken as absent; nil skips
// none. Errors are ErrNoRule, a *RuleError, or those of reading the files.
func (f RuleFiles) Winner(w Wanted, skip func(Rule) bool) (Rule, error) {
	all, err := f.Matching(w)
	if err != nil {
		return Rule{}, err
	}
	if skip != nil {
		all = slices.DeleteFunc(all, skip)
	}
	if len(all) == 0 {
		return Rule{}, ErrNoRule
	}
	return slices.MinFunc(all, func(a, b Rule) int { return slices.Compare(a.Wild[:], b.Wild[:]) }), nil
}

// Matching gives every rule that matches, in the order in which they are read.
func (f RuleFiles) Matching(w Wanted) ([]Rule, error) {
	paths, err := f.paths()
	if err != nil {
		return nil, err
	}
	var all []Rule
	for _, path := range paths {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all, err = matching(file, path, w, all)
		_ = file.Close() // only read
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// paths are the files in the order in which request-key reads them. That is the folder's own, so
// os.ReadDir, which sorts, is not used.
func (f RuleFiles) paths() ([]string, error) {
	dir, err := os.Open(f.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{f.File}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // only read
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if name := e.Name(); e.Type().IsRegular() && name[0] != '.' && len(name) >= 5 && strings.HasSuffix(name, ".conf") {
			paths = append(paths, filepath.Join(f.Folder, name))
		}
	}
	return append(paths, f.File), nil
}

// matching appends the rules of one file to all.
func matching(r io.Reader, path string, w Wanted, all []Rule) ([]Rule, error) {
	in := bufio.NewReaderSize(r, maxRuleLine)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if len(line) == 0 && errors.Is(err, io.EOF) {
			return all, nil
		}
		if len(line) >= maxRuleLine {
			return all, &RuleError{path, n, "the line is too long"}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return all, err
		}
		rule, ok, problem := matchLine(string(line), w)
		if problem != "" {
			return all, &RuleError{path, n, problem}
		}
		if ok {
			rule.Path, rule.Line = path, n
			all = append(all, rule)
		}
	}
}

const ruleSpace = " \t\n\v\f\r" // isspace(3) in the C locale

// matchLine reads one line with its end. request-key cuts the last character without a look: of a
// file whose last line has no end, that is a character of the command.
func matchLine(line string, w Wanted) (r Rule, ok bool, problem string) {
	line, _, _ = strings.Cut(line, "\x00")
	if line == "" || len(line) == 1 || line[0] == '#' || strings.IndexByte(ruleSpace, line[0]) >= 0 {
		return r, false, ""
	}
	line = line[:len(line)-1]
	for i, value := range []string{w.Op, w.Type, w.Description, w.Callout} {
		end := strings.IndexAny(line, ruleSpace)
		if end < 0 || line == "" {
			return r, false, "it has too few columns"
		}
		wild, matches := matchPattern(line[:end], value)
		if !matches {
			return r, false, ""
		}
		r.Wild[i] = wild
		line = strings.TrimLeft(line[end:], ruleSpace)
	}
	if line == "" {
		return r, false, "it has no command"
	}
	r.Command = strings.FieldsFunc(line, func(c rune) bool { return c < 0x80 && strings.ContainsRune(ruleSpace, c) })
	return r, true, ""
}

// matchPattern matches a column with a value: exactly, or with the first * in it standing for any
// characters, whose number is wild. A second * is itself. Of a pattern with a * inside, request-key
// compares the end of the value with the start of the pattern (request-key.c, match), so that such
// a pattern hardly ever matches; what it does is what counts here.
func matchPattern(pattern, value string) (wild int, ok bool) {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return 0, pattern == value
	}
	if head != "" {
		tail = pattern[:len(tail)]
	}
	wild = len(value) - len(head) - len(tail)
	return wild, wild >= 0 && strings.HasPrefix(value, head) && strings.HasSuffix(value, tail)
}

// Macros are what a rule's arguments can stand for.
type Macros struct {
	Wanted
	Key      string // the serial, in decimal
	UID, GID string // of who asked
}

// Argv is the command with its macros expanded, as request-key gives it to execv(2): Command[0] is
// the program, Argv[0] its last component. Pipe tells that the program is to read the callout
// information and to print the payload ("|program"). The keyrings of who asked (%T, %P and %S) and
// the contents of other keys (%{type:description}) are known to request-key alone: they are a
// *RuleError like macros that it does not know.
func (r Rule) Argv(m Macros) (program string, argv []string, pipe bool, err error) {
	program, pipe = strings.CutPrefix(r.Command[0], "|")
	slash := strings.LastIndexByte(program, '/')
	if slash < 0 {
		return "", nil, false, r.problem("the program is no path")
	}
	if len(r.Command) > maxRuleArgs {
		return "", nil, false, r.problem("it has too many arguments")
	}
	argv = []string{program[slash+1:]}
	for _, arg := range r.Command[1:] {
		text, problem := m.expand(arg)
		if problem != "" {
			return "", nil, false, r.problem(problem)
		}
		argv = append(argv, text)
	}
	return program, argv, pipe, nil
}

func (r Rule) problem(text string) error { return &RuleError{r.Path, r.Line, text} }

// expand replaces an argument that is a macro as a whole: % and one letter.
func (m Macros) expand(arg string) (text, problem string) {
	switch {
	case arg[0] != '%':
		return arg, ""
	case arg == "%":
		return "", "a macro has no name"
	case arg[1] == '%':
		return arg[1:], ""
	case arg[1] == '{':
		return "", arg + " is the content of another key"
	case len(arg) > 2:
		return arg, ""
	}
	switch arg[1] {
	case 'o':
		return m.Op, ""
	case 'k':
		return m.Key, ""
	case 't':
		return m.Type, ""
	case 'd':
		return m.Description, ""
	case 'c':
		return m.Callout, ""
	case 'u':
		return m.UID, ""
	case 'g':
		return m.GID, ""
	}
	return "", "the macro " + arg + " is not known here"
}

// Callout reads the callout information of the request over which the calling thread has authority.
func Callout() (string, error) {
	buf := make([]byte, 4096)
	for {
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, unix.KEY_SPEC_REQKEY_AUTH_KEY, buf, 0)
		if err != nil {
			return "", fmt.Errorf("reading the callout information: %w", err)
		}
		if n <= len(buf) {
			text, _, _ := bytes.Cut(buf[:n], []byte{0})
			return string(text), nil
		}
		buf = make([]byte, n)
	}
}
