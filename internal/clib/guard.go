package main

import (
	"fmt"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// guarded turns a panic into an error, since one would abort the caller's process.
func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internal.New().Because(fmt.Errorf("panic: %v", p))
		}
	}()
	return do()
}
