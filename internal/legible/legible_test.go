package legible

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"größer 文 a b":    "größer 文 a b",
		"a\x1b[2J\nb\tc":  "a?[2J b c",
		"\u009b31m\u202e": "?31m?",
		"\xff":            "\ufffd",
	} {
		if got := Line(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got := Lines("a\tb\n\x1bc"); got != "a    b\n?c\n" {
		t.Errorf("%q", got)
	}
}

func TestShorten(t *testing.T) {
	for width, want := range map[int]string{-1: "..", 0: "..", 1: "..", 2: "..", 3: "ä..", 4: "ä..h", 7: "äbc..gh", 8: "äbcdefgh", 9: "äbcdefgh"} {
		if got := Shorten("äbcdefgh", width); got != want {
			t.Errorf("%d: %q, want %q", width, got, want)
		}
	}
}

// FuzzJSON holds that the value stays and that nothing in it steers a terminal.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{"plain", "\u009b2J", "\u202eevil\u202c", "\U000e0001 tag", "文", "a\"\\\u2066", "\u007f"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		encoded, err := json.Marshal([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		shown := JSON(encoded)
		var before, after []string
		if json.Unmarshal(encoded, &before) != nil || json.Unmarshal(shown, &after) != nil || before[0] != after[0] {
			t.Fatalf("%q: %s", text, shown)
		}
		if strings.ContainsFunc(string(shown), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q: %q", text, shown)
		}
	})
}
