package config

import (
	"bytes"
	"strconv"
	"strings"
)

// syntaxWords are the beginnings of what the YAML library (scannerc.go, parserc.go) says of text that is not YAML, and what
// that usually is.
var syntaxWords = [...][2]string{
	{"did not find expected ',' or ']'", "a list that begins with [ is not closed, or has no comma between two values"},
	{"did not find expected ',' or '}'", "a mapping that begins with { is not closed, or has no comma between two keys"},
	{"did not find expected '-' indicator", "the line is indented in another way than the list above it, or has no - at its beginning"},
	{"did not find expected key", `the line is indented in another way than those above it, or is not of the form "key: value"`},
	{"did not find expected node content", "a value is missing before a comma, ] or }"},
	{"did not find expected <document start>", `the line is not of the form "key: value"`},
	{"did not find expected alphabetic", "a value that begins with & or * must be in quotes"},
	{"did not find expected comment", "a value that begins with | or > must be in quotes"},
	{"did not find", "a value that begins with ! or % must be in quotes"},
	{"could not find expected ':'", "the colon behind the key is missing"},
	{"mapping values are not allowed", "the line is indented in another way than those above it, or a value with a colon and a space is not in quotes"},
	{"mapping keys are not allowed", "a value that begins with ? must be in quotes"},
	{"block sequence entries are not allowed", "a list with - begins on a line of its own"},
	{"found character that cannot start", "a value that begins with @, % or a back-quote must be in quotes"},
	{"found unexpected end of stream", "a quotation mark is not closed"},
	{"found unexpected document indicator", "a quotation mark is not closed"},
	{"found unknown escape", `a backslash in double quotes must be doubled, or the value be in single quotes`},
	{"found a tab", "a tab cannot indent, use spaces"},
	{"unknown anchor", "a value that begins with * must be in quotes"},
}

// syntax turns an error of the YAML library into a problem in words of those who write the file. What the library
// repeats, such as the name of an anchor, is part of a value and left out.
func syntax(content []byte, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(text, "unknown anchor") { // it has no line
		return &problem{text: plainSyntax(text)}
	}
	lines := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	line := 1 // the library leaves the number of the first line out
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, after, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, text = n, after
			if strings.HasPrefix(text, "did not find expected") { // these it numbers from 0
				line++
			}
		}
	}
	for n := line; n <= min(line+1, len(lines)); n++ { // the library may name the line before
		if tabIndent(lines[n-1]) {
			return &problem{place: place{line: n}, text: "a tab cannot indent, use spaces"}
		}
	}
	return &problem{place: place{line: min(line, len(lines))}, text: plainSyntax(text)}
}

// plainSyntax says what the library has found.
func plainSyntax(text string) string {
	for _, w := range syntaxWords {
		if strings.HasPrefix(text, w[0]) {
			return w[1]
		}
	}
	return "the line is not YAML"
}

func tabIndent(line []byte) bool {
	text := bytes.TrimLeft(line, " \t")
	return bytes.ContainsRune(line[:len(line)-len(text)], '\t') && len(bytes.TrimSpace(text)) > 0
}
