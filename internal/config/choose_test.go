package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

const chooseConfig = `
default_identity: backup
identities:
  backup: {client_id: ` + guid + `}
  far: {client_id: ` + guid2 + `}
  future: {kind: quantum}
endpoints:
  far.file.core.windows.net: {identity: far}
`

func TestChoose(t *testing.T) {
	c := load(t, chooseConfig)
	backup, far := "user-assigned client_id="+guid, "user-assigned client_id="+guid2
	tests := []struct {
		host   string
		choice Choice
		want   string
	}{
		{"acct.file.core.windows.net", Choice{}, backup},
		{"far.file.core.windows.net", Choice{}, far},
		{"far.file.core.windows.net", Choice{Name: "system"}, "system"},
		{"far.file.core.windows.net", Choice{Name: "backup"}, backup},
		{"", Choice{Name: "backup", ClientID: strings.ToUpper(guid)}, backup},
		{"", Choice{ClientID: "System"}, "system"},
		{"", Choice{ClientID: "system", Name: "system"}, "system"},
		{"", Choice{ClientID: strings.ToUpper(guid2)}, far},
		{"", Choice{Name: "user-assigned", ClientID: guid2}, far},
		{"", Choice{TokenFile: "/a b=c%"}, "token token_file=/a%20b%3Dc%25"},
		{"", Choice{Name: "token"}, "token"},
		{"", Choice{TokenFile: "/x", TenantID: guid, ClientID: guid2}, "workload client_id=" + guid2 + " tenant_id=" + guid + " token_file=/x"},
		{"", Choice{SecretFile: "/x", TenantID: guid, ClientID: guid2}, "service-principal client_id=" + guid2 + " tenant_id=" + guid + " secret_file=/x"},
		{"", Choice{CertificateFile: "/x", TenantID: guid, ClientID: guid2}, "service-principal client_id=" + guid2 + " tenant_id=" + guid + " certificate_file=/x"},
		{"", Choice{User: "bob"}, "cli user=bob"},
		{"", Choice{Name: "arc"}, "arc"},
		{"", Choice{ObjectID: guid}, "user-assigned object_id=" + guid},
		{"", Choice{Resource: "https://storage.azure.com/"}, "system resource=https://storage.azure.com"},
	}
	for _, test := range tests {
		if got, err := c.Choose(test.host, test.choice); err != nil || got.String() != test.want {
			t.Errorf("%s %+v: %q, %v; want %q", test.host, test.choice, got, err, test.want)
		}
	}
	if got, err := load(t, "").Choose("acct.file.core.windows.net", Choice{}); err != nil || got.String() != "system" {
		t.Errorf("without a configuration: %q, %v", got, err)
	}
}

func TestChooseRefuses(t *testing.T) {
	c := load(t, chooseConfig)
	for _, test := range []struct {
		choice Choice
		key    string // of the ChoiceError
	}{
		{Choice{Name: "backup", ClientID: guid2}, "client_id"},
		{Choice{Name: "backup", ClientID: "system"}, "client_id"},
		{Choice{Name: "backup", TokenFile: "/x"}, "identity"},
		{Choice{Name: "backup", ClientID: guid, Resource: "https://x"}, "identity"},
	} {
		var refusal *ChoiceError
		if got, err := c.Choose("", test.choice); !errors.As(err, &refusal) || refusal.Key != test.key || refusal.Problem == "" {
			t.Errorf("%+v: %q, %v", test.choice, got, err)
		}
	}
	for _, choice := range []Choice{
		{Name: "system", ClientID: guid},
		{ClientID: "backup"},
		{TokenFile: "relative"},
		{TokenFile: "/x", ClientID: guid},
		{Name: "nobody-knows"},
		{Name: "system "},
		{Name: "system client_id=" + guid},
		{Name: "user-assigned"},
		{TenantID: "x"},
		{Name: "system", User: "bob"},
	} {
		if got, err := c.Choose("", choice); !fault.Is(err, fault.IdentityInvalid) {
			t.Errorf("%+v: %q, %v", choice, got, err)
		}
	}
	if got, err := c.Choose("", Choice{Name: "future"}); !fault.Is(err, fault.ConfigInvalid) {
		t.Errorf("an entry of an unknown kind: %q, %v", got, err)
	}
}

// Every part has a kind that it stands for.
func TestImplied(t *testing.T) {
	for want, choices := range map[string][]Choice{
		"user-assigned":     {{ClientID: "x"}, {ObjectID: "x"}, {ResourceID: "x"}},
		"token":             {{TokenFile: "x"}, {TokenFile: "x", ClientID: "x"}},
		"workload":          {{TokenFile: "x", TenantID: "x"}, {TokenFile: "x", TenantID: "x", ClientID: "x"}},
		"service-principal": {{SecretFile: "x"}, {CertificateFile: "x"}, {SecretFile: "x", TenantID: "x", ClientID: "x"}},
		"cli":               {{User: "x"}},
		"":                  {{}, {TenantID: "x"}, {Resource: "x"}, {Authority: "x"}},
	} {
		for _, choice := range choices {
			if got := choice.impliedKind(); string(got) != want {
				t.Errorf("%+v: %q, want %q", choice, got, want)
			}
		}
	}
}
