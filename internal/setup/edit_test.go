package setup

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// patch(1) makes of the one content the other by what was shown.
func TestDiffIsWhatPatchReads(t *testing.T) {
	for name, test := range map[string]struct{ before, after string }{
		"new":             {"", "a\nb\n"},
		"new, unended":    {"", "a\nb"},
		"appended":        {"a\nb\nc\nd\n", "a\nb\nc\nd\ne\n"},
		"ended":           {"a\nb", "a\nb\n"},
		"first":           {"a\nb\nc\nd\ne\n", "x\nb\nc\nd\ne\n"},
		"inside":          {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\ny\n6\n7\n8\n9\n"},
		"removed":         {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n6\n7\n8\n9\n"},
		"twice the same":  {"a\na\na\n", "a\na\n"},
		"all of it":       {"a\nb\n", "c\n"},
		"unended changed": {"a\nb", "a\nc"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var before []byte
			if test.before != "" {
				before = []byte(test.before)
				must(t, os.WriteFile(filepath.Join(dir, "f"), before, 0o600))
			}
			shown := filepath.Join(dir, "shown")
			must(t, os.WriteFile(shown, []byte(unified("/f", before, []byte(test.after))), 0o600))
			command(t, "patch", "-s", "-p1", "-d", dir, "-i", shown)
			if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(got) != test.after {
				t.Errorf("patch made %q, %v", got, err)
			}
		})
	}
}

func TestNoDiff(t *testing.T) {
	if got := unified("/f", []byte("a\n"), []byte("a\n")); got != "" {
		t.Errorf("got %q", got)
	}
}

// Nothing around a change is shown of a file that holds hashes.
func TestDiffWithoutContext(t *testing.T) {
	for name, test := range map[string]struct{ before, after, want string }{
		"appended": {"root:hash\n", "root:hash\nme:!\n", "@@ -0,0 +1,1 @@\n+me:!\n"},
		"inside":   {"a:hash\nb:*::x,y\nc:hash\n", "a:hash\nb:*::x\nc:hash\n", "@@ -1,1 +1,1 @@\n-b:*::x,y\n+b:*::x\n"},
	} {
		before, after := differingLines([]byte(test.before), []byte(test.after))
		if got, want := unified("/etc/shadow", before, after), "--- a/etc/shadow\n+++ b/etc/shadow\n"+test.want; got != want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// An edit goes back and forth, and is not taken back where its bytes are not.
func FuzzEdit(f *testing.F) {
	f.Fuzz(func(t *testing.T, before, after []byte) {
		e := editOf(before, after)
		got, ok := e.revert(after)
		if !ok || !bytes.Equal(got, before) {
			t.Fatalf("%q, %q: %+v gives %q", before, after, e, got)
		}
		if len(e.Added)+len(e.Removed) == 0 && !bytes.Equal(before, after) {
			t.Fatalf("%q, %q: no edit", before, after)
		}
		if _, ok := e.revert(nil); ok && len(e.Added) > 0 {
			t.Fatal("an edit was taken back where it is not")
		}
		unified("/f", before, after)
	})
}

// Whatever a rule file holds, request-key can read it after the action.
func FuzzRules(f *testing.F) {
	f.Fuzz(func(t *testing.T, content []byte) {
		if goodRules(content, []byte(ourRule)) && !goodRules(ended(content), []byte(ourRule)) {
			t.Fatalf("%q is good and is not when it is ended", content)
		}
	})
}
