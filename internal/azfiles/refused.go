package azfiles

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// Bounds on what an error repeats of a refusal, in bytes.
const (
	maxMessage = 400
	maxWord    = 64
)

// refusal is an answer other than 200.
type refusal struct {
	status                   int
	code, message, requestID string
	note                     string // what else can be the reason
}

// Error has the request id before the message, because what is long is cut at its end.
func (r *refusal) Error() string {
	text := fmt.Sprintf("%d %s", r.status, r.code)
	if r.code == "" {
		text = fmt.Sprintf("%d %s", r.status, http.StatusText(r.status))
	}
	if r.requestID != "" {
		text += ", request id " + r.requestID
	}
	if r.message != "" {
		text += ": " + r.message
	}
	if r.note != "" {
		text += " (" + r.note + ")"
	}
	return text
}

// meaning is one row of the table of refusals. An empty condition holds always.
type meaning struct {
	statuses []int    // one of these; 5 stands for 500 to 599
	codes    []string // one of these is the code
	parts    []string // one of these, in lower case, stands in the code or the message
	fault    func(*exchange, *answer) *fault.Fault
	note     string
}

// meanings is the table of refusals; the first row that fits decides, and none is AzureRefused. What
// Azure publishes of this operation is little, so the code and the message are always shown as well.
var meanings = []meaning{
	{[]int{403}, []string{"AuthorizationPermissionMismatch"}, nil, roleMissing, ""},
	{[]int{403}, []string{"IpAuthorizationError", "AuthorizationSourceIPMismatch"}, nil, networkRules, ""},
	{[]int{403}, []string{"AuthorizationFailure"}, []string{"network", "firewall", "ip address", "private endpoint"}, networkRules, ""},
	{[]int{400, 403, 409}, nil, []string{"oauth", "smb"}, smbOAuthOff, ""},
	{[]int{403}, []string{"AuthorizationFailure"}, nil, roleMissing, "the network rules of the account can be the reason too"},
	{[]int{403}, []string{"InvalidAuthenticationInfo", "AuthenticationFailed"}, nil, tokenRefused, ""},
	{[]int{401}, nil, nil, tokenRefused, ""},
	{[]int{404}, nil, nil, accountNotFound, ""},
	{[]int{429, 5}, nil, nil, azureBusy, ""},
	{[]int{3}, nil, nil, redirected, ""},
}

func roleMissing(x *exchange, _ *answer) *fault.Fault {
	return fault.RoleMissing.New(x.who.Identity, x.endpoint.Account(), x.who.Principal)
}

func networkRules(x *exchange, _ *answer) *fault.Fault {
	return fault.NetworkRules.New(x.endpoint.Account())
}

func smbOAuthOff(x *exchange, _ *answer) *fault.Fault {
	return fault.SMBOAuthOff.New(x.endpoint.Account())
}

// tokenRefused blames the clock for a refused token where it can be the reason.
func tokenRefused(x *exchange, a *answer) *fault.Fault {
	if f := x.skewed(a); f != nil {
		return f
	}
	return fault.TokenRefused.New(x.host())
}

func accountNotFound(x *exchange, _ *answer) *fault.Fault {
	return fault.AccountNotFound.New(x.endpoint.Account(), x.host())
}

func azureBusy(x *exchange, _ *answer) *fault.Fault { return fault.AzureBusy.New(x.host()) }

func redirected(x *exchange, a *answer) *fault.Fault {
	return fault.AnswerInvalid.New(x.host(), "it points to another place"+x.elsewhere(a.header))
}

func azureRefused(x *exchange, _ *answer) *fault.Fault { return fault.AzureRefused.New(x.host()) }

func (m meaning) fits(r *refusal) bool {
	text := strings.ToLower(r.code + " " + r.message)
	return (slices.Contains(m.statuses, r.status) || slices.Contains(m.statuses, r.status/100)) &&
		(m.codes == nil || slices.ContainsFunc(m.codes, func(c string) bool { return strings.EqualFold(c, r.code) })) &&
		(m.parts == nil || slices.ContainsFunc(m.parts, func(p string) bool { return strings.Contains(text, p) }))
}

// refused makes the fault of an answer other than 200.
func (x *exchange) refused(a *answer) *fault.Fault {
	r := x.read(a)
	means := azureRefused
	if n := slices.IndexFunc(meanings, func(m meaning) bool { return m.fits(r) }); n >= 0 {
		means, r.note = meanings[n].fault, meanings[n].note
	}
	f := means(x, a)
	if fault.Is(f, fault.ClockSkew) {
		return f
	}
	f.RetryAfter = transport.RetryAfter(a.header, a.at)
	return x.clean(f.Because(r))
}

// elsewhere names the host of a redirect and nothing else of it.
func (x *exchange) elsewhere(h http.Header) string {
	if u, err := url.Parse(h.Get("Location")); err == nil && u.Host != "" {
		return ", " + x.word(u.Host)
	}
	return ""
}

// read takes the code, the message and the request id out of a refusal: an XML document, often
// behind a byte order mark, with the code in a header as well. What is no such document, as from
// something between us and Azure, is its own message.
func (x *exchange) read(a *answer) *refusal {
	r := &refusal{status: a.status, code: a.header.Get("x-ms-error-code"), requestID: a.header.Get("x-ms-request-id")}
	body := bytes.TrimPrefix(a.body, []byte("\ufeff"))
	var doc struct {
		XMLName xml.Name `xml:"Error"`
		Code    string   `xml:"Code"`
		Message string   `xml:"Message"`
	}
	if xml.Unmarshal(body, &doc) == nil {
		if doc.Code != "" {
			r.code = doc.Code
		}
		r.message, _, _ = strings.Cut(strings.TrimSpace(doc.Message), "\n") // below stand the request id and the time
	} else {
		r.message = strings.ToValidUTF8(string(body), "")
	}
	r.code, r.requestID = x.word(r.code), x.word(r.requestID)
	r.message = cut(strings.Join(strings.Fields(x.redact(r.message)), " "), maxMessage)
	return r
}

// word is a word of the other side, without the token and short. What is cut first would hold a half
// of the token that is no longer found.
func (x *exchange) word(s string) string { return cut(x.redact(s), maxWord) }

// cut shortens s to n bytes at the start of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
