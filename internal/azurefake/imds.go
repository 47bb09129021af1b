package azurefake

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	instancePath = "/metadata/instance/compute"
	imdsPath     = "/metadata/identity/oauth2/token"
	imdsVersion  = "2018-02-01"
	imdsServer   = "IMDS/150.870.65.1854" // what the service calls itself, by which clients know it
)

func (f *Fake) serveIMDS(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == instancePath && f.opt.Instance != "" {
		send(w, http.StatusOK, "application/json; charset=utf-8", f.opt.Instance)
		return
	}
	if r.URL.Path == instancePath {
		imdsFailure(w, http.StatusNotFound, "", "Not found")
		return
	}
	who, found := f.asked(r.URL.Query())
	answer := f.log.enter(w, r, Request{Time: f.now(), Target: TargetIMDS, Identity: who.name()})
	o := f.orders.forRequest(TargetIMDS, "", who.name())
	if f.obey(answer, r, o, imdsFailure) {
		return
	}
	if status, message := imdsProblem(r, imdsVersion); status != 0 {
		imdsFailure(answer, status, "invalid_request", message)
		return
	}
	if !found {
		imdsFailure(answer, http.StatusBadRequest, "invalid_request", "Identity not found")
		return
	}
	f.sendToken(answer, r.URL.Query().Get("resource"), who, o)
}

// asked finds the identity that a request is about. One that is not assigned to this machine has
// just the id that the request gives it.
func (f *Fake) asked(q url.Values) (who ManagedIdentity, found bool) {
	client, object, resource := q.Get("client_id"), q.Get("object_id"), q.Get("msi_res_id")
	system := ManagedIdentity{SystemClientID, SystemObjectID, ""}
	if client+object+resource == "" {
		return system, !f.opt.NoSystem
	}
	assigned := f.opt.Identities
	if !f.opt.NoSystem {
		assigned = append([]ManagedIdentity{system}, assigned...)
	}
	for _, id := range assigned {
		if matches(client, id.ClientID) && matches(object, id.ObjectID) && matches(resource, id.ResourceID) {
			return id, true
		}
	}
	return ManagedIdentity{client, object, resource}, false
}

// name is what orders and the log call the identity.
func (id ManagedIdentity) name() string {
	if id.ClientID == SystemClientID {
		return systemName
	}
	return cmp.Or(id.ClientID, id.ObjectID, id.ResourceID)
}

// imdsProblem says what is wrong with a request apart from its identity; status 0 is nothing. The
// versions are those of the interface that may be asked for.
func imdsProblem(r *http.Request, versions ...string) (status int, message string) {
	q := r.URL.Query()
	switch {
	case r.URL.Path != imdsPath:
		return http.StatusNotFound, "Not found"
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "Method not allowed"
	case !strings.EqualFold(r.Header.Get("Metadata"), "true"):
		return http.StatusBadRequest, "Required metadata header not specified"
	case r.Header.Get("X-Forwarded-For") != "": // the service's guard against being reached through a proxy
		return http.StatusBadRequest, "X-Forwarded-For header is not allowed"
	case !slices.Contains(versions, q.Get("api-version")):
		return http.StatusBadRequest, "Invalid or missing api-version"
	case q.Get("resource") == "":
		return http.StatusBadRequest, "Required audience parameter not specified"
	}
	return 0, ""
}

func imdsFailure(w http.ResponseWriter, status int, code, message string) {
	setDefault(&code, "invalid_request")
	w.Header().Set("Server", imdsServer)
	body, _ := json.Marshal(struct { // texts only
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, message})
	send(w, status, "application/json; charset=utf-8", string(body))
}

// sendToken sends an access token with all numbers as text, as the real service does.
func (f *Fake) sendToken(w *answerWriter, resource string, who ManagedIdentity, o Order) {
	setDefault(&o.Lifetime, defaultTokenLifetime)
	now := f.now().Add(o.Skew)
	token, c := f.tokens.issue(claims{
		Audience: resource, ObjectID: who.ObjectID, AppID: who.ClientID, TenantID: TenantID,
	}, now, o.Lifetime)
	w.issued(c.TokenID)
	w.Header().Set("Server", imdsServer)
	left := strconv.FormatInt(max(c.Expiry-now.Unix(), 0), 10)
	quoted, _ := json.Marshal(resource) // a text
	succeed(w, o, objectJSON(o, []pair{
		{"access_token", token},
		{"client_id", who.ClientID},
		{"expires_in", left},
		{"expires_on", strconv.FormatInt(c.Expiry, 10)},
		{"ext_expires_in", left},
		{"not_before", strconv.FormatInt(c.NotBefore, 10)},
		{"resource", strings.Trim(string(quoted), `"`)},
		{"token_type", "Bearer"},
	}))
}
