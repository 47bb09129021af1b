package azurefake

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// apiVersion is the x-ms-version that has the ticket operation.
const apiVersion = "2024-05-04"

const byteOrderMark = "\ufeff"

func (f *Fake) storageServer() *http.Server {
	s := f.plainServer(f.serveTLS)
	s.TLSConfig = f.tlsConfig()
	return s
}

func (f *Fake) serveStorage(w http.ResponseWriter, r *http.Request) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	owner, ours := f.tokens.verify(token)
	answer := f.log.enter(w, r, Request{
		Time: f.now(), Target: TargetStorage, Identity: owner.identity(), TokenID: owner.TokenID,
	})
	host, known := f.canonical[hostOf(r)]
	if !known {
		host = hostOf(r)
	}
	o := f.orders.forRequest(TargetStorage, host, owner.identity())
	fail := f.storageFailure(o)
	if f.obey(answer, r, o, fail) {
		return
	}
	if !known {
		fail(answer, http.StatusNotFound, "ResourceNotFound", "The specified resource does not exist.")
		return
	}
	if status, code, message := requestProblem(r); status != 0 {
		fail(answer, status, code, message)
		return
	}
	if reason := f.tokenProblem(owner, bearer && ours, f.now().Add(o.Skew)); reason != "" {
		f.storageRefusal(answer, o, http.StatusUnauthorized, "InvalidAuthenticationInfo",
			"Server failed to authenticate the request. Please refer to the information in the www-authenticate header.", reason)
		return
	}
	f.sendTicket(answer, host, o)
}

// requestProblem says what is wrong with a request apart from its token; status 0 is nothing.
func requestProblem(r *http.Request) (status int, code, message string) {
	_, dateError := http.ParseTime(r.Header.Get("x-ms-date"))
	q := r.URL.Query()
	switch {
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb."
	case r.URL.Path != "/" || q.Get("restype") != "service" || q.Get("comp") != "kerbticket":
		return http.StatusBadRequest, "InvalidQueryParameterValue", "Value for one of the query parameters specified in the request URI is invalid."
	case r.Header.Get("Content-Length") == "":
		return http.StatusLengthRequired, "MissingContentLengthHeader", "The Content-Length header was not specified."
	case r.Header.Get("x-ms-version") != apiVersion:
		return http.StatusBadRequest, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format: x-ms-version."
	case dateError != nil:
		return http.StatusUnauthorized, "InvalidAuthenticationInfo", "The Date header in the request is missing or incorrect."
	}
	return 0, "", ""
}

// tokenProblem says why the service refuses a token, "" when it does not.
func (f *Fake) tokenProblem(c claims, ours bool, now time.Time) string {
	switch {
	case !ours:
		return "Signature validation failed. The token is missing or was not issued by a trusted authority."
	case c.Audience != StorageAudience:
		return "Audience validation failed. Audience did not match."
	case !now.Before(time.Unix(c.Expiry, 0)):
		return "Lifetime validation failed. The token is expired."
	}
	return ""
}

// storageFailure answers in the service's way: XML behind a byte order mark, the code in a header
// as well. There is no code when the order asks for none, as from a proxy on the way.
func (f *Fake) storageFailure(o Order) failure {
	return func(w http.ResponseWriter, status int, code, message string) {
		f.storageRefusal(w, o, status, code, message, "")
	}
}

// storageRefusal is storageFailure with what the service tells of a token that it refuses.
func (f *Fake) storageRefusal(w http.ResponseWriter, o Order, status int, code, message, detail string) {
	id := rand.Text()
	h := w.Header()
	h.Set("Server", "Windows-Azure-File/1.0 Microsoft-HTTPAPI/2.0")
	h.Set("x-ms-request-id", id)
	h.Set("x-ms-version", apiVersion)
	if code != "" {
		h.Set("x-ms-error-code", code)
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer authorization_uri=https://login.microsoftonline.com/"+TenantID+
			"/oauth2/authorize resource_id="+StorageAudience)
	}
	if detail != "" {
		detail = "<AuthenticationErrorDetail>" + xmlText(detail) + "</AuthenticationErrorDetail>"
	}
	text := fmt.Sprintf("%s\nRequestId:%s\nTime:%s", message, id, timeText(f.now().Add(o.Skew)))
	send(w, status, "application/xml", byteOrderMark+`<?xml version="1.0" encoding="utf-8"?><Error><Code>`+
		xmlText(code)+"</Code><Message>"+xmlText(text)+"</Message>"+detail+"</Error>")
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}

// timeText is a time with the seven decimals that the service writes.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

func (f *Fake) sendTicket(w *answerWriter, host string, o Order) {
	answer, err := f.issue(host, o, f.now().Add(o.Skew))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.granted(answer.ticket)
	w.Header().Set("x-ms-request-id", rand.Text())
	w.Header().Set("x-ms-version", apiVersion)
	succeed(w, o, objectJSON(o, []pair{
		{"expirationTime", timeText(answer.expiry)},
		{"sessionKey", base64.StdEncoding.EncodeToString(answer.sessionKey)},
		{"kerberosServiceTicket", base64.StdEncoding.EncodeToString(spoil(answer.cred, o.Garbage))},
	}))
}

// spoil makes of a KRB-CRED what an order wants.
func spoil(cred []byte, garbage string) []byte {
	switch garbage {
	case GarbageTicket:
		return []byte("this is no KRB-CRED")
	case GarbageTruncatedTicket:
		return cred[:len(cred)-7]
	case GarbageEmptyTicket:
		return nil
	case GarbageTrailing:
		return append(cred, "trailing"...)
	}
	return cred
}
