package lab

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPartOfAPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ReplacePart(page, "x", "new\n"); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(page); string(text) != "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n" {
		t.Errorf("%q", text)
	}
	if err := ReplacePart(page, "y", "new\n"); err == nil {
		t.Error("a part that is not there was replaced")
	}
}
