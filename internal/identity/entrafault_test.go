package identity

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// spoilt are ways in which Entra refuses in earnest, without an order.
func spoilt(t *testing.T) map[string]struct {
	id    Identity
	o     Options
	want  fault.Named
	parts []string
} {
	t.Helper()
	a := newApps(t, azurefake.Options{}, "")
	other := newApps(t, azurefake.Options{}, "") // whose credentials mean nothing to the first
	wrongTenant, wrongApp, wrongResource := a.secret, a.secret, a.certificate
	wrongTenant.TenantID = "contoso.com"
	wrongApp.ClientID = "11111111-0000-4000-8000-000000000000"
	wrongResource.Resource = "https://storage.nowhere.test"
	wrongSecret, wrongCert, foreign, late := a.secret, a.certificate, a.workload, a.workload
	wrongSecret.SecretFile = a.secretFile + ".wrong"
	write(t, wrongSecret.SecretFile, "wrong", 0o600)
	wrongCert.CertificateFile = other.pemFile
	foreign.TokenFile = other.tokenFile
	late.TokenFile = a.tokenFile + ".late"
	write(t, late.TokenFile, a.federated, 0o600)
	a.rotate(t)
	noJWT := a.workload
	noJWT.TokenFile = wrongSecret.SecretFile
	type row = struct {
		id    Identity
		o     Options
		want  fault.Named
		parts []string
	}
	return map[string]row{
		"tenant":      {wrongTenant, a.options, fault.EntraTenant, []string{"AADSTS90002: Tenant 'contoso.com' not found", "has no tenant contoso.com", "az account show"}},
		"application": {wrongApp, a.options, fault.EntraApp, []string{"AADSTS700016: Application", "the tenant " + tenant + " has no application 11111111-", "az ad sp show --id 11111111-0000-4000-8000-000000000000"}},
		"resource":    {wrongResource, a.options, fault.EntraResource, []string{"AADSTS500011", "no resource https://storage.nowhere.test", "e406a681-f3d4-42a8-90b6-c2b029497af1"}},
		"secret":      {wrongSecret, a.options, fault.EntraSecret, []string{"AADSTS7000215: Invalid client secret", "az ad app credential reset --id " + guid + " --append --query password -o tsv > '" + wrongSecret.SecretFile + "'"}},
		"certificate": {wrongCert, a.options, fault.EntraCertificate, []string{"AADSTS700027", `--cert "$(openssl x509 -in '` + other.pemFile + `')"`}},
		"foreign token": {foreign, a.options, fault.EntraFederation, []string{
			"AADSTS70021: No matching federated identity record", "az identity federated-credential create",
			"--issuer https://oidc.azurefake.test/ --subject system:serviceaccount:default:" + guid + " --audiences api://AzureADTokenExchange",
		}},
		"late token": {late, a.options, fault.EntraAssertion, []string{"AADSTS700024", late.TokenFile}},
		"no JWT":     {noJWT, a.options, fault.EntraAssertion, []string{"AADSTS50027", noJWT.TokenFile}},
	}
}

func TestEntraRefusesInEarnest(t *testing.T) {
	for name, c := range spoilt(t) {
		t.Run(name, func(t *testing.T) {
			f := refuses(t, c.id, c.o, c.want, c.parts...)
			if f.Retryable() != (c.want == fault.Named(fault.EntraAssertion)) {
				t.Errorf("retryable: %v", f.Retryable())
			}
		})
	}
}

func TestEntraCodes(t *testing.T) {
	const (
		work, pass, cert = "workload", "secret", "certificate"
	)
	for name, c := range map[string]struct {
		id       string
		order    azurefake.Order
		want     fault.Named
		requests int
		parts    []string
	}{
		"expired secret":       {pass, azurefake.Order{Code: "AADSTS7000222", Message: "The provided client secret keys are expired."}, fault.EntraSecret, 2, []string{"AADSTS7000222: The provided client secret keys are expired."}},
		"no service principal": {work, azurefake.Order{Code: "AADSTS7000229"}, fault.EntraApp, 2, []string{"AADSTS7000229"}},
		"bad tenant name":      {work, azurefake.Order{Code: "AADSTS900023"}, fault.EntraTenant, 2, nil},
		"disabled resource":    {cert, azurefake.Order{Code: "AADSTS50001"}, fault.EntraResource, 2, nil},
		"bad scope":            {cert, azurefake.Order{Code: "AADSTS1002012"}, fault.EntraResource, 2, nil},
		"bad scope, older":     {cert, azurefake.Order{Code: "AADSTS70011"}, fault.EntraResource, 2, nil},
		"bad certificate":      {cert, azurefake.Order{Code: "AADSTS700030"}, fault.EntraCertificate, 2, nil},
		"no federation":        {work, azurefake.Order{Code: "AADSTS70025"}, fault.EntraFederation, 2, nil},
		"issuer":               {work, azurefake.Order{Code: "AADSTS700211"}, fault.EntraFederation, 2, nil},
		"audience":             {work, azurefake.Order{Code: "AADSTS700212"}, fault.EntraFederation, 2, nil},
		"subject":              {work, azurefake.Order{Code: "AADSTS700213"}, fault.EntraFederation, 2, nil},
		"other app":            {work, azurefake.Order{Code: "AADSTS700021"}, fault.EntraAssertion, 2, nil},
		"other authority":      {work, azurefake.Order{Code: "AADSTS700023"}, fault.EntraAssertion, 2, nil},
		"our own signature":    {cert, azurefake.Order{Code: "AADSTS700023"}, fault.EntraCertificate, 2, nil},
		"time, clocks agree":   {cert, azurefake.Order{Code: "AADSTS700024"}, fault.EntraCertificate, 2, nil},
		"blocked tenant":       {pass, azurefake.Order{Code: "AADSTS5000225", Message: "This tenant has been blocked due to inactivity."}, fault.EntraBlocked, 2, []string{"20 days", tenant}},
		"subject's case":       {work, azurefake.Order{Code: "AADSTS7002138"}, fault.EntraFederation, 2, []string{"lower case"}},
		"foreign Entra token":  {work, azurefake.Order{Code: "AADSTS700236"}, fault.EntraFederation, 2, []string{"another tenant"}},
		"issuer's keys":        {work, azurefake.Order{Code: "AADSTS7000272", Message: "The certificate with identifier 'x' used to sign the federated credential could not be found in the metadata of identity provider."}, fault.EntraAssertion, 2, []string{"https://oidc.azurefake.test/.well-known/openid-configuration answers", "jwks_uri"}},
		"issuer, formerly":     {work, azurefake.Order{Code: "AADSTS90061", Message: "Request to External OIDC endpoint failed."}, fault.EntraAssertion, 2, []string{"cannot read the keys of the assertion's issuer"}},
		"token of the pod":     {work, azurefake.Order{Code: "AADSTS70023", Message: "External OIDC Provider token must have a lifetime of less than or equal to 1.01:00:00"}, fault.EntraAssertion, 2, []string{"more than a day"}},
		"issuer is private":    {work, azurefake.Order{Code: "AADSTS501661", Message: "Request to External OIDC endpoint failed."}, fault.EntraAssertion, 2, []string{"cannot read the keys of the assertion's issuer", "/.well-known/openid-configuration"}},
		"federation forbidden": {work, azurefake.Order{Code: "AADSTS700223"}, fault.EntraPolicy, 2, []string{"does not allow federated credentials"}},
		"chained federation":   {work, azurefake.Order{Code: "AADSTS700231"}, fault.EntraFederation, 2, []string{"cannot be used as another one"}},
		"government tenant":    {pass, azurefake.Order{Code: "AADSTS900439"}, fault.EntraCloud, 2, []string{"authority_host="}},
		"revoked":              {cert, azurefake.Order{Code: "AADSTS7000214"}, fault.EntraCertificate, 2, []string{"revoked"}},
		"on behalf of":         {pass, azurefake.Order{Code: "AADSTS7000113"}, fault.EntraRefused, 2, []string{"error?code=7000113"}},
		"not in the table":     {pass, azurefake.Order{Code: "AADSTS4711", Message: "Nobody knows."}, fault.EntraRefused, 2, []string{"AADSTS4711: Nobody knows.", "https://login.microsoftonline.com/error?code=4711", "secret_file="}},
		"no number":            {pass, azurefake.Order{Status: 400, Code: "invalid_grant", Message: "No."}, fault.EntraRefused, 2, []string{"invalid_grant: No."}},
		"odd number":           {pass, azurefake.Order{Status: 400, Code: "invalid_grant", Message: "AADSTS99999999999999999999x"}, fault.EntraRefused, 2, []string{"AADSTS9999"}},
		"not JSON":             {pass, azurefake.Order{Status: 403, Body: new("<h1>Blocked\nby a\x1b[1m proxy")}, fault.NotAzure, 2, []string{"403 Forbidden, it says: Blocked by a [1m proxy"}},
		"redirect":             {pass, azurefake.Order{Redirect: "https://evil.test/"}, fault.NotAzure, 2, []string{"it points to evil.test", public}},
		"seen: certificate":    {cert, azurefake.Order{Answer: "entra-1000502"}, fault.EntraCertificate, 2, []string{"the certificate has expired or is not yet valid: invalid_client: AADSTS1000502"}},
		"seen: policy":         {pass, azurefake.Order{Answer: "entra-53003"}, fault.EntraPolicy, 2, []string{"a Conditional Access policy blocks it", "AADSTS53003", guid}},
		"seen: disabled":       {pass, azurefake.Order{Answer: "entra-7000112"}, fault.EntraDisabled, 2, []string{"AADSTS7000112", "az ad sp update --id " + guid + " --set accountEnabled=true"}},
		"seen: other cloud":    {work, azurefake.Order{Answer: "entra-90038"}, fault.EntraCloud, 2, []string{"AADSTS90038", "authority_host=", "https://login.microsoftonline.us"}},
		"seen: unavailable":    {work, azurefake.Order{Answer: "entra-unavailable"}, fault.EntraBusy, 8, []string{"AADSTS90033"}},
		"only a name":          {pass, azurefake.Order{Status: 400, Code: "temporarily_unavailable", Message: "Later."}, fault.EntraBusy, 8, []string{"temporarily_unavailable: Later."}},
		"seen: block page":     {pass, azurefake.Order{Answer: "proxy-blockpage"}, fault.NotAzure, 2, []string{"403 Forbidden, Server: BlueCoat-Security-Appliance", public}},
		"seen: portal":         {pass, azurefake.Order{Answer: "captive-portal"}, fault.NotAzure, 2, []string{"200 OK, Server: nginx"}},
		"throttled":            {pass, azurefake.Order{Status: 429, Code: "AADSTS90055", Message: "Too many."}, fault.EntraBusy, 8, []string{"429", "AADSTS90055: Too many.", public}},
		"failing":              {work, azurefake.Order{Status: 500}, fault.EntraBusy, 8, []string{"500"}},
		"unavailable":          {cert, azurefake.Order{Code: "AADSTS90033"}, fault.EntraBusy, 8, []string{"503", "AADSTS90033"}},
		"timeout":              {pass, azurefake.Order{Status: 408}, fault.EntraBusy, 8, nil},
		"never answers":        {pass, azurefake.Order{Drop: true}, fault.EntraUnreachable, 4, []string{"EOF"}},
		"HTML":                 {pass, azurefake.Order{Garbage: azurefake.GarbageJSON}, fault.AnswerInvalid, 2, []string{"with a token"}},
		"empty":                {work, azurefake.Order{Garbage: azurefake.GarbageEmpty}, fault.AnswerInvalid, 2, nil},
		"truncated":            {cert, azurefake.Order{Garbage: azurefake.GarbageTruncatedJSON}, fault.AnswerInvalid, 2, nil},
		"huge":                 {cert, azurefake.Order{Garbage: azurefake.GarbageHuge}, fault.AnswerInvalid, 2, nil},
		"no token":             {pass, azurefake.Order{Body: new(`{"token_type":"Bearer","expires_in":3600}`)}, fault.AnswerInvalid, 2, nil},
		"empty token":          {pass, azurefake.Order{Body: new(`{"token_type":"Bearer","expires_in":3600,"access_token":""}`)}, fault.AnswerInvalid, 2, nil},
		"evil token":           {pass, azurefake.Order{Body: new(`{"token_type":"Bearer","expires_in":3600,"access_token":"a\r\nb"}`)}, fault.TokenInvalid, 2, []string{public}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApps(t, azurefake.Options{}, "")
			c.order.Target = azurefake.TargetEntra
			a.fake.Order(c.order)
			f := refuses(t, a.all()[c.id], a.options, c.want, c.parts...)
			if n := len(a.fake.Requests()); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			noSecret(t, f, secretText, a.federated, "PRIVATE KEY")
		})
	}
}

// TestEveryCodeHasAFix: what is in the table is explained, and its fix is a thing to do.
func TestEveryCodeHasAFix(t *testing.T) {
	seen := map[int]bool{}
	for _, c := range entraCodes {
		if len(c.sentence) < 10 || len(c.numbers) == 0 {
			t.Errorf("%v: without a sentence or a number", c)
		}
		for _, number := range c.numbers {
			if seen[number] || number < 28000 {
				t.Errorf("%d: twice, or no code of Entra", number)
			}
			seen[number] = true
			hasFix(t, c, number)
		}
	}
}

func hasFix(t *testing.T, c entraCode, number int) {
	t.Helper()
	a := Identity{Kind: Workload, TenantID: tenant, ClientID: guid, TokenFile: "/t"}
	e := entra{wire: &wire{ctx: t.Context(), identity: a, own: true, last: answerOf(400)}, authority: "https://" + public}
	e.said = said{"invalid_request", fmt.Sprintf("invalid_request: AADSTS%d: Words of Entra.", number)}
	f := fault.From(e.fault(e))
	if fault.Is(f, fault.EntraRefused, fault.Internal) || strings.Contains(f.Fix(), "look the code up") || f.Fix() == "" {
		t.Errorf("%d: %v", number, f)
	}
	if !strings.Contains(f.Error(), c.sentence) || !strings.Contains(f.Error(), fmt.Sprintf("AADSTS%d: Words", number)) {
		t.Errorf("%d: %v says too little", number, f)
	}
	if c.passes() != f.Retryable() && !fault.Is(f, fault.EntraAssertion) {
		t.Errorf("%d: tried again: %v, told so: %v", number, c.passes(), f.Retryable())
	}
}

func answerOf(status int) *reply.Answer { return &reply.Answer{Status: status, Header: http.Header{}} }

func TestClockOfTheCertificate(t *testing.T) {
	for skew, part := range map[time.Duration]string{time.Hour: "behind", -2 * time.Hour: "ahead of"} {
		a := newApps(t, azurefake.Options{}, "")
		a.fake.Order(azurefake.Order{Target: azurefake.TargetEntra, Skew: skew})
		f := refuses(t, a.certificate, a.options, fault.ClockSkew, part+" "+public, "AADSTS700024", "timedatectl")
		shown := false
		for off := -2 * time.Second; off <= 2*time.Second; off += time.Second { // the time that passes, and whole seconds
			shown = shown || strings.Contains(f.What(), " "+(skew.Abs()+off).String()+" ")
		}
		if !shown {
			t.Errorf("%v: %s", skew, f.What())
		}
		// The token of another issuer has nothing to do with this machine's clock.
		a.fake.ClearOrders()
		a.fake.Order(azurefake.Order{Target: azurefake.TargetEntra, Code: "AADSTS700024", Skew: skew})
		refuses(t, a.workload, a.options, fault.EntraAssertion)
	}
}

func TestEntraRecovers(t *testing.T) {
	for _, order := range []azurefake.Order{{Status: 429}, {Status: 500}, {Status: 502}, {Status: 503}, {Status: 408}, {Drop: true}} {
		a := newApps(t, azurefake.Options{}, "")
		order.Target, order.Times = azurefake.TargetEntra, 2
		a.fake.Order(order)
		for name, id := range a.all() {
			if _, err := id.Token(t.Context(), a.options); err != nil {
				t.Errorf("%+v: %s: %v", order, name, err)
			}
		}
		if n := len(a.fake.Requests()); n != 8 {
			t.Errorf("%+v: %d requests", order, n)
		}
	}
}

func TestEntraRetryAfter(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	a.fake.Order(azurefake.Order{Target: azurefake.TargetEntra, Status: 429, RetryAfter: "40"})
	token, err := a.secret.Token(withTimeout(t, 30*time.Second), a.options)
	f := failed(t, token, err, fault.EntraBusy)
	if !f.Retryable() || f.RetryAfter != 40*time.Second || len(a.fake.Requests()) != 2 {
		t.Errorf("%v after %d requests, retry after %v", f, len(a.fake.Requests()), f.RetryAfter)
	}
}

func TestNoWayToEntra(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	a.options.Transport = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	}}
	f := refuses(t, a.secret, a.options, fault.EntraUnreachable, syscall.ECONNREFUSED.Error(), "timeout 5 bash -c '</dev/tcp/"+public+"/443'")
	if !f.Retryable() {
		t.Error("not retryable")
	}

	tries := 0
	a.options.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
		tries++
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: public, IsNotFound: true}}
	})
	refuses(t, a.workload, a.options, fault.EntraUnreachable, "no such host")
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}

	a.options.Transport = a.fake.Transport()
	a.fake.Order(azurefake.Order{Target: azurefake.TargetEntra, Untrusted: true})
	if f := refuses(t, a.certificate, a.options, fault.TLSUntrusted, public, "unknown authority"); f.Retryable() {
		t.Error("retryable")
	}

	a.options.Transport = nil
	refuses(t, a.secret, a.options, fault.Internal)
}

func TestNumbersInTexts(t *testing.T) {
	for text, want := range map[string]int{
		"":                               0,
		"AADSTS":                         0,
		"invalid_client: AADSTS7000215:": 7000215,
		"AADSTS70021":                    70021,
		"AADSTS-1":                       0,
		"AADSTSx AADSTS70021":            0,
		"a AADSTS90002. AADSTS700016":    90002,
	} {
		if got := errorNumber(text); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// TestFixOfFederation: a token's claims stand in a command that people copy.
func TestFixOfFederation(t *testing.T) {
	for claims, want := range map[string]string{
		`{"iss":"https://a.b/c/","sub":"system:serviceaccount:ns:sa","aud":["api://X","y"]}`: "--issuer https://a.b/c/ --subject system:serviceaccount:ns:sa --audiences api://X",
		`{"iss":"a; rm -rf /","sub":"$(x)","aud":"'x'"}`:                                     "--issuer <issuer> --subject <subject> --audiences <audience>",
		`{"iss":"a\nb","sub":"` + strings.Repeat("x", 161) + `","aud":[]}`:                   "--issuer <issuer> --subject <subject> --audiences <audience>",
		`{"iss":5}`: "--issuer <issuer> --subject <subject> --audiences <audience>",
		``:          "--issuer <issuer> --subject <subject> --audiences <audience>",
	} {
		e := entra{wire: &wire{ctx: t.Context()}, authority: "https://" + public}
		e.assertion, _ = payloadOf(secret.FromString(jwt(claims)))
		if fix := e.notTrusted().Fix(); !strings.HasSuffix(fix, want) {
			t.Errorf("%s: %s", claims, fix)
		}
	}
}

func TestLongestFaultHasItsFix(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	claims := `{"iss":"https://eastus.oic.prod-aks.azure.com/` + guid + "/" + guid + `/","sub":"system:serviceaccount:some-namespace:some-service-account","aud":["api://AzureADTokenExchange"]}`
	write(t, a.tokenFile, jwt(claims), 0o600)
	a.fake.Order(azurefake.Order{Target: azurefake.TargetEntra, Code: "AADSTS700211", Message: strings.Repeat("long ", 200)})
	_, err := a.workload.Token(t.Context(), a.options)
	if !strings.HasSuffix(err.Error(), "--audiences api://AzureADTokenExchange") {
		t.Error(err)
	}
}
