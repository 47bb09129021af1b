package doctor

import (
	"context"
	"slices"
	"strings"
)

func enctypesCheck() Check {
	return Check{
		ID: "enctypes", Group: Kerberos, Title: "encryption types", Severity: CIFSMode, Offline: true, Needs: []ID{"krb5-conf"},
		Proves: "krb5.conf permits the encryption types of Azure Files' tickets.",
		Why:    "libkrb5 does not use a ticket whose key is of another type than those that it permits.",
		Run:    checkEnctypes,
	}
}

// azureTypes are the names of the encryption types of Azure Files' tickets (krb5.conf(5), "Encryption
// types").
func azureTypes() []string {
	return []string{"aes256-cts-hmac-sha1-96", "aes256-cts", "aes256-sha1", "aes128-cts-hmac-sha1-96", "aes128-cts", "aes128-sha1", "aes"}
}

func checkEnctypes(_ context.Context, s *Subject) Result {
	for _, tag := range []string{"permitted_enctypes", "default_tgs_enctypes"} {
		r, ok := s.krb5().get("libdefaults", tag)
		if !ok || permits(r.value) {
			continue
		}
		fix := "add aes256-cts-hmac-sha1-96 to " + r.place
		if strings.Contains(r.place, "crypto-policies") {
			fix = "update-crypto-policies --set $(update-crypto-policies --show):AD-SUPPORT"
		}
		return s.forStock(Broken(fix, "%s permits only %s", r.place, r.value))
	}
	return Good("AES is permitted")
}

// permits reports whether a list of types has one of those; a type with - before it is taken away.
func permits(list string) bool {
	have := map[string]bool{}
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		bare := strings.TrimLeft(name, "+-")
		for _, known := range azureTypes() {
			if strings.EqualFold(bare, known) || strings.EqualFold(bare, "aes") || bare == "DEFAULT" {
				have[known] = !strings.HasPrefix(name, "-")
			}
		}
	}
	return slices.ContainsFunc(azureTypes(), func(name string) bool { return have[name] })
}
