package identity

import (
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

const (
	guid       = "0a1b2c3d-0000-4000-8000-00000000beef"
	resourceID = "/subscriptions/" + guid + "/resourceGroups/My-RG_(1).x/providers/Microsoft.ManagedIdentity/userAssignedIdentities/Backup-1"
)

func TestText(t *testing.T) {
	for text, c := range map[string]struct {
		id          Identity
		username    string
		refreshable bool
	}{
		"system": {Identity{Kind: System}, "label", true},
		"system resource=https://storage.example": {Identity{Kind: System, Resource: "https://storage.example"}, "label", true},
		"user-assigned client_id=" + guid:         {Identity{Kind: UserAssigned, ClientID: guid}, guid, true},
		"user-assigned object_id=" + guid:         {Identity{Kind: UserAssigned, ObjectID: guid}, "label", true},
		"user-assigned resource_id=" + resourceID: {Identity{Kind: UserAssigned, ResourceID: resourceID}, "label", true},
		"workload client_id=" + guid + " tenant_id=" + guid + " token_file=/run/t": {
			Identity{Kind: Workload, ClientID: guid, TenantID: guid, TokenFile: "/run/t"}, guid, true,
		},
		"workload client_id=" + guid + " tenant_id=contoso.onmicrosoft.com token_file=/run/t authority_host=https://login.airgap.test:8443 resource=https://storage.airgap.test": {
			Identity{
				Kind: Workload, ClientID: guid, TenantID: "contoso.onmicrosoft.com", TokenFile: "/run/t",
				Authority: "https://login.airgap.test:8443", Resource: "https://storage.airgap.test",
			}, guid, true,
		},
		"service-principal client_id=" + guid + " tenant_id=" + guid + " secret_file=/etc/a": {
			Identity{Kind: ServicePrincipal, ClientID: guid, TenantID: guid, SecretFile: "/etc/a"}, guid, true,
		},
		"service-principal client_id=" + guid + " tenant_id=" + guid + " certificate_file=/etc/a%20b.pem": {
			Identity{Kind: ServicePrincipal, ClientID: guid, TenantID: guid, CertificateFile: "/etc/a b.pem"}, guid, true,
		},
		"cli":                                  {Identity{Kind: CLI}, "label", false},
		"cli user=ann":                         {Identity{Kind: CLI, User: "ann"}, "label", true},
		`cli user=CONTOSO\ann.b@contoso.com`:   {Identity{Kind: CLI, User: `CONTOSO\ann.b@contoso.com`}, "label", true},
		"arc":                                  {Identity{Kind: Arc}, "label", true},
		"arc resource=https://storage.example": {Identity{Kind: Arc, Resource: "https://storage.example"}, "label", true},
		"token":                                {Identity{Kind: Token}, "label", false},
		"token token_file=/run/a":              {Identity{Kind: Token, TokenFile: "/run/a"}, "label", true},
		"token token_file=/a%20b%25%3D%0A%C3%A4 resource=https://storage.example:8443/x%3Dy": {
			Identity{Kind: Token, TokenFile: "/a b%=\nä", Resource: "https://storage.example:8443/x=y"}, "label", true,
		},
	} {
		if got := c.id.String(); got != text {
			t.Errorf("String gives %q, want %q", got, text)
		}
		back, err := Parse(text)
		if err != nil || back != c.id {
			t.Errorf("%q: Parse gives %+v, %v", text, back, err)
		}
		got := c.id.Username()
		if strings.HasPrefix(got, "azfiles-"+string(c.id.Kind)+"-") && len(got) <= len(guid) && Selector(got) == got {
			got = "label"
		}
		if got != c.username || c.id.Refreshable() != c.refreshable {
			t.Errorf("%q: username %s, refreshable %v", text, got, c.id.Refreshable())
		}
	}
}

func TestParseCleans(t *testing.T) {
	app := Identity{Kind: Workload, ClientID: guid, TenantID: guid, TokenFile: "/t"}
	custom := app
	custom.Authority, custom.TenantID = "https://login.airgap.test:8443", "contoso.com"
	for text, want := range map[string]Identity{
		"user-assigned resource=https://storage.azure.com// client_id=" + strings.ToUpper(guid): {Kind: UserAssigned, ClientID: guid, Resource: "https://storage.azure.com"},
		"user-assigned object_id=" + strings.ToUpper(guid):                                      {Kind: UserAssigned, ObjectID: guid},
		"user-assigned resource_id=/SUBSCRIPTIONS/" + strings.ToUpper(guid) +
			"/resourcegroups/My-RG_(1).x/Providers/microsoft.managedidentity/userassignedidentities/Backup-1": {Kind: UserAssigned, ResourceID: resourceID},
		"workload token_file=/t client_id=" + guid + " tenant_id=" + strings.ToUpper(guid):                                    app,
		"workload token_file=/t client_id=" + guid + " tenant_id=Contoso.COM authority_host=HTTPS://Login.Airgap.test:8443//": custom,
		"workload token_file=/t client_id=" + guid + " tenant_id=contoso.com authority_host=https://login.airgap.test:8443":   custom,
	} {
		if id, err := Parse(text); err != nil || id != want {
			t.Errorf("%s: %+v %v", text, id, err)
		}
	}
}

func TestRefusedTexts(t *testing.T) {
	long := "/" + strings.Repeat("x", 4096)
	app := "service-principal client_id=" + guid + " tenant_id=" + guid
	work := "workload token_file=/t client_id=" + guid + " tenant_id="
	mi := "user-assigned resource_id="
	for text, part := range map[string]string{
		"":                                      "kind",
		" system":                               "unknown",
		"System":                                "kind",
		"certificate":                           "kind",
		"system ":                               "unknown",
		"system  resource=x":                    "unknown",
		"system eyJsecret":                      "unknown",
		"system eyJsecret=x":                    "unknown",
		"system\nuser":                          "kind",
		"system client_id=" + guid:              "takes no client_id",
		"system token_file=/a":                  "takes no token_file",
		"user-assigned":                         "needs client_id, object_id or resource_id",
		"user-assigned client_id=":              "client_id is empty",
		"user-assigned client_id=eyJsecret":     "must be a GUID, such as",
		"user-assigned client_id=" + guid + "0": "must be a GUID, such as",
		"user-assigned client_id=" + strings.Replace(guid, "-", "0", 1):  "must be a GUID, such as",
		"user-assigned client_id=" + strings.Replace(guid, "0", "g", 1):  "must be a GUID, such as",
		"user-assigned client_id=" + guid + " client_id=" + guid:         "twice",
		"user-assigned client_id=" + guid + " token_file=/a":             "takes no token_file",
		"user-assigned client_id=" + guid + " object_id=" + guid:         "only one of",
		"user-assigned object_id=" + guid + " resource_id=" + resourceID: "only one of",
		"user-assigned object_id=eyJsecret":                              "must be a GUID, such as",
		mi + "eyJsecret":                                                 "form /subscriptions/",
		mi + strings.TrimPrefix(resourceID, "/"):                         "form /subscriptions/",
		mi + resourceID + "/x":                                           "form /subscriptions/",
		mi + strings.Replace(resourceID, guid, "x", 1):                   "form /subscriptions/",
		mi + strings.Replace(resourceID, "My-RG", "", 1) + "%00":         "form /subscriptions/",
		mi + strings.Replace(resourceID, "My-RG_(1).x", "", 1):           "form /subscriptions/",
		mi + strings.Replace(resourceID, "My-RG", "a'b", 1):              "form /subscriptions/",
		mi + strings.Replace(resourceID, "Microsoft.Managed", "My.", 1):  "form /subscriptions/",
		"workload": "needs client_id, tenant_id and token_file",
		"workload client_id=" + guid + " tenant_id=" + guid: "needs token_file",
		"workload client_id=" + guid + " token_file=/t":     "needs tenant_id",
		work + "common":                                       "tenant_id must be a GUID or the name of a domain",
		work + "eyJsecret/x":                                  "tenant_id must be a GUID or the name of a domain",
		work + "a..b":                                         "tenant_id must be a GUID or the name of a domain",
		work + "-a.b":                                         "tenant_id must be a GUID or the name of a domain",
		work + "a.b-":                                         "tenant_id must be a GUID or the name of a domain",
		work + strings.Repeat("a", 64) + ".b":                 "tenant_id must be a GUID or the name of a domain",
		work + strings.Repeat("a.", 127) + "b":                "tenant_id must be a GUID or the name of a domain",
		work + guid + " secret_file=/a":                       "takes no secret_file",
		work + guid + " user=ann":                             "takes no user",
		work + guid + " authority_host=http://a.b":            "authority_host must be an https URL",
		work + guid + " authority_host=https://a.b/eyJsecret": "https URL of a host alone",
		work + guid + " authority_host=https://a.b%25":        "authority_host must be an https URL",
		work + guid + " authority_host=https://a_b":           "https URL of a host alone",
		app: "needs secret_file or certificate_file",
		app + " secret_file=/a certificate_file=/b":              "only one of",
		app + " secret_file=eyJsecret":                           "secret_file must be an absolute path",
		app + " certificate_file=b":                              "certificate_file must be an absolute path",
		app + " secret_file=/a token_file=/b":                    "takes no token_file",
		"cli user=-x":                                            "not the name of a user",
		"cli user=a/b":                                           "not the name of a user",
		"cli user=a:b":                                           "not the name of a user",
		"cli user=a%20b":                                         "not the name of a user",
		"cli user=a%0Ab":                                         "not the name of a user",
		"cli user=" + strings.Repeat("a", 257):                   "not the name of a user",
		"cli tenant_id=" + guid:                                  "takes no tenant_id",
		"arc client_id=" + guid:                                  "takes no client_id",
		"token token_file=eyJsecret":                             "absolute",
		"token token_file=a/b":                                   "absolute",
		"token token_file=/":                                     "absolute",
		"token token_file=/a/":                                   "absolute",
		"token token_file=/a//b":                                 "absolute",
		"token token_file=/a/../b":                               "absolute",
		"token token_file=/a%00b":                                "absolute",
		"token token_file=/a%2":                                  "wrongly encoded",
		"token token_file=/a%zz":                                 "wrongly encoded",
		"token token_file=/a=b":                                  "wrongly encoded",
		"token token_file=/a\tb":                                 "wrongly encoded",
		"token token_file=/ä":                                    "wrongly encoded",
		"token token_file=" + long:                               "too long",
		"token token_file=" + strings.Repeat(long, 5):            "text is too long",
		"token authority_host=https://login.example":             "takes no authority_host",
		"system resource=http://storage.azure.com":               "https URL",
		"system resource=https://me:eyJsecret@storage.azure.com": "https URL",
		"system resource=https://storage.azure.com?":             "https URL",
		"system resource=https://":                               "https URL",
		"system resource=storage":                                "https URL",
		"system resource=%25zz://":                               "https URL",
		"system resource=https://a/b#":                           "https URL",
		"system " + strings.Repeat("a ", 8000):                   "unknown",
	} {
		id, err := Parse(text)
		if !fault.Is(err, fault.IdentityInvalid) || id != (Identity{}) {
			t.Errorf("%.60q: %+v %v", text, id, err)
		} else if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "eyJsecret") {
			t.Errorf("%.60q: %v, want %q in it", text, err, part)
		}
	}
}

// Every mistake is told at once, each with a fix of its own, in the words of the face that is used.
func TestFixesOfTexts(t *testing.T) {
	flag := func(key string) string { return "--" + strings.ReplaceAll(key, "_", "-") }
	for text, want := range map[string][2]string{
		"System":                             {"its kind is not known; did you mean system?", "set --identity=system"},
		"nothing":                            {"its kind is not known", "set --identity to a kind of identity, such as system, or to a name under identities: in /etc/azfilesauth/config.d/90-local.yaml"},
		"workload":                           {"the kind workload needs --client-id, --tenant-id and --token-file", "add --client-id=<id>, --tenant-id=<id> and --token-file=<file>"},
		"workload client_id=" + guid:         {"the kind workload needs --tenant-id and --token-file", "add --tenant-id=<id> and --token-file=<file>"},
		"user-assigned":                      {"the kind user-assigned needs --client-id, --object-id or --resource-id", "add --client-id=<id>, --object-id=<id> or --resource-id=<id>"},
		"system client_id=" + guid:           {"the kind system takes no --client-id", "remove --client-id, or set --identity to a kind that takes it: service-principal, user-assigned or workload"},
		"arc user=ann":                       {"the kind arc takes no user", "remove --user, or set --identity to a kind that takes it: cli"},
		"user-assigned client_id=foo":        {"--client-id must be a GUID, such as 00000000-0000-0000-0000-000000000000", "correct --client-id; the name of an entry of identities is given by --identity"},
		"workload client_id=foo token_file=": {"--token-file is empty or wrongly encoded", "set --identity to a kind of identity, such as system, or to a name under identities: in /etc/azfilesauth/config.d/90-local.yaml"},
		"user-assigned client_id=" + guid + " object_id=" + guid: {"the kind user-assigned takes only one of --client-id and --object-id", "remove --client-id or --object-id"},
		"workload client_id=foo token_file=a": {
			"the kind workload needs --tenant-id; --client-id must be a GUID, such as 00000000-0000-0000-0000-000000000000; --token-file must be an absolute path in its shortest form",
			"add --tenant-id=<id>; correct --client-id; the name of an entry of identities is given by --identity; correct --token-file",
		},
	} {
		_, err := Parse(text)
		f := fault.From(err).Reword(func(text string) string { return Spell(text, flag) })
		if got := [2]string{strings.TrimPrefix(f.What(), "the identity is not usable: "), strings.TrimSuffix(f.Fix(), "; see azfilesauth.yaml(5) for the kinds and their keys")}; got != want {
			t.Errorf("%s:\n%q, want\n%q", text, got, want)
		}
	}
}

func TestInvalidIdentityGetsNoToken(t *testing.T) {
	for _, id := range []Identity{{}, {Kind: UserAssigned}, {Kind: Token}} {
		if _, err := id.Token(t.Context(), Options{}); !fault.Is(err, fault.IdentityInvalid) {
			t.Errorf("%+v: %v", id, err)
		}
	}
}

// FuzzIdentityText holds the promises of the text form: one line of printable ASCII, read back as
// the same identity, whether one starts with the text or with the identity.
func FuzzIdentityText(f *testing.F) {
	f.Add("user-assigned client_id="+guid, "token", "", "", "", "", "/run/token", "", "")
	f.Add("token token_file=/a%20b", "system", "", "", "", "", "", "", "https://storage.azure.com")
	f.Add("system resource=https://x/", "user-assigned", guid, "", "", "", "", "", "https://[::1]/%zz")
	f.Add("user-assigned object_id="+guid, "user-assigned", "", resourceID, "", "", "", "", "")
	f.Add("user-assigned resource_id="+resourceID, "workload", guid, "", "contoso.com", "https://login.airgap.test", "/t", "", "")
	f.Add("workload tenant_id="+guid+" client_id="+guid+" token_file=/t authority_host=HTTPS://A//", "service-principal", guid, "", guid, "", "/s", "", "")
	f.Add("service-principal tenant_id=a.b client_id="+guid+" secret_file=/s", "cli", "", "", "", "", "", "ann", "")
	f.Add("cli user=a%5Cb@c", "arc", "", "", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, text, kind, client, arm, tenant, authority, file, user, resource string) {
		if id, err := Parse(text); err == nil {
			readsBack(t, id)
		}
		id := Identity{
			Kind: Kind(kind), ClientID: client, ResourceID: arm, TenantID: tenant, Authority: authority, User: user, Resource: resource,
		}
		if id.Kind == ServicePrincipal {
			id.SecretFile = file
		} else {
			id.TokenFile = file
		}
		if id.Validate() == nil {
			readsBack(t, id)
		} else if again, err := Parse(id.String()); err == nil && again == id {
			t.Fatalf("%+v is invalid and its text is not", id)
		}
	})
}

func readsBack(t *testing.T, id Identity) {
	t.Helper()
	text := id.String()
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		t.Fatalf("%q is not printable", text)
	}
	back, err := Parse(text)
	if err != nil || back != id || back.String() != text || back.clean() != back {
		t.Fatalf("%+v -> %q -> %+v, %v", id, text, back, err)
	}
}

func TestSelector(t *testing.T) {
	const label = "azfiles-system-bbc5e661e106"
	if got := (Identity{Kind: System}).Username(); got != label { // live mounts have it
		t.Errorf("the machine's label has become %s", got)
	}
	for username, want := range map[string]string{
		"root": "", "": "", label: label, strings.ToUpper(guid): guid, label + "0": "", "azfiles-": "", label + "\n": "", "a" + label: "",
		guid + " ": "", "azfiles-system-BBC5E661E106": "",
	} {
		if got := Selector(username); got != want {
			t.Errorf("%q: %q, want %q", username, got, want)
		}
	}
}
