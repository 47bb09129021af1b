package requestkey

import (
	"path/filepath"
	"strings"
)

// Request is what a rule's first four columns are matched with.
type Request struct {
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

// Handler is the program that answers: the rule's own, or azfiles.upcall behind one that confines it,
// such as aa-exec.
func (r Rule) Handler() string {
	for _, word := range r.Command {
		if filepath.IsAbs(word) && filepath.Base(word) == ourHandler {
			return word
		}
	}
	return strings.TrimPrefix(r.Command[0], "|")
}

// RunsOurs reports whether the rule runs azfiles.upcall, wherever that is: a program of that name, or
// one that same says to be it.
func (r Rule) RunsOurs(same func(program string) bool) bool {
	handler := r.Handler()
	return filepath.Base(handler) == ourHandler || same(handler)
}

// Bounds of request-key.c (keyutils 1.6.3).
const (
	maxLine = 4096 // bytes, with the line's end
	maxArgs = 254
)

// space is isspace(3) in the C locale.
const space = " \t\n\v\f\r"

// line is a line that request-key takes for a rule.
type line struct {
	columns []string // at most four, each of which white space follows
	command string   // what follows the fourth
}

// parse reads a line with its end. It is no rule when it is empty or begins with # or white space.
// request-key cuts the last character without a look: of a file whose last line has no end, that is
// a character of the command.
func parse(text string) (l line, ok bool) {
	text, _, _ = strings.Cut(text, "\x00")
	if len(text) < 2 || text[0] == '#' || strings.IndexByte(space, text[0]) >= 0 {
		return l, false
	}
	text = text[:len(text)-1]
	for len(l.columns) < len(Rule{}.Wild) {
		end := strings.IndexAny(text, space)
		if end < 0 {
			return l, true
		}
		l.columns = append(l.columns, text[:end])
		text = strings.TrimLeft(text[end:], space)
	}
	l.command = text
	return l, true
}

// match compares the columns from the first on. A column that does not match ends the comparison, so
// what is wrong behind it does not matter.
func (l line) match(r Request) (rule Rule, ok bool, problem string) {
	for i, value := range []string{r.Op, r.Type, r.Description, r.Callout} {
		if i == len(l.columns) {
			return rule, false, "it has too few columns"
		}
		if rule.Wild[i], ok = matchPattern(l.columns[i], value); !ok {
			return rule, false, ""
		}
	}
	if l.command == "" {
		return rule, false, "it has no command"
	}
	rule.Command = l.words()
	return rule, true, ""
}

// words are the program and its arguments.
func (l line) words() []string {
	return strings.FieldsFunc(l.command, func(c rune) bool { return c < 0x80 && strings.ContainsRune(space, c) })
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
