package nearest

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"at", "at", 0},
		{"at", "att", 1},
		{"kitten", "sitting", 3},
		{"abc", "", 3},
		{"", "abcd", 4},
		{"ab", "ba", 2},
		{strings.Repeat("a", 1<<20), strings.Repeat("b", 1<<20), maxWord},
	} {
		if got := Distance(test.a, test.b); got != test.want {
			t.Errorf("%.10q to %.10q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestWord(t *testing.T) {
	known := []string{"USER_UID", "refresh", "at"}
	for word, want := range map[string]string{
		"User_Uid": "USER_UID", "USER_IDU": "USER_UID", "refesh": "refresh", "att": "at",
		"a": "at", "xy": "", "proxy": "", "at": "", "": "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
