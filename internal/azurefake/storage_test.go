package azurefake_test

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

func TestStorageChecks(t *testing.T) {
	f := start(t, azurefake.Options{})
	mint := func(o azurefake.MintOptions) string { return f.MintToken(o) }
	good := mint(azurefake.MintOptions{})
	stranger := start(t, azurefake.Options{})
	for _, tc := range []struct {
		name   string
		url    string
		token  string
		change func(*http.Request)
		status int
		code   string
	}{
		{name: "good", status: 200},
		{name: "privatelink name", url: "https://acct.privatelink.file.core.windows.net/?restype=service&comp=kerbticket", status: 200},
		{name: "upper case", url: "https://ACCT.file.core.windows.net/?restype=service&comp=kerbticket", status: 200},
		{name: "unknown host", url: "https://nobody.file.core.windows.net/?restype=service&comp=kerbticket", status: 404, code: "ResourceNotFound"},
		{name: "method", change: func(r *http.Request) { r.Method = http.MethodGet }, status: 405, code: "UnsupportedHttpVerb"},
		{name: "path", url: "https://" + host + "/share?restype=service&comp=kerbticket", status: 400, code: "InvalidQueryParameterValue"},
		{name: "query", url: "https://" + host + "/?restype=service", status: 400, code: "InvalidQueryParameterValue"},
		{name: "comp", url: "https://" + host + "/?restype=service&comp=list", status: 400, code: "InvalidQueryParameterValue"},
		{name: "chunked", change: func(r *http.Request) { r.Body, r.ContentLength = readCloser{strings.NewReader("x")}, -1 }, status: 411, code: "MissingContentLengthHeader"},
		{name: "version", change: func(r *http.Request) { r.Header.Set("x-ms-version", "2020-02-10") }, status: 400, code: "InvalidHeaderValue"},
		{name: "no date", change: func(r *http.Request) { r.Header.Del("x-ms-date") }, status: 401, code: "InvalidAuthenticationInfo"},
		{name: "date", change: func(r *http.Request) { r.Header.Set("x-ms-date", "today") }, status: 401, code: "InvalidAuthenticationInfo"},
		{name: "no token", change: func(r *http.Request) { r.Header.Del("Authorization") }, status: 401, code: "InvalidAuthenticationInfo"},
		{name: "basic", change: func(r *http.Request) { r.Header.Set("Authorization", good) }, status: 401, code: "InvalidAuthenticationInfo"},
		{name: "forged token", token: good + "A", status: 401, code: "InvalidAuthenticationInfo"},
		{name: "another's token", token: stranger.MintToken(azurefake.MintOptions{}), status: 401, code: "InvalidAuthenticationInfo"},
		{name: "slash in audience", token: mint(azurefake.MintOptions{Audience: "https://storage.azure.com/"}), status: 401, code: "InvalidAuthenticationInfo"},
		{name: "expired", token: mint(azurefake.MintOptions{Lifetime: -time.Second}), status: 401, code: "InvalidAuthenticationInfo"},
		{name: "nearly expired", token: mint(azurefake.MintOptions{Lifetime: time.Second}), status: 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.url == "" {
				tc.url = exchangeTo
			}
			if tc.token == "" {
				tc.token = good
			}
			req := newExchange(t, tc.url, tc.token)
			if tc.change != nil {
				tc.change(req)
			}
			resp, body := do(t, f, req)
			if resp.StatusCode != tc.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, tc.status, body)
			}
			if tc.status == http.StatusOK {
				if got := decode(t, body).part.TicketInfo[0].SName.NameString; got[0] != "cifs" || got[1] != host {
					t.Errorf("ticket for %v", got)
				}
				return
			}
			checkAzureError(t, resp, body, tc.code)
			if challenge := resp.Header.Get("WWW-Authenticate"); (challenge != "") != (tc.status == 401) {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
		})
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// checkAzureError holds an error answer against what the storage service sends.
func checkAzureError(t *testing.T, resp *http.Response, body []byte, code string) {
	t.Helper()
	if resp.Header.Get("x-ms-error-code") != code || resp.Header.Get("x-ms-request-id") == "" {
		t.Errorf("headers %v, want code %s and a request id", resp.Header, code)
	}
	text, ok := strings.CutPrefix(string(body), "\ufeff")
	if !ok {
		t.Errorf("no byte order mark: %q", body)
	}
	var e struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}
	if err := xml.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	if e.Code != code || e.Message == "" {
		t.Errorf("code %q, message %q", e.Code, e.Message)
	}
}

func TestStorageLog(t *testing.T) {
	f := start(t, azurefake.Options{})
	do(t, f, newExchange(t, exchangeTo, f.MintToken(azurefake.MintOptions{AppID: backupID})))
	do(t, f, newExchange(t, exchangeTo, f.MintToken(azurefake.MintOptions{ObjectID: backupOID})))
	viaProxy := newExchange(t, "https://"+otherHost+"/?restype=service&comp=kerbticket", "forged")
	viaProxy.Header.Set("Via", "1.1 proxy")
	do(t, f, viaProxy)

	got := f.Requests()
	if len(got) != 3 {
		t.Fatalf("%d requests, want 3", len(got))
	}
	one := got[0]
	if one.Target != "storage" || one.Host != host || one.Method != "POST" || one.Path != "/" || one.Query.Get("comp") != "kerbticket" {
		t.Errorf("first request: %+v", one)
	}
	if one.Identity != backupID || one.Status != 200 || one.TokenID == "" || one.Proxied || !one.Time.Equal(noon) {
		t.Errorf("first request: %+v", one)
	}
	if got[1].Identity != backupOID || got[1].TokenID == one.TokenID {
		t.Errorf("second request: %+v", got[1])
	}
	if got[2].Identity != "" || got[2].Status != 401 || got[2].TokenID != "" || !got[2].Proxied || got[2].Host != otherHost {
		t.Errorf("third request: %+v", got[2])
	}
	f.ResetRequests()
	if n := len(f.Requests()); n != 0 {
		t.Errorf("%d requests after a reset", n)
	}
}
