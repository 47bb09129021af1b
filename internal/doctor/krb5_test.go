package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

func FuzzRules(f *testing.F) {
	root := f.TempDir()
	s, err := New(Options{Host: machine(root)})
	must(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		must(t, os.MkdirAll(filepath.Join(root, requestkey.Directory), 0o755))
		must(t, os.WriteFile(filepath.Join(root, requestkey.OurFile), []byte(text), 0o644))
		s.memo = &memo{}
		for _, id := range []ID{"request-key-files", "request-key-rule", "request-key-ties", "cifs-spnego-conf", "handler", "dns-resolver"} {
			check := checkOf(id)
			if r := check.Run(context.Background(), s); r.Status == "" || len(r.Evidence) == 0 {
				t.Fatalf("%s: %+v", check.ID, r)
			}
		}
		// What request-key would give up on is found by the look at the files.
		files, rule := checkRuleFiles(context.Background(), s), checkRule(context.Background(), s)
		if rule.Status == Problem && strings.Contains(rule.Evidence[0], "too few columns") && files.Status != Problem {
			t.Fatalf("%+v\n%+v", files, rule)
		}
	})
}

// cached is a cache with the ticket of a host.
func cached(t *testing.T, host, realm string) []byte {
	t.Helper()
	e, err := endpoint.Resolver{}.Resolve(host)
	must(t, err)
	client := ccache.Principal{NameType: 1, Realm: "FILES.AZURE.STORAGE.MICROSOFT.COM", Components: []string{"AzureFileClient"}}
	c := &ccache.Cache{Principal: client}
	c.Put(ccache.Credential{
		Client: client, Server: ccache.Principal{NameType: 2, Realm: realm, Components: []string{"cifs", e.Host()}},
		Key: ccache.Key{Etype: 18, Value: secret.New(make([]byte, 32))}, AuthTime: hostNow, StartTime: hostNow, EndTime: hostNow.Add(time.Hour),
		Ticket: secret.FromString("ticket"),
	}, ccache.Record{Identity: "system", ObtainedAt: hostNow, Refreshable: true})
	return c.Marshal()
}

func TestDomainRealm(t *testing.T) {
	const host = "acct.file.core.windows.net"
	tests := []struct {
		name, realm, mapping string // realm of the ticket, "" for none
		stock                bool
		want                 Status
		text                 string
	}{
		{"none", "KERBEROS.EXAMPLE", "", false, OK, "no mapping"},
		{"right", "KERBEROS.EXAMPLE", "core.windows.net = KERBEROS.EXAMPLE", false, OK, "KERBEROS.EXAMPLE"},
		{"that of the client", "KERBEROS.EXAMPLE", ".core.windows.net = FILES.AZURE.STORAGE.MICROSOFT.COM", false, OK, "FILES"},
		{"foreign", "KERBEROS.EXAMPLE", ".core.windows.net = CONTOSO.COM", false, Warning, "/etc/krb5.conf:4 maps the host to CONTOSO.COM"},
		{"foreign, and the stock handler", "KERBEROS.EXAMPLE", ".core.windows.net = CONTOSO.COM", true, Problem, "CONTOSO.COM"},
		{"no ticket", "", ".core.windows.net = CONTOSO.COM", false, Info, "cannot be compared"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := hostTree(t, "-- etc/krb5.conf --\n[libdefaults]\n default_realm = A\n[domain_realm]\n"+test.mapping+"\n",
				"-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 0\nendpoints: {"+host+": {identity: system}}\n")
			if test.mapping == "" {
				plant(t, root, "-- etc/krb5.conf --\n[libdefaults]\n default_realm = A\n")
			} else {
				plant(t, root, "-- etc/krb5.conf --\n[libdefaults]\n default_realm = A\n[domain_realm]\n"+test.mapping+"\n")
			}
			if test.stock {
				plant(t, root, "-- etc/request-key.d/azfiles.conf REMOVED --\n")
			}
			if test.realm != "" {
				must(t, os.MkdirAll(filepath.Join(root, "tmp"), 0o777))
				must(t, os.WriteFile(filepath.Join(root, "tmp/krb5cc_0"), cached(t, host, test.realm), 0o600))
			}
			for _, f := range look(t, root, nil).Checks {
				if f.ID != "domain-realm" {
					continue
				}
				if f.Status != test.want || !strings.Contains(f.Evidence[0], test.text) || f.Endpoint != host {
					t.Errorf("got %+v", f)
				}
				if f.found() && !strings.Contains(f.Fix, host+" = "+test.realm) {
					t.Errorf("fix %q", f.Fix)
				}
				return
			}
			t.Fatal("it was not checked")
		})
	}
}

func TestPermits(t *testing.T) {
	for list, want := range map[string]bool{
		"aes256-cts-hmac-sha1-96": true, "AES128-CTS": true, "aes": true, "DEFAULT": true, "DEFAULT -aes": false, "rc4": false,
		"aes256-cts-hmac-sha384-192, aes128-cts-hmac-sha256-128": false, "rc4,aes128-sha1": true, "aes -aes256-cts": true, "": false,
	} {
		if got := permitsAES(list); got != want {
			t.Errorf("%q: %v", list, got)
		}
	}
}
