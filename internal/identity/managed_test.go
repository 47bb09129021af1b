package identity

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// TestWhoIsAskedIsTheConfigurationsWord has the variables by which the services of managed identities are
// known, here in the configuration and not in the process's environment.
func TestWhoIsAskedIsTheConfigurationsWord(t *testing.T) {
	for _, name := range []string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "MSI_SECRET", "IMDS_ENDPOINT"} {
		t.Setenv(name, "http://inherited.test/")
	}
	const at = "http://here.test/token"
	user := Identity{Kind: UserAssigned, ClientID: guid}
	for name, c := range map[string]struct {
		env  map[string]string
		id   Identity
		want string // the request
	}{
		"IMDS":      {nil, machine, "GET http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com Metadata=true"},
		"IMDS user": {nil, user, "GET http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&client_id=" + guid + "&resource=https://storage.azure.com Metadata=true"},
		"App Service": {
			map[string]string{"IDENTITY_ENDPOINT": at, "IDENTITY_HEADER": "s3cr3t"},
			Identity{Kind: UserAssigned, ResourceID: resourceID},
			"GET " + at + "?api-version=2019-08-01&mi_res_id=" + resourceID + "&resource=https://storage.azure.com X-Identity-Header=s3cr3t",
		},
		"Machine Learning": {
			map[string]string{"MSI_ENDPOINT": at, "MSI_SECRET": "s3cr3t", "DEFAULT_IDENTITY_CLIENT_ID": "mine"},
			machine,
			"GET " + at + "?api-version=2017-09-01&clientid=mine&resource=https://storage.azure.com Secret=s3cr3t",
		},
		"Cloud Shell": {map[string]string{"MSI_ENDPOINT": at}, machine, "POST " + at + " Metadata=true resource=https://storage.azure.com"},
		"Arc":         {map[string]string{"IDENTITY_ENDPOINT": at, "IMDS_ENDPOINT": "http://here.test"}, machine, "GET " + at + "?api-version=2020-06-01&resource=https://storage.azure.com Metadata=true"},
		"Arc's port": {
			map[string]string{"MSI_ENDPOINT": "http://localhost:40342/metadata/identity/oauth2/token"},
			machine,
			"GET http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01&resource=https://storage.azure.com Metadata=true",
		},
	} {
		got := ""
		o := Options{Environment: c.env, Attempts: 1, IMDS: roundTrip(func(r *http.Request) (*http.Response, error) {
			got = requestText(t, r)
			return answer(403, "your header was s3cr3t"), nil
		})}
		if _, err := c.id.Token(t.Context(), o); err == nil || got != c.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, got, c.want)
		} else if strings.Contains(got, "s3cr3t") {
			noSecret(t, err, "s3cr3t")
		}
	}
}

// requestText is what a request says, without the client's own headers.
func requestText(t *testing.T, r *http.Request) string {
	t.Helper()
	at, err := url.QueryUnescape(r.URL.String())
	if err != nil {
		t.Fatal(err)
	}
	text := r.Method + " " + at
	for _, name := range []string{"Metadata", "X-Identity-Header", "Secret"} {
		if v := r.Header.Get(name); v != "" {
			text += " " + name + "=" + v
		}
	}
	if r.Body != nil {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.QueryUnescape(string(body))
		text = strings.TrimSpace(text + " " + form)
	}
	return text
}

func TestServicesThatCannotBeAskedSo(t *testing.T) {
	object := Identity{Kind: UserAssigned, ObjectID: guid}
	for _, c := range []struct {
		env  map[string]string
		want fault.Named
		part string
	}{
		{map[string]string{"MSI_ENDPOINT": "http://x.test/", "MSI_SECRET": "x"}, fault.IMDSRefused, "by object_id"},
		{map[string]string{"MSI_ENDPOINT": "http://x.test/"}, fault.IMDSRefused, "by object_id"},
		{map[string]string{"IDENTITY_ENDPOINT": "https://x.test/", "IDENTITY_HEADER": "x", "IDENTITY_SERVER_THUMBPRINT": "x"}, fault.IMDSRefused, "Service Fabric"},
		{map[string]string{"IDENTITY_ENDPOINT": "http://127.0.0.1:40342/x", "IMDS_ENDPOINT": "x"}, fault.ArcSystemOnly, "--system"},
		{map[string]string{"IDENTITY_ENDPOINT": "http://127.0.0.1:40342/x"}, fault.ArcSystemOnly, guid},
	} {
		o := Options{Environment: c.env, IMDS: roundTrip(func(*http.Request) (*http.Response, error) {
			t.Error("it was asked")
			return answer(403, ""), nil
		})}
		refuses(t, object, o, c.want, c.part)
	}
}

// TestTokenName: whatever changes the token changes its name, and nothing of it can be read there.
func TestTokenName(t *testing.T) {
	file := t.TempDir() + "/token"
	write(t, file, "eyJ1", 0o600)
	app := Identity{Kind: Workload, TenantID: tenant, ClientID: guid, TokenFile: file}
	seen := map[string]bool{}
	see := func(i Identity, o Options) {
		t.Helper()
		name := i.TokenName(o)
		if seen[name] || name != i.TokenName(o) || len(name) != 64 {
			t.Errorf("%s, %+v: %s", i, o, name)
		}
		seen[name] = true
	}
	see(app, Options{Host: mine()})
	see(app, Options{Host: mine(), Environment: map[string]string{"A": "B"}})
	see(app, Options{Host: mine(), Environment: map[string]string{"A": "C"}})
	write(t, file, "eyJ2", 0o600)
	see(app, Options{Host: mine()})
	app.Authority = "https://login.microsoftonline.us"
	see(app, Options{Host: mine()})
	see(machine, Options{Host: mine()})
	machine := machine
	machine.Resource = "https://storage.example"
	see(machine, Options{Host: mine()})
}

func TestManagedIdentityOfAToken(t *testing.T) {
	for text, want := range map[string]string{
		jwt(`{"xms_mirid":"/subscriptions/s/x"}`): "/subscriptions/s/x",
		jwt(`{"oid":"o"}`):                        "",
		jwt(`{"xms_mirid":5}`):                    "",
		"no token":                                "",
	} {
		claims, _ := ClaimsOf(secret.FromString(text))
		if got := claims.Managed; got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}
