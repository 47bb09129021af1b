package requestkey

import (
	"slices"
	"strings"
)

// Flaw is something wrong with a line of a file.
type Flaw struct {
	Line int // counted from 1
	Kind FlawKind
	Text string // without a full stop
}

// FlawKind tells flaws apart by what follows from them.
type FlawKind int

// The kinds of flaws.
const (
	Unreadable FlawKind = iota // request-key gives up at the line
	Unended                    // the last line has no end
	Relative                   // the program is no absolute path
	TwoStars                   // a column hardly ever matches
)

// Read gives the rules of a file that request-key can read, their words separated by one space each,
// and at most one flaw of each line. Unlike request-key, which looks at a line only as far as it
// matches the request, it looks at all of it.
func Read(content []byte) (rules []string, flaws []Flaw) {
	n := 0
	for text := range strings.Lines(string(content)) {
		n++
		l, ok := parse(strings.TrimSuffix(text, "\n") + "\n")
		if !ok {
			continue
		}
		kind, problem := l.lint(text)
		if problem != "" {
			flaws = append(flaws, Flaw{n, kind, problem})
		}
		if problem == "" || kind != Unreadable {
			rules = append(rules, strings.Join(append(l.columns, l.words()...), " "))
		}
	}
	return rules, flaws
}

// lint tells what is wrong with a line whose text with its end is given; "" for nothing.
func (l line) lint(text string) (FlawKind, string) {
	if len(text) >= maxLine {
		return Unreadable, "the line is too long for request-key, which stops there"
	}
	if strings.ContainsRune(text, 0) {
		return Unreadable, "it has a zero byte, at which the line ends for request-key"
	}
	if l.command == "" {
		return Unreadable, "it has too few columns: operation, type, description, callout information, program"
	}
	if !strings.HasSuffix(text, "\n") {
		return Unended, "the last line has no line end, so request-key cuts off its last character"
	}
	if !strings.HasPrefix(strings.TrimPrefix(l.command, "|"), "/") {
		return Relative, "the program is not an absolute path"
	}
	if slices.ContainsFunc(l.columns, func(c string) bool { return strings.Count(c, "*") > 1 }) {
		return TwoStars, "of two * in a column the second is an ordinary character, so it hardly ever matches"
	}
	return 0, ""
}
