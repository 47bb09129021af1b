// Package legible makes text of unknown origin fit to be shown: names in a credential cache, lines of a
// log, what a mount table says.
//
// Invariants: what it gives has no line end of its own and cannot steer a terminal, neither by control
// characters (C0 and C1) nor by turning the direction of writing; letters of all languages stay.
package legible

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line is a text on one line: tabs and the ends of lines become spaces, other characters that cannot be
// shown question marks.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// Shorten leaves out the middle of a text that has more than width characters: names differ at their ends.
func Shorten(text string, width int) string {
	const mark = ".."
	all := []rune(text)
	if len(all) <= width {
		return text
	}
	end := max(width-len(mark), 0) / 2
	return string(all[:max(width-len(mark)-end, 0)]) + mark + string(all[len(all)-end:])
}

// Lines is a text of several lines, each as Line shows it, with four spaces for a tab.
func Lines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(Line(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")) + "\n")
	}
	return b.String()
}

// Name is the name of a command or a switch that somebody typed, behind what stands before it in a message. It is ""
// for a word that may be a secret, meant for another place.
func Name(before, word string) string {
	const longest = 24
	if len(word) > longest || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz-") != "" {
		return ""
	}
	return before + word
}

// JSON escapes in valid JSON what encoding/json leaves as it is and a terminal would obey. The value stays
// the same: beyond ASCII there are only characters within its strings.
func JSON(encoded []byte) []byte {
	if bytes.IndexFunc(encoded, hidden) < 0 {
		return encoded
	}
	var b bytes.Buffer
	for _, r := range string(encoded) {
		if !hidden(r) {
			b.WriteRune(r)
			continue
		}
		if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
			fmt.Fprintf(&b, `\u%04x`, high)
			r = low
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.Bytes()
}

func hidden(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }
