//go:build cgo && clib

package main

// #include <string.h>
// int azf_print(void *text, size_t length);
import "C"

import (
	"math"
	"time"
	"unsafe"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/dropin"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// What is read of a caller's text at most, in bytes; longer ones are refused further in. A host name
// has 255 at most, an access token of Entra one or two thousand.
const (
	maxURI   = 1 << 10
	maxToken = 64 << 10
)

// init takes what would steer this library out of the environment that it sees, as all faces do. The
// process keeps its own: see environ.c.
func init() { _ = config.IgnoreEnvironment() }

// text copies a caller's text, and one byte more than most of a text that is longer. NULL is empty.
func text(s *C.char, most C.size_t) []byte {
	if s == nil {
		return nil
	}
	return C.GoBytes(unsafe.Pointer(s), C.int(C.strnlen(s, most+1)))
}

//export azf_set
func azf_set(uri, token *C.char, left *C.uint) C.int {
	return C.int(run(func(c *call) error {
		if left == nil {
			return fault.CallInvalid.New("extern_smb_set_credential_oauth_token", "credential_expires_in_seconds is NULL")
		}
		t := secret.New(text(token, maxToken))
		defer t.Wipe()
		lasts, err := c.set(string(text(uri, maxURI)), t)
		*left = C.uint(min(max(0, lasts/time.Second), math.MaxUint32))
		return err
	}))
}

//export azf_clear
func azf_clear(uri *C.char) C.int {
	return C.int(run(func(c *call) error { return c.clear(string(text(uri, maxURI))) }))
}

//export azf_list
func azf_list(json C.int) C.int {
	code := run(func(c *call) error {
		list, err := c.list(json != 0)
		if err != nil {
			return err
		}
		return show(list)
	})
	if code != 0 && json != 0 {
		_ = show(dropin.NoTickets)
	}
	return C.int(code)
}

// show prints by way of the caller's stdio, so that the text comes where the caller expects it among
// its own and in one piece.
func show(text string) error {
	b := []byte(text)
	if C.azf_print(unsafe.Pointer(&b[0]), C.size_t(len(b))) != 0 {
		return fault.OutputFailed.New()
	}
	return nil
}
