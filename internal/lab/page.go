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
	first, last := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	head, rest, begun := strings.Cut(string(old), first)
	_, tail, ended := strings.Cut(rest, last)
	if !begun || !ended {
		return fmt.Errorf("%s: there is no part %q", page, name)
	}
	return os.WriteFile(page, []byte(head+first+text+last+tail), 0o644)
}
