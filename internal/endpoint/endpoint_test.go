package endpoint

import (
	"errors"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	r := Resolver{Custom: map[string]Custom{
		"files.example.internal":     {Canonical: "acct.file.core.windows.net"},
		"loop.example.internal":      {Canonical: "files.example.internal"},
		"acct.file.core.airgap.test": {Authority: "https://login.airgap.test/", Resource: "https://storage.airgap.test/"},
		"alias.airgap.test":          {Canonical: "acct.file.core.airgap.test"},
		"acct.file.core.bare.test":   {Authority: "https://login.bare.test"},
	}}
	airgap := Cloud{"custom", "https://login.airgap.test", "https://storage.airgap.test"}
	for _, c := range []struct {
		host, canonical, alias, account string
		cloud                           Cloud
	}{
		{"acct.file.core.windows.net", "acct.file.core.windows.net", "", "acct", Public},
		{"ACCT.File.Core.Windows.NET", "acct.file.core.windows.net", "", "acct", Public},
		{"acct.file.core.windows.net.", "acct.file.core.windows.net", "", "acct", Public},
		{"acct.file.core.windows.net:443", "acct.file.core.windows.net", "", "acct", Public},
		{"acct.file.core.windows.net.:443", "acct.file.core.windows.net", "", "acct", Public},
		{"acct.privatelink.file.core.windows.net", "acct.file.core.windows.net", "acct.privatelink.file.core.windows.net", "acct", Public},
		{"acct-secondary.file.core.windows.net", "acct-secondary.file.core.windows.net", "", "acct", Public},
		{"acct.z12.file.storage.azure.net", "acct.z12.file.storage.azure.net", "", "acct", Public},
		{"acct.file.storage.azure.net", "acct.file.storage.azure.net", "", "acct", Public},
		{"acct.privatelink.file.storage.azure.net", "acct.file.storage.azure.net", "acct.privatelink.file.storage.azure.net", "acct", Public},
		{"acct.file.core.eaglex.ic.gov", "acct.file.core.eaglex.ic.gov", "", "acct", USNat},
		{"acct.file.core.microsoft.scloud", "acct.file.core.microsoft.scloud", "", "acct", USSec},
		{"acct-microsoftrouting.file.core.windows.net", "acct.file.core.windows.net", "acct-microsoftrouting.file.core.windows.net", "acct", Public},
		{"acct-internetrouting.z12.file.storage.azure.net", "acct.z12.file.storage.azure.net", "acct-internetrouting.z12.file.storage.azure.net", "acct", Public},
		{"acct-ipv6.file.core.windows.net", "acct.file.core.windows.net", "acct-ipv6.file.core.windows.net", "acct", Public},
		{"acct-ipv6-microsoftrouting.file.core.windows.net", "acct.file.core.windows.net", "acct-ipv6-microsoftrouting.file.core.windows.net", "acct", Public},
		{"acct-secondary-ipv6.file.core.windows.net", "acct-secondary.file.core.windows.net", "acct-secondary-ipv6.file.core.windows.net", "acct", Public},
		// The forms of Azure's libraries: azure-sdk-for-js and -java (secondary first), azure-sdk-for-cpp (last).
		{"acct-dualstack.file.core.windows.net", "acct.file.core.windows.net", "acct-dualstack.file.core.windows.net", "acct", Public},
		{"acct-secondary-dualstack.file.core.windows.net", "acct-secondary.file.core.windows.net", "acct-secondary-dualstack.file.core.windows.net", "acct", Public},
		{"acct-microsoftrouting-secondary.file.core.windows.net", "acct-secondary.file.core.windows.net", "acct-microsoftrouting-secondary.file.core.windows.net", "acct", Public},
		{"acct-ipv6-secondary-internetrouting.z12.file.storage.azure.net", "acct-secondary.z12.file.storage.azure.net", "acct-ipv6-secondary-internetrouting.z12.file.storage.azure.net", "acct", Public},
		{"acct.privatelink.z12.file.storage.azure.net", "acct.z12.file.storage.azure.net", "acct.privatelink.z12.file.storage.azure.net", "acct", Public},
		{"acct.file.preprod.core.windows.net", "acct.file.preprod.core.windows.net", "", "acct", Public},
		{"acct.file.core.usgovcloudapi.net", "acct.file.core.usgovcloudapi.net", "", "acct", USGovernment},
		{"acct.privatelink.file.core.usgovcloudapi.net", "acct.file.core.usgovcloudapi.net", "acct.privatelink.file.core.usgovcloudapi.net", "acct", USGovernment},
		{"acct.file.core.chinacloudapi.cn", "acct.file.core.chinacloudapi.cn", "", "acct", China},
		{"files.example.internal", "acct.file.core.windows.net", "files.example.internal", "acct", Public},
		{"acct.file.core.airgap.test", "acct.file.core.airgap.test", "", "acct", airgap},
		{"alias.airgap.test", "acct.file.core.airgap.test", "alias.airgap.test", "acct", airgap},
		{"acct.file.core.bare.test", "acct.file.core.bare.test", "", "acct", Cloud{"custom", "https://login.bare.test", "https://storage.azure.com"}},
	} {
		e, err := r.Resolve(c.host)
		if err != nil {
			t.Errorf("%s: %v", c.host, err)
			continue
		}
		if e.Host() != c.canonical || e.Alias() != c.alias || e.Account() != c.account || e.Cloud() != c.cloud || e.SPN() != "cifs/"+c.canonical {
			t.Errorf("%s: got host %q alias %q account %q cloud %v", c.host, e.Host(), e.Alias(), e.Account(), e.Cloud())
		}
	}
	if e, err := r.Resolve("loop.example.internal"); err == nil {
		t.Errorf("an alias of an alias is followed to %v", e)
	}
}

func TestPrivateLink(t *testing.T) {
	for host, want := range map[string]string{
		"acct.file.core.windows.net":             "acct.privatelink.file.core.windows.net",
		"acct.privatelink.file.core.windows.net": "acct.privatelink.file.core.windows.net",
		"acct.z12.file.storage.azure.net":        "acct.privatelink.z12.file.storage.azure.net",
		"acct.file.core.usgovcloudapi.net":       "acct.privatelink.file.core.usgovcloudapi.net",
		"acct.file.core.airgap.test":             "",
	} {
		e, err := Resolver{Custom: map[string]Custom{"acct.file.core.airgap.test": {}}}.Resolve(host)
		if err != nil || e.PrivateLink() != want {
			t.Errorf("%s: %q, %v", host, e.PrivateLink(), err)
		}
	}
}

func TestRefused(t *testing.T) {
	for host, part := range map[string]string{
		"":            "missing",
		".":           "missing",
		"example.com": "does not end in .file.core.windows.net",
		"acct.file.core.windows.net.evil.example":                   "does not end in .file.core.windows.net",
		"evilfile.core.windows.net":                                 "does not end in .file.core.windows.net",
		"file.core.windows.net":                                     "does not end in .file.core.windows.net",
		"acct.blob.core.windows.net":                                "does not end in .file.core.windows.net",
		"user@acct.file.core.windows.net":                           "user name",
		"acct.file.core.windows.net/share":                          "path",
		"https://acct.file.core.windows.net":                        "path",
		"acct.file.core.windows.net:445":                            "443",
		"acct.file.core.windows.net:443:443":                        "443",
		"a_b.file.core.windows.net":                                 "not a host name",
		"ac.file.core.windows.net":                                  "storage account",
		"acct-secondary-secondary.file.core.windows.net":            "storage account",
		"-ipv6.file.core.windows.net":                               "not a host name",
		"a.b.file.core.windows.net":                                 "storage account",
		"privatelink.privatelink.privatelink.file.core.windows.net": "storage account",
		"acct.zone.file.storage.azure.net":                          "DNS zone",
		"acct..file.core.windows.net":                               "not a host name",
		"acct.file.core.windows.net\x00":                            "not a host name",
		"äcct.file.core.windows.net":                                "not a host name",
		"10.0.0.1":                                                  "an address",
		"[2603:1030::1]":                                            "an address",
		"[2603:1030::1]:443":                                        "an address",
		"2603:1030::1":                                              "an address",
		"fe80::1%eth0":                                              "an address",
		strings.Repeat("a.", 140) + "net":                           "too long",
	} {
		e, err := Resolver{}.Resolve(host)
		var typed *Error
		if err == nil {
			t.Errorf("%q: accepted as %v", host, e)
		} else if !errors.As(err, &typed) || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: got %v, want %q in it", host, err, part)
		}
	}
}

// FuzzResolve holds the promises that the rest of the program builds on: whatever is typed, an
// accepted host is one of ours, in canonical form, and resolves to itself.
func FuzzResolve(f *testing.F) {
	for _, s := range []string{"acct.file.core.windows.net", "ACCT.privatelink.file.core.windows.net.:443", "a.privatelink.z1.file.storage.azure.net", "x@y", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		e, err := Resolver{}.Resolve(host)
		if err != nil {
			return
		}
		again, err := Resolver{}.Resolve(e.Host())
		if err != nil || again.Host() != e.Host() || again.Alias() != "" {
			t.Fatalf("%q: %q does not resolve to itself: %v %v", host, e.Host(), again, err)
		}
		if !IsAccount(strings.Split(e.Host(), ".")[0]) || e.Cloud().Authority == "" {
			t.Fatalf("%q: %+v", host, e)
		}
	})
}

func TestHostOfAccount(t *testing.T) {
	known := []string{"acct2.file.core.windows.net", "acct.file.core.usgovcloudapi.net"}
	for account, want := range map[string]string{"acct": known[1], "other": "other.file.core.windows.net"} {
		if got := HostOfAccount(account, known); got != want {
			t.Errorf("%s: %s, want %s", account, got, want)
		}
	}
}
