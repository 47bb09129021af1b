package main

import (
	"errors"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func TestPanicIsAnError(t *testing.T) {
	var none []int
	err := guarded(func() error { none[len(none)]++; return nil })
	if !fault.Is(err, fault.Internal) {
		t.Error(err)
	}
	if want := errors.New("its own"); !errors.Is(guarded(func() error { return want }), want) {
		t.Error("an error does not come through")
	}
}
