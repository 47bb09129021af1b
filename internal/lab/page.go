package lab

import (
	"fmt"
	"os"
	"strings"
)

// ReplacePart replaces what is between two comments of a page, "<!-- NAME -->" and "<!-- end of NAME -->".
func ReplacePart(page, name, text string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	written, err := withPart(string(old), name, text)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(written), 0o644)
}

// withPart gives the text of a page with another part.
func withPart(page, name, text string) (string, error) {
	first, last := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	head, rest, begun := strings.Cut(page, first)
	_, tail, ended := strings.Cut(rest, last)
	if !begun || !ended {
		return "", fmt.Errorf("there is no part %q", name)
	}
	return head + first + text + last + tail, nil
}
