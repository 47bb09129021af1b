package azurefake

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// aadsts is what the numbers of Entra's errors begin with.
const aadsts = "AADSTS"

// refusal is a reason for which Entra issues no token: the number behind AADSTS and its text.
type refusal struct {
	number int
	text   string
}

// refusalKinds are the status and the OAuth error (RFC 6749 5.2) that Entra sends with a number.
var refusalKinds = map[int]struct {
	status int
	name   string
}{
	50027:   {http.StatusBadRequest, "invalid_request"},
	50049:   {http.StatusBadRequest, "invalid_instance"},
	70003:   {http.StatusBadRequest, "unsupported_grant_type"},
	70021:   {http.StatusUnauthorized, "invalid_client"},
	90002:   {http.StatusBadRequest, "invalid_request"},
	90033:   {http.StatusServiceUnavailable, "temporarily_unavailable"},
	500011:  {http.StatusBadRequest, "invalid_resource"},
	700016:  {http.StatusBadRequest, "unauthorized_client"},
	700021:  {http.StatusUnauthorized, "invalid_client"},
	700023:  {http.StatusUnauthorized, "invalid_client"},
	700024:  {http.StatusUnauthorized, "invalid_client"},
	700027:  {http.StatusUnauthorized, "invalid_client"},
	900144:  {http.StatusBadRequest, "invalid_request"},
	900561:  {http.StatusBadRequest, "invalid_request"},
	1002012: {http.StatusBadRequest, "invalid_scope"},
	7000215: {http.StatusUnauthorized, "invalid_client"},
	7000216: {http.StatusUnauthorized, "invalid_client"},
	7000222: {http.StatusUnauthorized, "invalid_client"},
}

func unknownTenant(tenant string) refusal {
	return refusal{90002, fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", tenant)}
}

func unknownClient(client, tenant string) refusal {
	return refusal{700016, fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", client, tenant)}
}

func missing(parameter string) refusal {
	return refusal{900144, fmt.Sprintf("The request body must contain the following parameter: '%s'.", parameter)}
}

func (f *Fake) refuse(w http.ResponseWriter, r *http.Request, why refusal) {
	f.entraFailure(r)(w, refusalKinds[why.number].status, aadsts+strconv.Itoa(why.number), why.text)
}

// numberOf is the number of an AADSTS code, 0 for another code.
func numberOf(code string) int {
	digits, ok := strings.CutPrefix(code, aadsts)
	number, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return 0
	}
	return number
}

// entraError is an error answer of Entra. Error and Description are those of RFC 6749 5.2.
type entraError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes,omitempty"`
	Timestamp   string `json:"timestamp"`
	Trace       string `json:"trace_id"`
	Correlation string `json:"correlation_id"`
	URI         string `json:"error_uri,omitempty"`
}

// entraFailure answers in Entra's way. A code that does not begin with AADSTS is the OAuth error
// itself; without one the status decides.
func (f *Fake) entraFailure(r *http.Request) failure {
	return func(w http.ResponseWriter, status int, code, message string) {
		e := entraError{
			Timestamp:   f.now().UTC().Format("2006-01-02 15:04:05Z"),
			Trace:       newGUID(),
			Correlation: cmp.Or(r.Header.Get("client-request-id"), newGUID()),
		}
		if number := numberOf(code); number != 0 {
			e.Error = cmp.Or(refusalKinds[number].name, oauthError(status))
			e.Codes = []int{number}
			e.URI = fmt.Sprintf("https://%s/error?code=%d", hostOf(r), number)
			message = code + ": " + message
		} else {
			e.Error = cmp.Or(code, oauthError(status))
		}
		e.Description = fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s", message, e.Trace, e.Correlation, e.Timestamp)
		w.Header().Set("Cache-Control", "no-store, no-cache")
		w.Header().Set("x-ms-request-id", e.Trace)
		sendObject(w, status, e)
	}
}

// oauthError is the error of an answer about which only the status is known.
func oauthError(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "invalid_client"
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return "temporarily_unavailable"
	}
	return "invalid_request"
}
