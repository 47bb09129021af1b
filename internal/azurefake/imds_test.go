package azurefake_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// newIMDS is the request that a client makes for a token; ids are client_id and so on with a value.
func newIMDS(t *testing.T, ids ...string) *http.Request {
	t.Helper()
	q := url.Values{"api-version": {"2018-02-01"}, "resource": {"https://storage.azure.com"}}
	for i := 0; i < len(ids); i += 2 {
		q.Set(ids[i], ids[i+1])
	}
	req, err := http.NewRequest(http.MethodGet, "http://169.254.169.254/metadata/identity/oauth2/token?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata", "true")
	return req
}

func TestIMDSIdentities(t *testing.T) {
	f := start(t, azurefake.Options{})
	poor := start(t, azurefake.Options{NoSystem: true})
	for _, tc := range []struct {
		name     string
		fake     *azurefake.Fake
		ids      []string
		identity string
		missing  bool
	}{
		{"system", f, nil, "system", false},
		{"system by id", f, []string{"client_id", azurefake.SystemClientID}, "system", false},
		{"client id", f, []string{"client_id", backupID}, backupID, false},
		{"client id in upper case", f, []string{"client_id", strings.ToUpper(backupID)}, backupID, false},
		{"object id", f, []string{"object_id", backupOID}, backupID, false},
		{"resource id", f, []string{"msi_res_id", backupARM}, backupID, false},
		{"unknown client id", f, []string{"client_id", "nobody"}, "nobody", true},
		{"unknown object id", f, []string{"object_id", "nobody"}, "nobody", true},
		{"ids that disagree", f, []string{"client_id", backupID, "object_id", "nobody"}, backupID, true},
		{"no system", poor, nil, "system", true},
		{"no system by id", poor, []string{"client_id", azurefake.SystemClientID}, "system", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.fake.ResetRequests()
			resp, body := do(t, tc.fake, newIMDS(t, tc.ids...))
			if got := tc.fake.Requests()[0]; got.Identity != tc.identity || got.Target != "imds" || got.Status != resp.StatusCode {
				t.Errorf("logged as %+v", got)
			}
			if tc.missing {
				if resp.StatusCode != 400 || string(body) != `{"error":"invalid_request","error_description":"Identity not found"}` {
					t.Errorf("status %d: %s", resp.StatusCode, body)
				}
				return
			}
			checkToken(t, tc.fake, body, tc.identity)
		})
	}
}

// checkToken reads a token answer and spends the token at the storage account.
func checkToken(t *testing.T, f *azurefake.Fake, body []byte, identity string) {
	t.Helper()
	var a struct {
		Token     string `json:"access_token"`
		ExpiresIn string `json:"expires_in"`
		ExpiresOn string `json:"expires_on"`
		Resource  string `json:"resource"`
		Type      string `json:"token_type"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	on := strconv.FormatInt(noon.Add(24*time.Hour).Unix(), 10)
	if a.ExpiresIn != "86400" || a.ExpiresOn != on || a.Resource != "https://storage.azure.com" || a.Type != "Bearer" {
		t.Errorf("answer %+v", a)
	}
	resp, _ := do(t, f, newExchange(t, exchangeTo, a.Token))
	issued, spent := f.Requests()[0], f.Requests()[1]
	if resp.StatusCode != http.StatusOK || spent.Identity != identity || spent.TokenID != issued.TokenID {
		t.Errorf("status %d, issued %+v, spent %+v", resp.StatusCode, issued, spent)
	}
}

func TestIMDSChecks(t *testing.T) {
	f := start(t, azurefake.Options{})
	for _, tc := range []struct {
		name   string
		change func(*http.Request)
		status int
		text   string
	}{
		{"no header", func(r *http.Request) { r.Header.Del("Metadata") }, 400, "metadata header"},
		{"proxied", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.1") }, 400, "X-Forwarded-For"},
		{"path", func(r *http.Request) { r.URL.Path = "/metadata/instance" }, 404, "Not found"},
		{"method", func(r *http.Request) { r.Method = http.MethodPost }, 405, "not allowed"},
		{"version", func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "2018-02-01", "2017-01-01", 1)
		}, 400, "api-version"},
		{"resource", func(r *http.Request) { r.URL.RawQuery = "api-version=2018-02-01" }, 400, "audience"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f.ResetRequests()
			req := newIMDS(t)
			tc.change(req)
			resp, body := do(t, f, req)
			if resp.StatusCode != tc.status || !strings.Contains(string(body), tc.text) {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
			if got := f.Requests()[0].Proxied; got != (tc.name == "proxied") {
				t.Errorf("logged as proxied: %v", got)
			}
		})
	}
}

// TestIMDSThroughProxy: a proxy is asked with a whole URL (RFC 9112 3.2.2), and so a client is found
// out that has one where it must not.
func TestIMDSThroughProxy(t *testing.T) {
	f := start(t, azurefake.Options{})
	proxy := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: f.IMDSAddr()})}
	resp, err := proxy.RoundTrip(newIMDS(t))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := f.Requests()[0]; !got.Proxied || got.Host != "169.254.169.254" {
		t.Errorf("logged as %+v", got)
	}
}

// TestIMDSAudience: the metadata service gives a token for whatever it is asked for, and the storage
// account refuses the one with a slash.
func TestIMDSAudience(t *testing.T) {
	f := start(t, azurefake.Options{})
	_, body := do(t, f, newIMDS(t, "resource", "https://storage.azure.com/"))
	var a struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatal(err)
	}
	resp, body := do(t, f, newExchange(t, exchangeTo, a.Token))
	if resp.StatusCode != 401 || !strings.Contains(string(body), "Audience") {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
}
