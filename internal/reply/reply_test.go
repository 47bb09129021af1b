package reply

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// of makes an answer; headers are "Name: value".
func of(status int, body string, headers ...string) *Answer {
	h := http.Header{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
	return &Answer{Status: status, Header: h, Body: []byte(body)}
}

func TestWhoAnswers(t *testing.T) {
	const (
		xmlDoc  = "\ufeff<?xml version=\"1.0\"?><Error><Code>ServerBusy</Code><Message>Later.\nRequestId:x</Message></Error>"
		jsonDoc = `{"error":"invalid_request","error_description":"Identity not found"}`
		page    = "<html><title>AuthorizationFailure AADSTS700016 Identity not found</title></html>"
		id      = "x-ms-request-id: 1"
	)
	for name, c := range map[string]struct {
		answer  *Answer
		service Service
		own     bool
		want    Document
	}{
		"storage":                    {of(503, xmlDoc, id), Storage, true, Document{Code: "ServerBusy", Message: "Later.", RequestID: "1"}},
		"storage without headers":    {of(503, xmlDoc), Storage, true, Document{Code: "ServerBusy", Message: "Later."}},
		"storage without a document": {of(404, page, id, "x-ms-error-code: ResourceNotFound"), Storage, true, Document{Code: "ResourceNotFound", RequestID: "1"}},
		"storage's ticket":           {of(200, `{"kerberosServiceTicket":""}`), Storage, true, Document{}},
		"storage, cut":               {of(200, ``, id), Storage, true, Document{RequestID: "1"}},
		"bare":                       {of(503, ""), Storage, true, Document{}},
		"bare refusal":               {of(403, ""), Storage, false, Document{}},
		"gateway":                    {of(502, "", "Server: nginx"), Storage, false, Document{}},
		"page for storage":           {of(403, page), Storage, false, Document{}},
		"page of success":            {of(200, page), Storage, false, Document{}},
		"JSON for storage":           {of(403, `{"error":{"code":"AuthorizationFailure"}}`), Storage, false, Document{}},
		"other XML":                  {of(403, `<Failure><Code>X</Code></Failure>`), Storage, false, Document{}},
		"XML without a code":         {of(403, `<Error><Message>X</Message></Error>`), Storage, false, Document{}},
		"Entra":                      {of(400, `{"error":"invalid_client","error_description":"AADSTS1: x","error_codes":[1]}`), Entra, true, Document{Code: "invalid_client", Message: "AADSTS1: x"}},
		"Entra in few words":         {of(400, `{"error":"invalid_client","error_codes":[]}`), Entra, true, Document{Code: "invalid_client"}},
		"Entra, busy":                {of(503, page, id), Entra, true, Document{RequestID: "1"}},
		"Entra's token":              {of(200, `{"access_token":""}`), Entra, true, Document{}},
		"page for Entra":             {of(503, page), Entra, false, Document{}},
		"JSON for Entra":             {of(403, `{"error":"blocked"}`), Entra, false, Document{Code: "blocked"}},
		"IMDS":                       {of(400, jsonDoc), IMDS, true, Document{Code: "invalid_request", Message: "Identity not found"}},
		"IMDS, updating":             {of(404, "", "Server: IMDS/150.870.65.512"), IMDS, true, Document{}},
		"other metadata service":     {of(404, page, "Server: EC2ws"), IMDS, false, Document{}},
		"text for IMDS":              {of(404, "no azure identity found"), IMDS, false, Document{}},
		"Arc":                        {of(400, jsonDoc), Arc, true, Document{Code: "invalid_request", Message: "Identity not found"}},
		"page for Arc":               {of(404, page, "Server: nginx"), Arc, false, Document{}},
	} {
		got, own := c.answer.From(c.service)
		if own != c.own || own && got != c.want {
			t.Errorf("%s: %+v %v", name, got, own)
		}
	}
}

func TestLine(t *testing.T) {
	for want, a := range map[string]*Answer{
		"403 Forbidden, Server: squid/5.7, Via: 1.1 p, it says: Access & denied": of(403, "<html><TITLE>\n Access &amp;\tdenied</TITLE><h1>no</h1>", "Server: squid/5.7", "Via: 1.1 p"),
		"302 Found, it points to login.example":                                  of(302, "", "Location: https://login.example/?sig=x"),
		"404 Not Found, it says: No such thing.":                                 of(404, "<style>a</style><p>No <b>such</b>\nthing.</p>"),
		"499":                                                                    of(499, "\x1b[2J\x00\u202e", "Server: \x07"),
		"200 OK, it says: " + strings.Repeat("x", maxTitle):                      of(200, strings.Repeat("x", 500)),
	} {
		if want == "499" { // has no name, and nothing printable but the rest of a sequence
			want = "499, it says: [2J"
		}
		if got := a.Line(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestForeign(t *testing.T) {
	a := of(503, "<title>Try later</title>", "Retry-After: 7")
	if f := a.Foreign("h.example"); f.ID() != fault.NotAzure.ID || f.RetryAfter != 7*time.Second ||
		!strings.Contains(f.Error(), "and h.example answered in its place (503 Service Unavailable, it says: Try later)") {
		t.Error(f)
	}
}

// TestBodyThatGoesOn: what is cut off can be the beginning of a secret that the blanks before it bring to light.
func TestBodyThatGoesOn(t *testing.T) {
	const token = "eyJhbGciOiJIUzI1NiJ9.abcdefghijklmnop.signature"
	for n := range len(token) {
		resp := &http.Response{StatusCode: 403, Header: http.Header{}, Body: http.NoBody}
		body := strings.Repeat(" ", 1000-n) + token + "more"
		resp.Body = struct {
			*strings.Reader
			nothing
		}{strings.NewReader(body), nothing{}}
		a, err := Read(resp, 1000, time.Time{}, Hidden{token})
		if err != nil || !a.Cut || len(a.Body) != 1000 {
			t.Fatal(a, err)
		}
		if line := a.Line(); n > 4 && strings.Contains(line, token[:4]) {
			t.Errorf("%d: %s", n, line)
		}
	}
}

type nothing struct{}

func (nothing) Close() error { return nil }

func TestHidden(t *testing.T) {
	h := Hidden{"s3cret-word", "s3cret-word-and-more", "a+b/c=", `q"<\`}
	for text, want := range map[string]string{
		"say s3cret-word.":                     "say REDACTED.",
		"s3cret\ufeff-wo\u200brd":              "REDACTED",
		"s3cret-\n\tword and s3cret-word":      "REDACTED and REDACTED",
		"s3cret-word-and-more":                 "REDACTED",
		"x=a%2Bb%2Fc%3D a+b%2Fc=":              "x=REDACTED REDACTED",
		"nothing\r\n of  \x1b[1m the \x00kind": "nothing of [1m the kind",
		"":                                     "",
	} {
		if got := h.Text(text, 100); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := h.Text("\u00e4\u00e4\u00e4", 5); got != "\u00e4\u00e4" {
		t.Errorf("%q", got)
	}
}

// FuzzHidden: whatever the other side makes of a secret by means that cleaning undoes, no text shows it, also not
// when it is cleaned again where it is shown; and a text without it stays as it is, but for the cleaning.
func FuzzHidden(f *testing.F) {
	const token = "eyJ0eXAi.c2VjcmV0LXBheWxvYWQ.c2lnbmF0dXJl"
	f.Add("before ", "\ufeff", " after", uint8(3))
	f.Add("", "\u200b\n ", token, uint8(20))
	f.Add("eyJ0eXAi.c2Vj", "\xff\xfe", "cmV0", uint8(1))
	f.Add("<b>", "\x00", "&amp;", uint8(255))
	f.Fuzz(func(t *testing.T, before, within, after string, at uint8) {
		cut := int(at) % len(token)
		h := Hidden{token}
		text := h.Text(before+token[:cut]+within+token[cut:]+after, MaxText)
		for _, shown := range []string{text, fault.Line(text), strings.ReplaceAll(text, " ", "")} {
			if strings.Contains(shown, token) {
				t.Fatalf("%q shows it", shown)
			}
		}
		if text != fault.Line(text) && len(text) < MaxText-4 || len(text) > MaxText {
			t.Fatalf("%q is not clean", text)
		}
		plain := before + after
		dense := strings.ReplaceAll(fault.Line(plain), " ", "")
		if got := h.Text(plain, len(plain)+100); !strings.Contains(dense, token) && got != fault.Line(plain) {
			t.Fatalf("%q became %q", plain, got)
		}
		if fl := h.Redact(fault.AnswerInvalid.New("h", before+token[:cut]+within+token[cut:])); fault.Line(within) == "" && strings.Contains(fl.Error(), token) {
			t.Fatalf("%v shows it", fl)
		}
	})
}

// FuzzGuarded: no token is shown, whatever that cannot be seen is in it and wherever it stands; and nothing is taken from a
// line in which there is none.
func FuzzGuarded(f *testing.F) {
	const jwt, refresh = "eyJ0eXAi.c2VjcmV0LXBheWxvYWQ.c2lnbmF0dXJl", "0.AXoAabcdefghijklmnopqrstuvwxyz0123456789-s3cr3t"
	f.Add("ERROR: got ", "\ufeff", " after", uint8(1), false)
	f.Add("", "\x1b", "", uint8(20), true)
	f.Add("AADSTS700082: ", "\u200b", "\u2028", uint8(9), true)
	f.Add("\"", "\xff", "\"", uint8(2), false)
	f.Fuzz(func(t *testing.T, before, within, after string, at uint8, second bool) {
		token := jwt
		if second {
			token = refresh
		}
		place := int(at) % len(token)
		text := Guarded(before+token[:place]+within+token[place:]+after, MaxText)
		if strings.Contains(text, token) || strings.Contains(strings.ReplaceAll(text, " ", ""), token) && !strings.ContainsFunc(within, unicode.IsSpace) {
			t.Fatalf("%q shows it", text)
		}
		if text != fault.Line(text) || len(text) > MaxText {
			t.Fatalf("%q is not clean", text)
		}
		var plain []string
		for word := range strings.FieldsSeq(fault.Line(before)) {
			if len(word) <= 36 && !strings.Contains(word, "eyJ") {
				plain = append(plain, word)
			}
		}
		line := strings.Join(append(plain, "AADSTS700082: see https://login.microsoftonline.com/common/oauth2/token, user 00000000-0000-0000-0000-000000000000"), " ")
		if got := Guarded(line, len(line)); got != line && !strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsSpace(r) && !unicode.IsGraphic(r) }) {
			t.Fatalf("%q became %q", line, got)
		}
	})
}
