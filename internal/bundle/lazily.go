package bundle

import (
	"regexp"
	"sync"
)

// lazily compiles an expression when it is first used. This package is part of a program that the
// kernel waits for, and to compile all of its expressions would double the time of every start.
func lazily(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
