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
		{403, "AuthorizationFailure", "This request is not authorized to perform this operation.", fault.NetworkRules, 1},
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
		{400, "InvalidHeaderValue", "The value for one of the HTTP headers is wrong.", fault.Unsupported, 1},
		{403, "AccountIsDisabled", "The specified account is disabled.", fault.AccountDisabled, 1},
		{409, "AccountBeingCreated", "Later.", fault.AccountChanging, 1},
		{403, "InsufficientAccountPermissions", "Write operations are not allowed.", fault.AccountChanging, 1},
		{503, "ServerBusy", "The account is being failed over.", fault.AccountChanging, 1},
		{400, "InvalidAuthenticationInfo", "The authentication information was not provided in the correct format.", fault.TokenRefused, 1},
		{400, "UnsupportedQueryParameter", "", fault.Unsupported, 1},
		{405, "UnsupportedHttpVerb", "", fault.Unsupported, 1},
		{500, "OperationTimedOut", "", fault.AzureBusy, 4},
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

// TestAnswersThatWereSeen has answers of people's reports, and what their fix must and must not say.
func TestAnswersThatWereSeen(t *testing.T) {
	const home, own = "72f90000-0000-4000-8000-000000000047", azurefake.TenantID
	for name, c := range map[string]struct {
		want     fault.Named
		requests int
		parts    []string // of the line
	}{
		"storage-firewall": {fault.NetworkRules, 1, []string{
			"403 AuthorizationFailure", "the network rules of acct do not let", "a missing role can be the reason too",
			"network-rule add --account-name acct", "private endpoint", "--assignee oid-1 --role",
		}},
		"storage-perimeter": {fault.NetworkRules, 1, []string{"by network security perimeter", "perimeter profile access-rule create", "private endpoint"}},
		"storage-role":      {fault.RoleMissing, 1, []string{"--assignee oid-1 --role"}},
		"storage-token-issuer": {fault.TokenTenant, 1, []string{
			"Issuer validation failed. Issuer did not match.", "takes tokens of the tenant " + home, "this one is of the tenant " + own,
			"tenant_id=" + home, "authority_host=https://login.microsoftonline.com",
		}},
		"storage-token-other-cloud": {fault.TokenTenant, 1, []string{"authority_host=https://login.microsoftonline.us"}},
		"storage-token-audience":    {fault.TokenRefused, 1, []string{"Audience validation failed. Audience did not match.", "its aud https://storage.azure.com", home}},
		"storage-token-lifetime":    {fault.TokenRefused, 1, []string{"Lifetime validation failed. The token is expired.", "its exp 20", "timedatectl"}},
		"storage-token-signature":   {fault.TokenRefused, 1, []string{"Signature validation failed. Signature verification failed.", "azfilesauth refresh " + testHost}},
		"storage-disabled":          {fault.AccountDisabled, 1, []string{"az account show --query state"}},
		"storage-created":           {fault.AccountChanging, 1, nil},
		"storage-failover":          {fault.AccountChanging, 1, []string{"failoverInProgress"}},
		"storage-deleted":           {fault.AccountNotFound, 1, nil},
		"storage-version":           {fault.Unsupported, 1, nil},
		"proxy-blockpage": {fault.NotAzure, 1, []string{
			"403 Forbidden, Server: BlueCoat-Security-Appliance, Via: 1.1 proxy.example, it says: Web Page Blocked \u2014 Example Gateway", "proxy, firewall", "no_proxy:",
		}},
		"proxy-unavailable": {fault.NotAzure, 4, []string{"503 Service Unavailable, Server: squid/5.7, it says: ERROR: The requested URL"}},
		"captive-portal":    {fault.NotAzure, 1, []string{"200 OK, Server: nginx, it says: Welcome to Example Guest WiFi"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, azurefake.Options{})
			b.fake.Order(azurefake.Order{Target: "storage", Answer: name})
			f := b.refuses(c.want, c.requests)
			if missing := lacks(f.Error(), c.parts...); len(missing) > 0 {
				t.Errorf("%v lacks %q", f, missing)
			}
			if strings.Contains(f.Error(), "--query tenantId") {
				t.Errorf("the tenant of whoever types it: %v", f)
			}
		})
	}
}

// TestAccountNamedLikeAWord: the account's own name is no statement of Azure's.
func TestAccountNamedLikeAWord(t *testing.T) {
	b := newBench(t, azurefake.Options{Hosts: []string{"smboauth1.file.core.windows.net"}})
	b.fake.Order(azurefake.Order{Target: "storage", Status: 409, Code: "Conflict", Message: "The account SMBOAuth1 is busy with itself."})
	if _, err := b.client.Exchange(t.Context(), resolve(t, "smboauth1.file.core.windows.net"), b.token, Caller{}); !fault.Is(err, fault.AzureRefused) {
		t.Error(err)
	}
}

// TestHomeOf: what a header says stands in a command that people copy.
func TestHomeOf(t *testing.T) {
	for header, want := range map[string][2]string{
		"Bearer authorization_uri=https://login.microsoftonline.com/72f90000-0000-4000-8000-000000000047/oauth2/authorize resource_id=https://storage.azure.com": {"https://login.microsoftonline.com", "72f90000-0000-4000-8000-000000000047"},
		`Bearer authorization_uri="https://login.microsoftonline.us/contoso.onmicrosoft.us/oauth2/authorize", x=y`:                                               {"https://login.microsoftonline.us", "contoso.onmicrosoft.us"},
		"Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize":                                                                     {},
		"Bearer authorization_uri=https://a;reboot/x.y/":                                                                                                         {},
		"Bearer authorization_uri=https://a.b/$(reboot).x/":                                                                                                      {},
		"Bearer authorization_uri=http://a.b/contoso.com/":                                                                                                       {},
		"Bearer authorization_uri=https://u:p@/contoso.com/x y":                                                                                                  {},
		"Negotiate": {},
		"":          {},
	} {
		authority, tenant := homeOf(http.Header{"Www-Authenticate": {header}})
		if got := [2]string{authority, tenant}; got != want {
			t.Errorf("%s: %q", header, got)
		}
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
	for o, want := range map[azurefake.MintOptions]fault.Named{
		{Audience: "https://storage.azure.com/"}:   fault.TokenAudience,
		{Audience: "https://management.azure.com"}: fault.TokenAudience,
		{Lifetime: -time.Hour}:                     fault.TokenRefused, // nobody could hand it over again: an identity service gave it
	} {
		b := newBench(t, azurefake.Options{})
		b.token = b.mint(o)
		if f := b.refuses(want, 1); !strings.Contains(f.Cause(), "validation failed") {
			t.Errorf("%+v: %v", o, f)
		}
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
		"html":          {"<html><body>\nBlocked by\r\n\tExample <b>Gateway</b></body></html>", fault.NotAzure, []string{"403 Forbidden, it says: Blocked by Example Gateway"}},
		"empty":         {"", fault.NotAzure, []string{"(403 Forbidden)"}},
		"json":          {`{"error":{"code":"AuthorizationPermissionMismatch"}}`, fault.NotAzure, []string{"403 Forbidden, it says: {"}},
		"other charset": {`<?xml version="1.0" encoding="utf-16"?><Error><Code>C</Code></Error>`, fault.NotAzure, []string{"403 Forbidden"}},
		"entity bomb":   {`<!DOCTYPE a [<!ENTITY b "` + strings.Repeat("c", 1000) + `">]><Error><Code>&b;</Code></Error>`, fault.NotAzure, []string{"403 Forbidden"}},
		"deep":          {strings.Repeat("<Error>", 50000), fault.NotAzure, []string{"403 Forbidden"}},
		"binary":        {"\x00\xff\xfe\x1b[2J", fault.NotAzure, []string{"403 Forbidden"}},
		"long":          {"<Error><Code>" + strings.Repeat("C", 5000) + "</Code><Message>" + strings.Repeat("\u00e4", 300000) + "</Message></Error>", fault.AzureRefused, []string{"403 CCC"}},
	} {
		b := newBench(t, azurefake.Options{})
		b.fake.Order(azurefake.Order{Target: "storage", Status: 403, Body: &c.body, ContentType: "application/xml"})
		f := b.refuses(c.want, 1)
		if missing := lacks(f.Sentence(), c.parts...); len(missing) > 0 {
			t.Errorf("%s: %q lacks %q", name, f.Sentence(), missing)
		}
		if len(f.What()) > 400 || f.Unwrap() != nil && len(f.Unwrap().Error()) > 700 {
			t.Errorf("%s: %d bytes", name, len(f.What()))
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
		f := b.refuses(fault.NotAzure, 1)
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
	b.refuses(fault.NotAzure, 1)
}

// TestEchoedToken has a peer that repeats the token wherever it can.
func TestEchoedToken(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	token := b.token.RevealString()
	long := strings.Repeat("x", 3000) + token
	broken := token[:9] + "\ufeff" + token[9:20] + "\u200b" + token[20:]
	wrapped := "<p>" + token[:30] + "<br>\n" + token[30:]
	for name, o := range map[string]azurefake.Order{
		"code":         {Status: 418, Code: token, Message: token},
		"message":      {Status: 403, Code: "AuthorizationFailure", Message: "Authorization: Bearer " + token + " " + token},
		"text":         {Status: 403, Body: &token},
		"broken code":  {Status: 418, Code: broken, Message: broken},
		"broken text":  {Status: 403, Body: &broken},
		"wrapped text": {Status: 403, Body: &wrapped},
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
