package azurefake

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxForm bounds the body of a token request, in bytes.
const maxForm = 1 << 20

// assertionType is that of assertions that are JSON Web Tokens (RFC 7523 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// appTokenLifetime is what Entra gives a service principal.
const appTokenLifetime = time.Hour

// serveToken is the token endpoint (RFC 6749 3.2).
func (f *Fake) serveToken(w http.ResponseWriter, r *http.Request, tenant string) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	formError := r.ParseForm()
	client := r.PostForm.Get("client_id")
	answer := f.log.enter(w, r, Request{Time: f.now(), Target: TargetEntra, Identity: client})
	o := f.orders.forRequest(TargetEntra, hostOf(r), client)
	if kind, ok := refusalKinds[numberOf(o.Code)]; ok {
		setDefault(&o.Status, kind.status)
	}
	fail := f.entraFailure(r)
	if f.obey(answer, r, o, fail) {
		return
	}
	if formError != nil {
		fail(answer, http.StatusBadRequest, "invalid_request", "The request body is malformed.")
		return
	}
	app, why := f.authenticate(r, tenant, f.now().Add(o.Skew))
	if why == nil {
		why = scopeProblem(r.PostForm, tenant)
	}
	if why != nil {
		f.refuse(answer, r, *why)
		return
	}
	f.sendAppToken(answer, app, o)
}

// authenticate finds the app that makes a request and checks its credential.
func (f *Fake) authenticate(r *http.Request, tenant string, now time.Time) (registration, *refusal) {
	if r.Method != http.MethodPost {
		return registration{}, &refusal{900561, "The endpoint only accepts POST requests. Received a " + r.Method + " request."}
	}
	cloud, form := f.clouds[hostOf(r)], r.PostForm
	for _, parameter := range []string{"grant_type", "client_id", "scope"} {
		if form.Get(parameter) == "" {
			return registration{}, new(missing(parameter))
		}
	}
	if grant := form.Get("grant_type"); grant != "client_credentials" {
		return registration{}, &refusal{70003, "The app requested an unsupported grant type '" + grant + "'."}
	}
	if !f.apps.hasTenant(cloud, tenant) {
		return registration{}, new(unknownTenant(tenant))
	}
	app, ok := f.apps.find(cloud, tenant, form.Get("client_id"))
	if !ok {
		return registration{}, new(unknownClient(form.Get("client_id"), tenant))
	}
	return app, f.credentialProblem(app, form, []string{requestURL(r), issuerOf(cloud, tenant)}, now)
}

func requestURL(r *http.Request) string { return "https://" + hostOf(r) + r.URL.Path }

// credentialProblem says what is wrong with the credential in a request; nil is nothing. An assertion
// by a certificate must be for one of the audiences.
func (f *Fake) credentialProblem(app registration, form url.Values, audiences []string, now time.Time) *refusal {
	assertion := form.Get("client_assertion")
	switch {
	case form.Get("client_secret") != "":
		if app.Secret != form.Get("client_secret") {
			return &refusal{7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '" + app.ClientID + "'."}
		}
		return nil
	case assertion == "":
		return &refusal{7000216, "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."}
	case form.Get("client_assertion_type") != assertionType:
		return new(missing("client_assertion_type"))
	}
	jwt, ok := parseAssertion(assertion)
	switch {
	case !ok:
		return &refusal{50027, "JWT token is invalid or malformed."}
	case jwt.byCertificate():
		return jwt.certificateProblem(app, audiences, now)
	}
	return f.federatedProblem(app, jwt, now)
}

// scopeProblem says what is wrong with the scope of a request; nil is nothing. The scopes of OpenID
// Connect, which some clients add to every request, count for nothing here.
func scopeProblem(form url.Values, tenant string) *refusal {
	for scope := range strings.FieldsSeq(form.Get("scope")) {
		if scope == "openid" || scope == "profile" || scope == "offline_access" {
			continue
		}
		resource, ok := strings.CutSuffix(scope, "/.default")
		if !ok {
			return &refusal{1002012, "The provided value for scope " + scope + " is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."}
		}
		if resource != StorageAudience {
			return new(unknownResource(resource, tenant))
		}
		return nil
	}
	return new(missing("scope"))
}

func unknownResource(resource, tenant string) refusal {
	return refusal{500011, "The resource principal named " + resource + " was not found in the tenant named " + tenant + ". This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."}
}

func (f *Fake) sendAppToken(w *answerWriter, app registration, o Order) {
	setDefault(&o.Lifetime, appTokenLifetime)
	now := f.now().Add(o.Skew)
	token, c := f.tokens.issue(claims{
		Audience: StorageAudience, ObjectID: app.ObjectID, AppID: app.ClientID, TenantID: app.TenantID,
	}, now, o.Lifetime)
	w.issued(c.TokenID)
	left := max(c.Expiry-now.Unix(), 0)
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.Header().Set("x-ms-request-id", newGUID())
	succeed(w, o, objectJSON(o, []pair{
		{"token_type", "Bearer"},
		{"expires_in", left},
		{"ext_expires_in", left},
		{"access_token", token},
	}))
}
