package doctor

import (
	"context"
	"strconv"
	"strings"
)

func defaultCacheCheck() Check {
	return Check{
		ID: "default-ccache", Group: Kerberos, Title: "default credential cache", Severity: Tells, Offline: true, Needs: []ID{"config", "krb5-conf"},
		Proves: "libkrb5's default cache is the one that the tickets are put into.",
		Why:    "klist without -c, and a cifs.upcall that we do not call, look there. azfiles.upcall knows the cache from its configuration, and tells it to cifs.upcall.",
		Run:    checkDefaultCache,
	}
}

func checkDefaultCache(_ context.Context, s *Subject) Result {
	if name, from, ours, same := s.caches(); !same {
		return Known("the default is %s (%s), and the tickets are in %s: look at them with azfilesauth list, or klist -c %s", name, from, ours, ours)
	}
	return Good("that of the tickets")
}

// caches compares libkrb5's default cache, and where its name comes from, with the one that the
// tickets are put into.
func (s *Subject) caches() (name, from, ours string, same bool) {
	uid, _ := s.credentialUID() // what is wrong with it is another check's
	ours = strings.TrimPrefix(s.Config.CCacheName(uid), "FILE:")
	name, from = "FILE:/tmp/krb5cc_%{uid}", "libkrb5's own"
	if r, ok := s.krb5().get("libdefaults", "default_ccache_name"); ok {
		name, from = r.value, r.place
	}
	id := strconv.Itoa(uid)
	expanded := strings.NewReplacer("%{uid}", id, "%{USERID}", id, "%{euid}", id).Replace(name)
	return name, from, ours, strings.TrimPrefix(expanded, "FILE:") == ours
}
