package azfiles

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		status        int
		code, message string
		want          fault.Named
		requests      int
	}{
		{401, "InvalidAuthenticationInfo", "Audience validation failed.", fault.TokenRefused, 1},
		{401, "NoAuthenticationInformation", "", fault.TokenRefused, 1},
		{403, "AuthenticationFailed", "Server failed to authenticate the request.", fault.TokenRefused, 1},
		{403, "AuthorizationFailure", "This request is not authorized to perform this operation.", fault.RoleMissing, 1},
		{403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.", fault.RoleMissing, 1},
		{403, "AuthorizationPermissionMismatch", "OAuth over SMB needs a role.", fault.RoleMissing, 1},
		{403, "IpAuthorizationError", "Not allowed.", fault.NetworkRules, 1},
		{403, "AuthorizationFailure", "The network rules deny this IP address.", fault.NetworkRules, 1},
		{403, "AuthorizationFailure", "Denied by the firewall.", fault.NetworkRules, 1},
		{400, "FeatureNotEnabled", "SMBOAuth is not enabled for the account.", fault.SMBOAuthOff, 1},
		{403, "AuthorizationFailure", "OAuth is not enabled for file services.", fault.SMBOAuthOff, 1},
		{409, "SmbOAuthDisabled", "Not enabled.", fault.SMBOAuthOff, 1},
		{404, "ResourceNotFound", "The specified resource does not exist.", fault.AccountNotFound, 1},
		{404, "", "", fault.AccountNotFound, 1},
		{429, "TooManyRequests", "", fault.AzureBusy, 4},
		{500, "InternalError", "", fault.AzureBusy, 4},
		{502, "", "", fault.AzureBusy, 4},
		{503, "ServerBusy", "The server is busy.", fault.AzureBusy, 4},
		{504, "", "", fault.AzureBusy, 4},
		{400, "InvalidHeaderValue", "The value for one of the HTTP headers is wrong.", fault.AzureRefused, 1},
		{403, "AccountIsDisabled", "The specified account is disabled.", fault.AzureRefused, 1},
		{409, "AccountBeingCreated", "Later.", fault.AzureRefused, 1},
		{418, "NeverHeardOf", "Some words.", fault.AzureRefused, 1},
		{204, "", "", fault.AzureRefused, 1},
	} {
		b := newBench(t, azurefake.Options{})
		b.fake.Order(azurefake.Order{Target: "storage", Status: c.status, Code: c.code, Message: c.message})
		f := b.refuses(c.want, c.requests)
		parts := []string{http.StatusText(c.status), c.code, c.message, "request id "}
		if c.code != "" {
			parts = parts[1:]
		}
		if c.status == 204 { // has no body
			parts = parts[:1]
		}
		if missing := lacks(f.Cause(), parts...); len(missing) > 0 {
			t.Errorf("%d %s: %q lacks %q", c.status, c.code, f.Cause(), missing)
		}
		if strings.Contains(f.Error(), "<account>") || strings.Contains(f.Error(), "<host>") || strings.Contains(f.Error(), "<identity>") || strings.Contains(f.Error(), "<principal>") {
			t.Errorf("%d %s: a value is missing: %s", c.status, c.code, f)
		}
	}
}

func TestAmbiguousRefusalSaysSo(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: "storage", Status: 403, Code: "AuthorizationFailure"})
	if f := b.refuses(fault.RoleMissing, 1); !strings.Contains(f.Cause(), "network rules") || !strings.Contains(f.Fix(), "--assignee oid-1 ") {
		t.Error(f)
	}
}

func TestUnknownAccount(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	_, err := b.client.Exchange(t.Context(), resolve(t, "other.file.core.windows.net"), b.token, Caller{})
	if !fault.Is(err, fault.AccountNotFound) {
		t.Error(err)
	}
}

func TestTokensThatAzureRefuses(t *testing.T) {
	for _, o := range []azurefake.MintOptions{
		{Audience: "https://storage.azure.com/"}, {Audience: "https://management.azure.com"}, {Lifetime: -time.Hour},
	} {
		b := newBench(t, azurefake.Options{})
		b.token = b.mint(o)
		b.refuses(fault.TokenRefused, 1)
	}
}

// TestOddBodies has refusals that do not come from Azure, or not in the documented form.
func TestOddBodies(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		want  fault.Named
		parts []string
	}{
		"no BOM":        {`<Error><Code>AuthorizationPermissionMismatch</Code><Message>No.</Message></Error>`, fault.RoleMissing, []string{"403 AuthorizationPermissionMismatch: No."}},
		"html":          {"<html><body>\nBlocked by\r\n\tExample Gateway</body></html>", fault.AzureRefused, []string{"403 Forbidden: <html><body> Blocked by Example Gateway"}},
		"empty":         {"", fault.AzureRefused, []string{"403 Forbidden"}},
		"json":          {`{"error":{"code":"X"}}`, fault.AzureRefused, []string{"403 Forbidden: {"}},
		"other charset": {`<?xml version="1.0" encoding="utf-16"?><Error><Code>C</Code></Error>`, fault.AzureRefused, []string{"403 Forbidden"}},
		"entity bomb":   {`<!DOCTYPE a [<!ENTITY b "` + strings.Repeat("c", 1000) + `">]><Error><Code>&b;</Code></Error>`, fault.AzureRefused, []string{"403 Forbidden"}},
		"deep":          {strings.Repeat("<Error>", 50000), fault.AzureRefused, []string{"403 Forbidden"}},
		"binary":        {"\x00\xff\xfe\x1b[2J", fault.AzureRefused, []string{"403 Forbidden"}},
		"long":          {"<Error><Code>" + strings.Repeat("C", 5000) + "</Code><Message>" + strings.Repeat("ä", 300000) + "</Message></Error>", fault.AzureRefused, []string{"403 CCC"}},
	} {
		b := newBench(t, azurefake.Options{})
		b.fake.Order(azurefake.Order{Target: "storage", Status: 403, Body: &c.body, ContentType: "application/xml"})
		f := b.refuses(c.want, 1)
		if missing := lacks(f.Cause(), c.parts...); len(missing) > 0 {
			t.Errorf("%s: %q lacks %q", name, f.Cause(), missing)
		}
		if len(f.Unwrap().Error()) > 700 {
			t.Errorf("%s: the cause has %d bytes", name, len(f.Unwrap().Error()))
		}
	}
}

// TestRedirect proves that the token goes to the endpoint alone.
func TestRedirect(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect is followed, Authorization %q", r.Header.Get("Authorization"))
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		b := newBench(t, azurefake.Options{})
		place := other.URL + "/secret-path?sig=x"
		b.fake.Order(azurefake.Order{Target: "storage", Status: status, Redirect: place})
		f := b.refuses(fault.AnswerInvalid, 1)
		u, err := url.Parse(other.URL)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(f.What(), u.Host) || strings.Contains(f.Error(), "sig=") {
			t.Errorf("%d: %v", status, f)
		}
	}
	b := newBench(t, azurefake.Options{Hosts: []string{"other.file.core.windows.net"}})
	b.fake.Order(azurefake.Order{Target: "storage", Redirect: "https://other.file.core.windows.net/?restype=service&comp=kerbticket"})
	b.refuses(fault.AnswerInvalid, 1)
}

// TestEchoedToken has a peer that repeats the token wherever it can.
func TestEchoedToken(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	token := b.token.RevealString()
	long := strings.Repeat("x", 3000) + token
	for name, o := range map[string]azurefake.Order{
		"code":         {Status: 418, Code: token, Message: token},
		"message":      {Status: 403, Code: "AuthorizationFailure", Message: "Authorization: Bearer " + token + " " + token},
		"text":         {Status: 403, Body: &token},
		"cut text":     {Status: 403, Body: &long},
		"json":         {Status: 200, Body: &token},
		"redirect":     {Redirect: "https://" + token + "/" + token},
		"wrong server": {WrongServer: token},
	} {
		o.Target = "storage"
		b.fake.Order(o)
		_, err := b.exchange(t.Context())
		b.fake.ClearOrders()
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		noSecret(t, err, token)
		noSecret(t, err, token[:40]) // nor its beginning
	}
	b.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Post", URL: "https://x/", Err: errString("cannot send " + r.Header.Get("Authorization"))}
	})
	_, err := b.exchange(t.Context())
	if !fault.Is(err, fault.EndpointDown) {
		t.Error(err)
	}
	noSecret(t, err, token)
}
