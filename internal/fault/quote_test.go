package fault

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
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

// Who has put a file in the place of a cache can have put a link in the place that it is moved to: what is in /etc would
// then be read as root's.
func TestForeignCacheIsMovedNowhereElse(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	ccache := filepath.Join(dir, "krb5cc")
	if err := errors.Join(os.WriteFile(ccache, nil, 0o600), os.Symlink(elsewhere, ccache+".foreign")); err != nil {
		t.Fatal(err)
	}
	command, _, _ := strings.Cut(CCacheForeign.New(ccache, "").Fix(), " and find")
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if _, there := os.Lstat(ccache); err != nil || there == nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
	if found, _ := os.ReadDir(elsewhere); len(found) > 0 {
		t.Errorf("%s moves it to where a link leads", command)
	}
}

// To own a file is to be believed, and who owned it before may have it open: no fix gives root a file that is another's.
func TestNoFixGivesACacheToRoot(t *testing.T) {
	for _, k := range Table() {
		if slices.Contains(k.names(), "ccache") && strings.Contains(k.Fix, "chown") {
			t.Errorf("%s: %s", k.ID, k.Fix)
		}
	}
}
