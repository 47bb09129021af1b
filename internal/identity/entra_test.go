package identity

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func TestApplications(t *testing.T) {
	private := endpoint.Cloud{Name: "custom", Authority: "https://login.airgap.test", Resource: endpoint.Public.Resource}
	for host, c := range map[string]struct {
		cloud     endpoint.Cloud
		authority string // of the identity
		named     []string
	}{
		public:                             {cloud: endpoint.Public},
		"login.microsoftonline.us":         {cloud: endpoint.USGovernment},
		"login.chinacloudapi.cn":           {cloud: endpoint.China},
		"login.airgap.test":                {cloud: private},
		"login.partner.microsoftonline.cn": {authority: "https://login.partner.microsoftonline.cn"},
		"login.windows.net":                {authority: "https://login.windows.net"},
		"login.second.test":                {cloud: private, authority: "https://login.second.test", named: []string{"https://x.test", "https://Login.second.test//"}},
	} {
		a := newApps(t, azurefake.Options{Authorities: []string{"login.airgap.test", "login.second.test"}}, host)
		a.options.Cloud, a.options.Authorities, a.options.IMDS = c.cloud, c.named, nil
		for name, id := range a.all() {
			id.Authority = c.authority
			a.fake.ResetRequests()
			token, err := id.Token(t.Context(), a.options)
			if err != nil {
				t.Errorf("%s at %s: %v", name, host, err)
				continue
			}
			claims, _ := ClaimsOf(token.Value)
			if claims.AppID != guid || claims.Audience != azurefake.StorageAudience || claims.TenantID != tenant || !near(token.ExpiresOn, claims.Expiry) {
				t.Errorf("%s at %s: %+v, ends %v", name, host, claims, token.ExpiresOn)
			}
			// The tenant's endpoints and the token. Nobody else is asked whether the authority is one.
			r := a.fake.Requests()
			if len(r) != 2 || r[0].Host != host || r[1].Host != host || r[1].Path != "/"+tenant+"/oauth2/v2.0/token" {
				t.Errorf("%s at %s: %+v", name, host, r)
			}
		}
	}
}

// near allows for what passes between two looks at the clock.
func near(a, b time.Time) bool { return a.Sub(b).Abs() <= 2*time.Second }

func TestTenantByItsDomain(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	a.register(t, azurefake.App{ClientID: guid, TenantID: "contoso.onmicrosoft.com", Secret: secretText})
	a.secret.TenantID = "contoso.onmicrosoft.com"
	if _, err := a.secret.Token(t.Context(), a.options); err != nil {
		t.Error(err)
	}
}

// TestCredentialsAreReadAtEveryUse changes them between two calls: nothing of the first one may do.
func TestCredentialsAreReadAtEveryUse(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	seen := make(map[string]bool)
	ask := func() {
		t.Helper()
		for name, id := range a.all() {
			token, err := id.Token(t.Context(), a.options)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			seen[token.Value.RevealString()] = true
		}
	}
	ask()
	ask()
	a.rotate(t)
	ask()
	key := ecKey(t)
	cert := certificate(t, rsaKey().Public(), rsaKey(), time.Now().Add(2*time.Hour))
	// Another certificate of the key behind certificates of others, as files with a chain have it.
	write(t, a.pemFile, string(pkcs8(t, rsaKey()))+string(certificate(t, key.Public(), key, time.Now().Add(time.Hour)))+string(cert), 0o600)
	write(t, a.secretFile, "another-secret", 0o600)
	a.register(t, azurefake.App{ClientID: guid, Secret: "another-secret", CertPEM: cert, Federated: true})
	a.rotate(t)
	ask()
	if len(seen) != 12 {
		t.Errorf("%d different tokens out of 12", len(seen))
	}
}

func TestConcurrentUse(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	var all sync.WaitGroup
	for _, id := range a.all() {
		for range 4 {
			all.Go(func() {
				if _, err := id.Token(t.Context(), a.options); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
}

func TestUnknownAuthorities(t *testing.T) {
	a := newApps(t, azurefake.Options{Authorities: []string{"login.airgap.test"}}, "")
	private := endpoint.Cloud{Authority: "https://login.airgap.test"}
	for authority, o := range map[string]Options{
		"https://login.airgap.test":                      {},
		"https://login.microsoftonline.com.airgap.test":  {Authorities: []string{"https://login.airgap.test"}},
		"https://login.microsoftonline.com:8443":         {Cloud: endpoint.Public},
		"https://evil.login.microsoftonline.com":         {Cloud: private},
		"https://storage.azure.com":                      {Authorities: []string{"storage.azure.com", "https://storage.azure.com/x"}},
		"https://login-microsoftonline.com":              {Authorities: []string{""}},
		"https://login.chinacloudapi.cn.evil.test":       {Cloud: endpoint.China},
		"https://xn--login-microsoftonline-com.evil.cn":  {},
		"https://169.254.169.254":                        {},
		"https://[::1]:443":                              {},
		"https://login.microsoftonline.com.":             {},
		"https://login.microsoftonline.us.":              {Cloud: endpoint.USGovernment},
		"https://acct.file.core.windows.net":             {},
		"https://login.airgap.test:443":                  {Cloud: private},
		"https://loginxmicrosoftonline.com":              {},
		"https://login.microsoftonline.de":               {},
		"https://login.partner.microsoftonline.cn.local": {},
	} {
		o.Transport, o.IMDS = a.options.Transport, a.options.IMDS
		for _, id := range a.all() {
			id.Authority = authority
			refuses(t, id, o, fault.AuthorityUnknown, authority)
			// The authority comes first: what a file is like must not be told to who chooses it.
			id.TokenFile, id.SecretFile, id.CertificateFile = missing(id.TokenFile), missing(id.SecretFile), missing(id.CertificateFile)
			refuses(t, id, o, fault.AuthorityUnknown)
		}
	}
	if r := a.fake.Requests(); len(r) != 0 {
		t.Errorf("%+v", r)
	}
	// A cloud whose authority has a path is root's mistake, and what it would ask for is another tenant.
	a.options.Cloud = endpoint.Cloud{Authority: "https://login.airgap.test/path"}
	refuses(t, a.secret, a.options, fault.AuthorityUnknown)
}

func missing(name string) string {
	if name == "" {
		return ""
	}
	return "/nonexistent"
}

// TestAuthorityCannotSendElsewhere has an authority that names endpoints of another host.
func TestAuthorityCannotSendElsewhere(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	const good = "https://" + public + "/t/v2.0"
	for name, c := range map[string]struct{ issuer, token, problem string }{
		"token endpoint":           {good, "https://evil.test/token", "sends to another place"},
		"not encrypted":            {good, "http://" + public + "/token", "sends to another place"},
		"storage account":          {good, "https://acct.file.core.windows.net/", "sends to another place"},
		"user in the URL":          {good, "https://" + public + "@evil.test/token", "sends to another place"},
		"name of the user":         {good, "https://me@" + public + "/token", "sends to another place"},
		"issuer":                   {"https://evil.test/t/v2.0", "https://" + public + "/token", "not an answer of Entra"},
		"no token endpoint at all": {good, "", "not an answer of Entra"},
	} {
		for kind, id := range a.all() {
			o, asked := a.options, 0
			o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				if asked++; r.Method != http.MethodGet || r.URL.Host != public {
					t.Errorf("%s, %s: %s %s", name, kind, r.Method, r.URL)
				}
				return answer(200, `{"issuer":"`+c.issuer+`","token_endpoint":"`+c.token+`","authorization_endpoint":"https://`+public+`/a"}`), nil
			})
			refuses(t, id, o, fault.AnswerInvalid, c.problem, public)
			if asked != 1 {
				t.Errorf("%s, %s: %d requests", name, kind, asked)
			}
		}
	}
}

// TestAliasOfTheAuthority: the authority of a cloud may name another of the cloud's hosts.
func TestAliasOfTheAuthority(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	inner := a.options.Transport
	a.options.Cloud = endpoint.China
	a.options.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := inner.RoundTrip(r)
		if err == nil && r.Method == http.MethodGet {
			body, _ := io.ReadAll(resp.Body)
			resp = answer(200, strings.ReplaceAll(string(body), "login.chinacloudapi.cn", "login.partner.microsoftonline.cn"))
		}
		return resp, err
	})
	if _, err := a.secret.Token(t.Context(), a.options); err != nil {
		t.Error(err)
	}
	if r := a.fake.Requests(); len(r) != 2 || r[1].Host != "login.partner.microsoftonline.cn" {
		t.Errorf("%+v", r)
	}
}

// TestEchoes has the other side repeat what it was sent, in each form that it could.
func TestEchoes(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	inner := a.options.Transport
	for form, repeat := range map[string]func(url.Values) string{
		"body":             url.Values.Encode,
		"behind a preface": func(v url.Values) string { return strings.Repeat("x", 100) + v.Encode() },
		"as text": func(v url.Values) string {
			return "you sent " + v.Get("client_secret") + " " + v.Get("client_assertion")
		},
		"as JSON": func(v url.Values) string {
			return `{"error":"` + v.Get("client_assertion") + `","error_description":"AADSTS7000215: ` +
				strings.ReplaceAll(v.Get("client_secret"), `"`, `\"`) + " " + v.Get("client_assertion") + `"}`
		},
	} {
		for name, id := range a.all() {
			var sent string
			a.options.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodGet {
					return inner.RoundTrip(r)
				}
				body, _ := io.ReadAll(r.Body)
				v, _ := url.ParseQuery(string(body))
				sent = v.Get("client_secret") + v.Get("client_assertion")
				return answer(401, repeat(v)), nil
			})
			_, err := id.Token(t.Context(), a.options)
			if err == nil || len(sent) < 10 {
				t.Fatalf("%s, %s: %v, sent %d bytes", form, name, err, len(sent))
			}
			noSecret(t, err, sent, url.QueryEscape(sent), sent[:10])
		}
	}
}

func TestProxies(t *testing.T) {
	a := newApps(t, azurefake.Options{Identities: []azurefake.ManagedIdentity{{ClientID: guid}}}, "")
	p := newProxy(t, a.fake)
	a.options.Transport = p.transport
	for name, id := range a.all() {
		if _, err := id.Token(t.Context(), a.options); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := p.connects.Load(); n == 0 {
		t.Error("Entra is asked past the proxy")
	}
	before := p.connects.Load()
	for _, id := range []Identity{machine, {Kind: UserAssigned, ClientID: guid}} {
		if _, err := id.Token(t.Context(), a.options); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if p.connects.Load() != before {
		t.Error("IMDS is asked through the proxy")
	}
	p.refuse.Store(true)
	p.transport.CloseIdleConnections()
	refuses(t, a.secret, a.options, fault.EntraUnreachable, "Forbidden")
	p.server.Close()
	refuses(t, a.secret, a.options, fault.ProxyFailed, public)
}

func TestEntraHangs(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	a.fake.Order(azurefake.Order{Target: azurefake.TargetEntra, Hang: true})
	ctx := withTimeout(t, 300*time.Millisecond)
	token, err := a.secret.Token(ctx, a.options)
	failed(t, token, err, fault.EntraUnreachable, public)
	token, err = a.secret.Token(ctx, a.options) // ctx has ended before
	failed(t, token, err, fault.EntraUnreachable, public)

	a.fake.ResetRequests()
	cancelled, cancel := context.WithCancel(t.Context())
	go func() {
		_ = a.fake.WaitRequests(t.Context(), azurefake.TargetEntra, 2)
		cancel()
	}()
	token, err = a.secret.Token(cancelled, a.options)
	failed(t, token, err, fault.Interrupted)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
