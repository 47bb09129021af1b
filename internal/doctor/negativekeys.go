package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

func negativeKeysCheck() Check {
	return Check{
		ID: "negative-keys", Group: Upcall, Title: "failures that the kernel remembers", Severity: Latent,
		Proves: "The kernel remembers no failed login.",
		Why:    "For up to a minute it fails the same login again without asking, also after the cause is mended.",
		Run:    checkNegativeKeys,
	}
}

func checkNegativeKeys(_ context.Context, s *Subject) Result {
	f, err := s.Open("/proc/keys")
	if err != nil {
		return s.CannotSee("/proc/keys", err)
	}
	defer func() { _ = f.Close() }() // only read
	keys, err := keyring.ParseKeys(f)
	if err != nil {
		return s.CannotSee("/proc/keys", err)
	}
	failed, ring := 0, keyring.Serial(0)
	for _, k := range keys {
		switch {
		case k.Negative && k.HasType("cifs.spnego") && k.Expiry != "expd":
			failed++
		case k.HasType("keyring") && strings.HasPrefix(k.Description, ".cifs_spnego: "):
			ring = k.Serial
		}
	}
	switch {
	case failed > 0 && ring != 0:
		return Warned(fmt.Sprintf("keyctl clear %#x", int32(ring)), "%d failed logins", failed)
	case failed > 0:
		return Warned("wait for a minute", "%d failed logins", failed)
	case s.EUID != 0:
		return NotChecked("only root sees the keys of the kernel: run it again with sudo")
	}
	return Good("none")
}
