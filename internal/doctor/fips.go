package doctor

import (
	"context"
	"strings"
)

func fipsCheck() Check {
	return Check{
		ID: "fips", Group: Machine, Title: "FIPS mode", Severity: Tells, Offline: true,
		Proves: "Whether the kernel is in FIPS mode.",
		Why:    "In FIPS mode tickets with RC4 keys cannot be used; Azure Files issues them with AES keys unless the account says otherwise.",
		Run:    checkFIPS,
	}
}

func checkFIPS(_ context.Context, s *Subject) Result {
	on, err := s.ReadFile("/proc/sys/crypto/fips_enabled")
	if err == nil && strings.TrimSpace(string(on)) == "1" {
		return Known("the kernel is in FIPS mode: only tickets with AES keys can be used")
	}
	return Good("off")
}
