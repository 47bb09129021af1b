package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// document gives the root of the file's tree, nil for a file without content.
func document(content []byte) (*yaml.Node, error) {
	if err := legible(content); err != nil {
		return nil, err
	}
	d := yaml.NewDecoder(bytes.NewReader(content))
	var root, next yaml.Node
	err := d.Decode(&root)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		err = d.Decode(&next)
	}
	if errors.Is(err, io.EOF) {
		return root.Content[0], nil
	}
	if err != nil {
		return nil, syntax(content, err)
	}
	return nil, &problem{place: place{line: next.Line}, text: "a second document begins here"}
}

// readLines is document for a file that has lines of azfilesauthmanager, of which its own reader takes what YAML does not. odd are
// the numbers of those that are indented or have no space, loose those of values that must be in quotes.
func readLines(content []byte) (root *yaml.Node, odd, loose []int, err error) {
	content, odd = plainLines(content)
	if root, err = document(content); err == nil {
		return root, odd, nil, nil
	}
	quoted, loose := quoteValues(content)
	if again, failure := document(quoted); failure == nil {
		return again, odd, loose, nil
	}
	return nil, odd, nil, err
}

// quoteValues puts those values of keys that never stop a mount into quotes that are not YAML, such as one whose quotation mark
// is not closed: the reader of azfilesauthmanager takes double ones away, wherever they are.
func quoteValues(content []byte) (quoted []byte, loose []int) {
	lines := strings.Split(string(content), "\n")
	for i, line := range lines {
		margin, key, value, ok := upstreamLine(line)
		if !ok || !Find("", key).lenient {
			continue
		}
		if _, err := document([]byte(key + ":" + value)); err != nil {
			lines[i] = margin + key + ": '" + strings.ReplaceAll(strings.Trim(value, " \t\r\""), "'", "''") + "'"
			loose = append(loose, i+1)
		}
	}
	return []byte(strings.Join(lines, "\n")), loose
}

// upstreamLine takes a line of one of the keys that azfilesauthmanager knows apart, as its own reader does. It is no
// regular expression: every login reads the configuration, and compiling one takes as long as all the rest of that.
func upstreamLine(line string) (margin, key, value string, ok bool) {
	text := strings.TrimLeft(line, " \t")
	key, value, ok = strings.Cut(text, ":")
	key = strings.TrimRight(key, " \t")
	return line[:len(line)-len(text)], key, value, ok && slices.Contains(repeatable[:], key)
}

// plainLines makes YAML of the lines that the reader of azfilesauthmanager takes and YAML does not: indented
// ones, and those without a space after the colon. odd are their numbers. A file of one flow mapping is left
// alone.
func plainLines(content []byte) (plain []byte, odd []int) {
	lines := strings.Split(string(content), "\n")
	margin, known := "", false
	for i, line := range lines {
		text := strings.TrimLeft(line, " \t")
		if text == "" || text[0] == '#' || text == "\r" {
			// Both are YAML, but not to the library: a margin of tabs, and a comment of a file in Latin-1.
			if strings.Contains(line[:len(line)-len(text)], "\t") || !utf8.ValidString(text) {
				lines[i] = strings.ToValidUTF8(text, "?")
			}
			continue
		}
		if !known && !strings.HasPrefix(text, "---") {
			if text[0] == '{' {
				return content, nil
			}
			if margin, known = line[:len(line)-len(text)], true; strings.Contains(margin, "\t") {
				margin = ""
			}
		}
		indent, key, value, ok := upstreamLine(line)
		if !ok || indent == margin && strings.Trim(value[:min(len(value), 1)], " \t\r") == "" {
			continue
		}
		lines[i] = margin + key + ": " + strings.TrimLeft(value, " \t")
		odd = append(odd, i+1)
	}
	return []byte(strings.Join(lines, "\n")), odd
}

// legible refuses, with the line, what the YAML library refuses without one or is slow at.
func legible(content []byte) error {
	number := 0
	for line := range bytes.SplitSeq(content, []byte("\n")) {
		number++
		if text := unreadable(line); text != "" {
			return &problem{place: place{line: number}, text: text}
		}
	}
	return nil
}

func unreadable(line []byte) string {
	if !utf8.Valid(line) {
		return "it is not UTF-8"
	}
	if bytes.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\r' }) {
		return "it holds a control character"
	}
	if bytes.HasPrefix(line, []byte("%TAG")) { // thousands of them take the library seconds
		return "%TAG is not understood here"
	}
	return ""
}

// pair is one "key: value" of a mapping.
type pair struct {
	key   string
	line  int
	value *yaml.Node
	first int // the line of the same key further up, 0 for none
}

// repeatable are the keys of azfilesauthmanager, which appends to the file without looking what is
// there. Its readers take the first line with a key, so that line counts here too.
var repeatable = [...]string{
	"USER_UID", "KRB5_CC_NAME", "LOG_DESTINATION", "LOG_FILE_PATH", "CURL_CONNECT_TIMEOUT", "CURL_TOTAL_TIMEOUT",
}

// pairs gives a mapping's content in the file's order. A mapping without content is empty. name is
// the way to it. Of all keys, only the repeatable ones of the top level can be in it twice.
func pairs(name string, n *yaml.Node) ([]pair, error) {
	if n.Kind == yaml.AliasNode {
		return nil, errAlias
	}
	if n.ShortTag() == "!!null" {
		return nil, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, errors.New(`it must be a list of "key: value" lines`)
	}
	seen := make(map[string]int, len(n.Content)/2)
	all := make([]pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			return nil, &problem{place: place{line: k.Line}, text: "a key must be one word"}
		}
		value, first := n.Content[i+1], seen[k.Value]
		mayRepeat := name == "" && slices.Contains(repeatable[:], k.Value) && value.Kind == yaml.ScalarNode
		if first > 0 && !mayRepeat {
			return nil, &problem{place: place{line: k.Line}, key: within(name, k.Value), text: fmt.Sprintf("it is in line %d already", first)}
		}
		if first == 0 {
			seen[k.Value] = k.Line
		}
		all = append(all, pair{k.Value, k.Line, value, first})
	}
	return all, nil
}

// errAlias refuses aliases where they would be followed: a small file can stand for a huge one.
var errAlias = errors.New("aliases (*name) are not understood here")

// shown is a key of the file, fit for a message.
func shown(key string) string {
	const most = 60
	if utf8.RuneCountInString(key) > most {
		key = string([]rune(key)[:most]) + "..."
	}
	if strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }) || key == "" {
		return strconv.Quote(key)
	}
	return key
}
