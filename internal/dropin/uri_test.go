package dropin_test

import (
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/dropin"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

const (
	host = "acct.file.core.windows.net"
	uri  = "https://" + host
)

// FuzzURI holds that only Azure's hosts by https, with nothing beside them, are accepted, and that of
// others nothing but the host is repeated.
func FuzzURI(f *testing.F) {
	for _, s := range []string{uri, uri + ":443/", "HTTPS://ACCT.privatelink.file.core.windows.net.", "https://me:geheim@" + host, uri + "/share?sig=geheim", "https://[::1]:443", "://", "https://%zz"} {
		f.Add(s)
	}
	resolver := (&config.Config{}).Resolver
	f.Fuzz(func(t *testing.T, text string) {
		e, err := dropin.Endpoint(text, resolver)
		if err != nil {
			if !fault.Is(err, fault.HostUnknown) {
				t.Fatal(err)
			}
			return
		}
		lower := strings.ToLower(text)
		rest, ok := strings.CutPrefix(lower, "https://")
		name := strings.TrimRight(rest, "/")
		if again, err := (endpoint.Resolver{}).Resolve(name); !ok || err != nil || again.Host() != e.Host() {
			t.Fatalf("%q is accepted as %s", text, e)
		}
	})
}
