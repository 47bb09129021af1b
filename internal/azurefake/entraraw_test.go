package azurefake_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

const entraBase = "https://login.microsoftonline.com/"

func newGet(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// errorAnswer is an error answer of Entra.
type errorAnswer struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
	Timestamp   string `json:"timestamp"`
	Trace       string `json:"trace_id"`
	Correlation string `json:"correlation_id"`
	URI         string `json:"error_uri"`
}

func errorOf(t *testing.T, body []byte) (e errorAnswer) {
	t.Helper()
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return e
}

func TestTokenAnswer(t *testing.T) {
	f := start(t, azurefake.Options{Apps: apps(t)})
	resp, body := do(t, f, newTokenRequest(t, tokenURL))
	var a struct {
		Type    string `json:"token_type"`
		In      int64  `json:"expires_in"`
		ExtIn   int64  `json:"ext_expires_in"`
		Token   string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if resp.StatusCode != 200 || a.Type != "Bearer" || a.In != 3600 || a.ExtIn != 3600 || a.Token == "" || a.Refresh != "" {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
	if resp.Header.Get("Date") != "Mon, 23 Nov 2026 12:00:00 GMT" || resp.Header.Get("Cache-Control") != "no-store, no-cache" {
		t.Errorf("headers %v", resp.Header)
	}
}

func TestEntraRefusals(t *testing.T) {
	f := start(t, azurefake.Options{Apps: apps(t)})
	for name, tc := range map[string]struct {
		to      string
		changes []string
		status  int
		code    int
		err     string
	}{
		"grant":              {tokenURL, []string{"grant_type", "password"}, 400, 70003, "unsupported_grant_type"},
		"no grant":           {tokenURL, []string{"grant_type", ""}, 400, 900144, "invalid_request"},
		"no client":          {tokenURL, []string{"client_id", ""}, 400, 900144, "invalid_request"},
		"no scope":           {tokenURL, []string{"scope", ""}, 400, 900144, "invalid_request"},
		"no scope of worth":  {tokenURL, []string{"scope", "openid profile"}, 400, 900144, "invalid_request"},
		"no credential":      {tokenURL, []string{"client_secret", ""}, 401, 7000216, "invalid_client"},
		"secret":             {tokenURL, []string{"client_secret", "wrong"}, 401, 7000215, "invalid_client"},
		"no assertion type":  {tokenURL, []string{"client_secret", "", "client_assertion", "a.b.c"}, 400, 900144, "invalid_request"},
		"client":             {tokenURL, []string{"client_id", "nobody"}, 400, 700016, "unauthorized_client"},
		"tenant":             {entraBase + "nowhere/oauth2/v2.0/token", nil, 400, 90002, "invalid_request"},
		"resource":           {tokenURL, []string{"scope", "https://vault.azure.net/.default"}, 400, 500011, "invalid_resource"},
		"resource and slash": {tokenURL, []string{"scope", "https://storage.azure.com//.default"}, 400, 500011, "invalid_resource"},
		"no default":         {tokenURL, []string{"scope", "https://storage.azure.com"}, 400, 1002012, "invalid_scope"},
		"alone":              {tokenURL, []string{"scope", "https://vault.azure.net/.default https://storage.azure.com/.default"}, 400, 500011, "invalid_resource"},
	} {
		t.Run(name, func(t *testing.T) {
			req := newTokenRequest(t, tc.to, tc.changes...)
			req.Header.Set("client-request-id", "c0ffee")
			resp, body := do(t, f, req)
			e := errorOf(t, body)
			if resp.StatusCode != tc.status || e.Error != tc.err || len(e.Codes) != 1 || e.Codes[0] != tc.code {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
			number := strconv.Itoa(tc.code)
			if !strings.HasPrefix(e.Description, "AADSTS"+number+": ") || !strings.HasSuffix(e.URI, "/error?code="+number) {
				t.Errorf("%s", body)
			}
			if e.Correlation != "c0ffee" || !strings.Contains(e.Description, "Correlation ID: c0ffee") {
				t.Errorf("%s", body)
			}
			if e.Timestamp != "2026-11-23 12:00:00Z" || resp.Header.Get("x-ms-request-id") != e.Trace || len(e.Trace) != 36 {
				t.Errorf("headers %v: %s", resp.Header, body)
			}
		})
	}
}

func TestEntraPaths(t *testing.T) {
	f := start(t, azurefake.Options{Apps: apps(t), Authorities: []string{airgapHost}})
	discovery := func(at, about string) string {
		return "https://" + at + "/common/discovery/instance?api-version=1.1&authorization_endpoint=" +
			url.QueryEscape("https://"+about+"/"+azurefake.TenantID+"/oauth2/v2.0/authorize")
	}
	const config = "/v2.0/.well-known/openid-configuration"
	for name, tc := range map[string]struct {
		req    *http.Request
		status int
		parts  []string
	}{
		"configuration": {newGet(t, entraBase+azurefake.TenantID+config), 200, []string{
			`"token_endpoint":"` + tokenURL + `"`, `"issuer":"https://login.microsoftonline.com/` + azurefake.TenantID + `/v2.0"`,
		}},
		"configuration of China": {newGet(t, "https://login.chinacloudapi.cn/"+azurefake.TenantID+config), 200, []string{
			`"token_endpoint":"https://login.chinacloudapi.cn/`, `"issuer":"https://login.partner.microsoftonline.cn/`,
		}},
		"tenant of an app":        {newGet(t, "https://login.microsoftonline.us/"+otherTenant+config), 200, nil},
		"tenant of another cloud": {newGet(t, entraBase+otherTenant+config), 400, []string{"AADSTS90002"}},
		"instances":               {newGet(t, discovery("login.microsoftonline.com", "login.microsoftonline.us")), 200, []string{`"tenant_discovery_endpoint":"https://login.microsoftonline.us/` + azurefake.TenantID + config + `"`, `"login.chinacloudapi.cn"`}},
		"instance of its own":     {newGet(t, discovery(airgapHost, airgapHost)), 200, []string{airgapHost}},
		"unknown instance":        {newGet(t, discovery("login.microsoftonline.com", airgapHost)), 400, []string{"invalid_instance", "AADSTS50049"}},
		"no instance":             {newGet(t, entraBase+"common/discovery/instance?authorization_endpoint=%25%3A"), 400, []string{"invalid_instance"}},
		"token by GET":            {newGet(t, tokenURL), 400, []string{"AADSTS900561"}},
		"configuration by POST":   {newTokenRequest(t, entraBase+azurefake.TenantID+config), 405, nil},
		"huge form":               {newTokenRequest(t, tokenURL, "client_secret", strings.Repeat("x", 1<<20)), 400, []string{"malformed"}},
		"malformed form":          {malformed(t), 400, []string{"malformed"}},
		"v1":                      {newTokenRequest(t, entraBase+azurefake.TenantID+"/oauth2/token"), 404, nil},
		"no tenant":               {newTokenRequest(t, entraBase+"/oauth2/v2.0/token"), 404, nil},
		"root":                    {newGet(t, entraBase), 404, nil},
	} {
		f.ResetRequests()
		resp, body := do(t, f, tc.req)
		if resp.StatusCode != tc.status {
			t.Errorf("%s: status %d: %s", name, resp.StatusCode, body)
		}
		for _, part := range tc.parts {
			if !strings.Contains(string(body), part) {
				t.Errorf("%s: %s, want %s", name, body, part)
			}
		}
		if got := f.Requests()[0]; got.Target != "entra" || got.Host != tc.req.URL.Host || got.Status != tc.status {
			t.Errorf("%s: logged as %+v", name, got)
		}
	}
}

func malformed(t *testing.T) *http.Request {
	req := newTokenRequest(t, tokenURL)
	req.URL.RawQuery = "%zz"
	return req
}

func TestEntraOrders(t *testing.T) {
	for name, tc := range map[string]struct {
		order  azurefake.Order
		status int
		header string
		parts  []string
	}{
		"status":           {azurefake.Order{Status: 503, RetryAfter: "9"}, 503, "Retry-After: 9", []string{`"error":"temporarily_unavailable"`, "Service Unavailable"}},
		"429":              {azurefake.Order{Status: 429}, 429, "", []string{`"error":"temporarily_unavailable"`}},
		"401":              {azurefake.Order{Status: 401, Message: "why not"}, 401, "", []string{`"error":"invalid_client"`, "why not Trace ID"}},
		"known code":       {azurefake.Order{Code: "AADSTS7000222", Message: "expired"}, 401, "", []string{`"error":"invalid_client"`, `"AADSTS7000222: expired`, `"error_codes":[7000222]`}},
		"code and status":  {azurefake.Order{Code: "AADSTS90033", Status: 400}, 400, "", []string{`"error":"temporarily_unavailable"`, `[90033]`}},
		"unknown code":     {azurefake.Order{Code: "AADSTS53003", Message: "blocked"}, 400, "", []string{`"error":"invalid_request"`, `[53003]`}},
		"OAuth error":      {azurefake.Order{Code: "interaction_required", Message: "no"}, 400, "", []string{`"error":"interaction_required"`}},
		"host":             {azurefake.Order{Host: "login.microsoftonline.com", Status: 500}, 500, "", nil},
		"another host":     {azurefake.Order{Host: "login.microsoftonline.us", Status: 500}, 200, "", nil},
		"identity":         {azurefake.Order{Identity: strings.ToUpper(appID), Status: 500}, 500, "", nil},
		"another identity": {azurefake.Order{Identity: otherID, Status: 500}, 200, "", nil},
		"redirect":         {azurefake.Order{Redirect: "https://evil.example/"}, 302, "Location: https://evil.example/", nil},
		"body":             {azurefake.Order{Body: new("<html>sign in</html>"), ContentType: "text/html"}, 200, "Content-Type: text/html", []string{"<html>sign in"}},
		"not JSON":         {azurefake.Order{Garbage: azurefake.GarbageJSON}, 200, "", []string{"It works"}},
		"spaces":           {azurefake.Order{Spaces: true}, 200, "", []string{"\" :\r\n 3600"}},
		"lifetime":         {azurefake.Order{Lifetime: 5 * time.Minute}, 200, "", []string{`"expires_in":300,`}},
		"expired":          {azurefake.Order{Lifetime: -5 * time.Minute}, 200, "", []string{`"expires_in":0,`}},
		"skew":             {azurefake.Order{Skew: time.Hour}, 200, "Date: Mon, 23 Nov 2026 13:00:00 GMT", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, azurefake.Options{Apps: apps(t)})
			tc.order.Target = azurefake.TargetEntra
			f.Order(tc.order)
			if resp, _ := do(t, f, newGet(t, entraBase+azurefake.TenantID+"/v2.0/.well-known/openid-configuration")); resp.StatusCode != 200 {
				t.Errorf("the configuration has status %d", resp.StatusCode)
			}
			resp, body := do(t, f, newTokenRequest(t, tokenURL))
			if resp.StatusCode != tc.status || f.Requests()[1].Status != tc.status {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
			if name, want, ok := strings.Cut(tc.header, ": "); ok && resp.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, resp.Header.Get(name), want)
			}
			for _, part := range tc.parts {
				if !strings.Contains(string(body), part) {
					t.Errorf("%s, want %s", body, part)
				}
			}
			if tc.order.Spaces && !json.Valid(body) {
				t.Errorf("no JSON: %s", body)
			}
		})
	}
}

// TestEntraSkew: an authority whose clock is far off refuses assertions as if the client's were.
func TestEntraSkew(t *testing.T) {
	f := start(t, azurefake.Options{Apps: apps(t)})
	f.Order(azurefake.Order{Target: azurefake.TargetEntra, Skew: -10 * time.Minute})
	if _, body := do(t, f, byAssertion(t, jwt{}.text(t))); !strings.Contains(string(body), "AADSTS700024") {
		t.Errorf("%s", body)
	}
}

func TestEntraConnection(t *testing.T) {
	f := start(t, azurefake.Options{Apps: apps(t)})
	f.Order(azurefake.Order{Target: azurefake.TargetEntra, Drop: true, Times: 1})
	resp, err := f.Transport().RoundTrip(newTokenRequest(t, tokenURL))
	if err == nil {
		resp.Body.Close()
		t.Error("the connection was not dropped")
	}
	f.Order(azurefake.Order{Target: azurefake.TargetEntra, Untrusted: true, Times: 1})
	if resp, _ := exchange(t, f); resp.StatusCode != 200 {
		t.Errorf("storage: status %d", resp.StatusCode)
	}
	resp, err = f.Transport().RoundTrip(newTokenRequest(t, tokenURL))
	if err == nil {
		resp.Body.Close()
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("got %v, want an unknown authority", err)
	}
	if resp, body := do(t, f, newTokenRequest(t, tokenURL)); resp.StatusCode != 200 {
		t.Errorf("after the orders: status %d: %s", resp.StatusCode, body)
	}
}

// TestNoCredentialsInLog looks for what apps authenticate with in everything the log says.
func TestNoCredentialsInLog(t *testing.T) {
	f := start(t, azurefake.Options{Apps: apps(t)})
	federated := f.FederatedToken(appID)
	do(t, f, newTokenRequest(t, tokenURL))
	do(t, f, byAssertion(t, federated))
	logged, err := json.Marshal(f.Requests())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append(strings.Split(federated, "."), appSecret) {
		if strings.Contains(string(logged), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}
