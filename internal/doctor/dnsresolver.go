package doctor

import (
	"context"
	"errors"
	"io/fs"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

func dnsResolverCheck() Check {
	return Check{
		ID: "dns-resolver", Group: Upcall, Title: "names at a reconnect", Severity: Latent, Offline: true, Needs: []ID{"request-key", "request-key-files"},
		Proves: "The rule by which the kernel looks up a host name is there, and its program too.",
		Why:    "At a reconnect the kernel asks for the server's address anew; without it a mount stays with an address that may be gone.",
		Run:    checkDNSResolver,
	}
}

func checkDNSResolver(_ context.Context, s *Subject) Result {
	rule, err := s.rules().Winner(keyring.Wanted{Op: "create", Type: "dns_resolver", Description: s.hosts()[0]}, nil)
	if errors.Is(err, keyring.ErrNoRule) {
		return Warned(s.reinstall("keyutils"), "no rule of request-key matches dns_resolver: %s is missing or changed", rulesFile)
	}
	if err != nil {
		return s.CannotSee(rulesFolder, err)
	}
	program := winner{rule: rule}.handler()
	if _, err := s.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return Warned(s.reinstall("keyutils"), "%s, which is missing", s.shownRule(rule))
	}
	return Good("%s", s.shownRule(rule))
}
