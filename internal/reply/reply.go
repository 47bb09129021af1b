// Package reply tells who gave an HTTP answer, before anybody reads what it says.
//
// Between this machine and Azure there are proxies, firewalls, TLS inspection and captive portals, and other
// services answer at the address of the instance metadata service. Their pages must not be taken for Azure's
// words: a block page that quotes a host is no statement about the account. So every answer is sorted first.
// Only a document of the service that was asked is read for codes and words; anybody else's answer is
// quoted in one line and becomes a fault of its own.
//
// Invariants: what is read of an answer is bounded; every text that leaves the package is one printable line
// of bounded length without the secrets of the request, whatever the other side does to hide them in it.
package reply

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// Service is one of the services of Azure that are asked.
type Service int

// The services.
const (
	Storage    Service = iota
	Entra              // token endpoints
	IMDS               // the instance metadata service of a virtual machine
	Arc                // the agent of Azure Arc, which answers in the place of IMDS
	Configured         // a service in the place of IMDS that root's configuration names; whoever answers there is it
)

// Answer is what came back from one request, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte    // at most the bound that Read was given
	Cut    bool      // the body goes on
	At     time.Time // when it came, by our clock
	Hidden Hidden    // what the request held that no text may repeat
}

// Read reads at most limit bytes of the response and closes it. Its errors are those of the connection.
func Read(resp *http.Response, limit int64, at time.Time, hidden Hidden) (*Answer, error) {
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	a := &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, At: at, Hidden: hidden}
	if int64(len(body)) > limit {
		a.Body, a.Cut = body[:limit], true
	}
	return a, nil
}

// Document is what an error document of Azure says; what it does not say is "".
type Document struct {
	Code      string // the storage error code, or the member "error" (RFC 6749, 5.2)
	Message   string // in words; may hold several lines
	Detail    string // storage: AuthenticationErrorDetail, which tells what is wrong with a token
	RequestID string // by which Azure's support finds the request
}

// From gives what the service says in the answer, and reports false when somebody else gave it. An answer
// with status 200 has no error document; it is the service's when it looks like one with a ticket or a token.
//
// An answer that only says "later" and nothing of who says so, as load balancers give it, passes for the service's.
func (a *Answer) From(s Service) (Document, bool) {
	if a.Busy() && len(a.Body) == 0 && a.Header.Get("Server")+a.Header.Get("Via") == "" {
		return Document{RequestID: a.Header.Get("x-ms-request-id"), Code: a.Header.Get("x-ms-error-code")}, true
	}
	if s == Storage {
		return a.storage()
	}
	d := Document{RequestID: a.Header.Get("x-ms-request-id")}
	own := a.signed(s)
	if a.Status == http.StatusOK {
		return d, own || a.isJSON()
	}
	var e struct {
		Code    string `json:"error"`
		Message string `json:"error_description"`
		Numbers []int  `json:"error_codes"`
	}
	if json.Unmarshal(a.text(), &e) == nil {
		d.Code, d.Message = e.Code, e.Message
		own = own || e.Code != "" && (e.Message != "" || e.Numbers != nil)
	}
	if s == Configured && d.Code+d.Message == "" {
		d.Message = a.title()
	}
	return d, own
}

// Busy reports whether the status is one that passes, whoever gave it.
func (a *Answer) Busy() bool {
	return a.Status == http.StatusRequestTimeout || a.Status == http.StatusTooManyRequests || a.Status >= http.StatusInternalServerError
}

// signed reports whether the headers name the service. IMDS tells its version in Server, as in
// "IMDS/150.870.65.512"; Entra counts its requests.
func (a *Answer) signed(s Service) bool {
	switch s {
	case IMDS, Arc:
		return strings.HasPrefix(a.Header.Get("Server"), "IMDS/")
	case Configured:
		return true
	case Storage, Entra:
		return a.Header.Get("x-ms-request-id") != ""
	}
	return false
}

// storage reads an error document of Azure Storage: XML, often behind a byte order mark, with the code in a
// header as well ("Status and error codes" of the REST API). What stands below the first line of a message
// are the request's id and time.
func (a *Answer) storage() (Document, bool) {
	d := Document{Code: a.Header.Get("x-ms-error-code"), RequestID: a.Header.Get("x-ms-request-id")}
	own := a.signed(Storage) || d.Code != ""
	if a.Status == http.StatusOK {
		return d, own || a.isJSON()
	}
	var doc struct {
		XMLName xml.Name `xml:"Error"`
		Code    string   `xml:"Code"`
		Message string   `xml:"Message"`
		Detail  string   `xml:"AuthenticationErrorDetail"`
	}
	if xml.Unmarshal(a.text(), &doc) != nil || doc.Code == "" && !own {
		return d, own
	}
	if doc.Code != "" {
		d.Code = doc.Code
	}
	d.Message, _, _ = strings.Cut(strings.TrimSpace(doc.Message), "\n")
	d.Detail = strings.TrimSpace(doc.Detail)
	return d, true
}

// isJSON reports whether the body is JSON, or the beginning of an object.
func (a *Answer) isJSON() bool {
	return bytes.HasPrefix(bytes.TrimSpace(a.text()), []byte("{")) || json.Valid(a.text())
}

// text is the body without the byte order mark.
func (a *Answer) text() []byte { return bytes.TrimPrefix(a.Body, []byte("\ufeff")) }

// RetryAfter is what the answer asks to wait, zero when it does not say.
func (a *Answer) RetryAfter() time.Duration { return transport.RetryAfter(a.Header, a.At) }

// Foreign is the fault of an answer that somebody else gave in the place of the host.
func (a *Answer) Foreign(host string) *fault.Fault {
	f := fault.NotAzure.New(host, a.Line())
	f.RetryAfter = a.RetryAfter()
	return f
}
