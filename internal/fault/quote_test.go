package fault

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// FuzzWord holds Word against a real shell: it prints the very value, or the value was left out.
func FuzzWord(f *testing.F) {
	for _, seed := range []string{
		"", "/mnt/share", "it's", "a b", "a  b", "$(id)", "`id`", "a;b", "-rf", "~root", "a\nb", "\\", "\"", "*", "!x", "#x", "a=b", "é", "\u202e", "\xff", "'", "''", "<x>", "{a,b}", "\x00",
	} {
		f.Add("target", seed)
		f.Add("principal", seed)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		word := Word(name, value)
		if word == "<"+name+">" {
			return
		}
		out, err := exec.Command("sh", "-c", "printf %s "+word).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q became %q, which a shell reads as %q (%v)", value, word, out, err)
		}
		inside, err := exec.Command("sh", "-c", "printf %s '"+quoteInner(value)+"'").Output()
		if err != nil || string(inside) != value {
			t.Errorf("%q between quotes is %q (%v)", value, inside, err)
		}
	})
}

func TestWordLeavesOutWhatDoesNotMatch(t *testing.T) {
	for name, value := range map[string]string{
		"principal": "x; rm -rf /", "host": "a b", "account": "acct'", "target": "a\nb", "file": "/a\x1b[2J", "issuer": "https://x/$(id)", "client": "-o",
	} {
		if got := Word(name, value); got != "<"+name+">" {
			t.Errorf("%s %q: %s", name, value, got)
		}
	}
	for value, want := range map[string]string{"/mnt/share": "/mnt/share", "/mnt/my share": "'/mnt/my share'", "/mnt/it's": `'/mnt/it'\''s'`, "-v": "'-v'"} {
		if got := Word("target", value); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

// Whatever the values are, none reaches the command line of a fix as more than one word.
func TestNoFixRunsAValue(t *testing.T) {
	const hostile = "x'; touch PWNED; echo '$(touch PWNED)`touch PWNED`"
	n := 0
	for _, k := range Table() {
		f := k.Blank()
		for range k.values {
			f.values = append(f.values, hostile)
		}
		if slices.ContainsFunc(commands, func(name string) bool { return strings.Contains(k.Fix, "{"+name+"}") }) {
			continue // made of Words
		}
		left := strings.NewReplacer(quoteInner(hostile), "", "'"+quoteInner(hostile)+"'", "").Replace(f.Fix())
		if strings.Contains(left, "PWNED") {
			t.Errorf("%s: %s", k.ID, f.Fix())
		}
		n++
	}
	if n < 60 {
		t.Errorf("only %d kinds", n)
	}
}
