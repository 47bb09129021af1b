package mounts

import (
	"fmt"
	"path/filepath"
	"strings"
)

// UnitOf is the name of a mount point's unit without its suffix (systemd-escape(1), --path), "" where there is none.
func UnitOf(target string) string {
	target = strings.Trim(filepath.Clean(target), "/")
	if target == "" || target == "." {
		return ""
	}
	var b strings.Builder
	for i := range len(target) {
		c := target[i]
		if c == '/' {
			b.WriteByte('-')
		} else if c == '.' && i == 0 || !strings.ContainsRune(unitLetters, rune(c)) {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unitLetters need no escape in the name of a unit.
const unitLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_."
