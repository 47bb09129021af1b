package azurefake

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// failure writes an error answer in the form of one of the services.
type failure func(w http.ResponseWriter, status int, code, message string)

// obey does what an order wants instead of the usual answer. It reports whether that was all.
func (f *Fake) obey(w http.ResponseWriter, r *http.Request, o Order, fail failure) bool {
	w.Header().Set("Date", f.now().Add(o.Skew).UTC().Format(http.TimeFormat))
	pause(r, o)
	if o.RetryAfter != "" {
		w.Header().Set("Retry-After", o.RetryAfter)
	}
	switch {
	case o.Drop:
		panic(http.ErrAbortHandler) // closes the connection
	case o.Answer != "":
		sendAnswer(w, o.Answer)
	case o.Redirect != "":
		w.Header().Set("Location", o.Redirect)
		setDefault(&o.Status, http.StatusFound)
		w.WriteHeader(o.Status)
	case o.Body != nil:
		setDefault(&o.Status, http.StatusOK)
		setDefault(&o.ContentType, "application/json")
		send(w, o.Status, o.ContentType, *o.Body)
	case o.Status != 0 || o.Code != "" || o.Message != "":
		setDefault(&o.Status, http.StatusBadRequest)
		setDefault(&o.Message, http.StatusText(o.Status))
		fail(w, o.Status, o.Code, o.Message)
	case o.Garbage == GarbageHuge:
		sendHuge(w)
	default:
		return false
	}
	return true
}

// pause waits as an order wants; it does not return when the connection is gone before, by the
// client or by Close.
func pause(r *http.Request, o Order) {
	var over <-chan time.Time
	switch {
	case o.Hang: // never over
	case o.Delay > 0:
		timer := time.NewTimer(o.Delay)
		defer timer.Stop()
		over = timer.C
	default:
		return
	}
	select {
	case <-over:
		return
	case <-r.Context().Done():
	}
	panic(http.ErrAbortHandler)
}

// succeed sends a right body, or what an order makes of it.
func succeed(w http.ResponseWriter, o Order, body string) {
	switch o.Garbage {
	case GarbageJSON:
		body = "<html><body>It works!</body></html>"
	case GarbageEmpty:
		body = ""
	case GarbageTruncatedJSON:
		body = body[:len(body)/2]
	}
	send(w, http.StatusOK, "application/json", body)
}

func send(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client may be gone
}

// sendHuge sends 65 MiB that are one valid JSON object.
func sendHuge(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	mebibyte := strings.Repeat("A", 1<<20)
	if _, err := io.WriteString(w, `{"padding":"`); err != nil {
		return
	}
	for range 65 {
		if _, err := io.WriteString(w, mebibyte); err != nil {
			return // the client has had enough, as it should
		}
	}
	_, _ = io.WriteString(w, `"}`)
}

// pair is one member of a JSON object whose value is a text or a number. A text needs no escapes.
type pair struct {
	name  string
	value any
}

func (p pair) json() string {
	if text, ok := p.value.(string); ok {
		return `"` + text + `"`
	}
	return fmt.Sprint(p.value)
}

// plainJSON is the object as the services write it.
func plainJSON(members []pair) string {
	texts := make([]string, len(members))
	for i, m := range members {
		texts[i] = `"` + m.name + `":` + m.json()
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// spacedJSON is the same object in the least usual spelling that JSON allows (RFC 8259).
func spacedJSON(members []pair) string {
	escape := strings.NewReplacer("/", `\/`, "+", `\u002b`, "=", `\u003d`)
	var b strings.Builder
	b.WriteString("\r\n {\t\"unknown\" : [ { \"kerberosServiceTicket\" : null , \"access_token\" : 1e3 } , \"}\\\"{\" ]")
	for _, member := range slices.Backward(members) {
		name := member.name
		b.WriteString("\n ,\t\"\\u00" + hexByte(name[0]) + name[1:] + "\" :\r\n " + escape.Replace(member.json()))
	}
	b.WriteString(" , \"later\" : { \"a\" : false } } \n\n")
	return b.String()
}

func hexByte(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

func objectJSON(o Order, members []pair) string {
	if o.Spaces {
		return spacedJSON(members)
	}
	return plainJSON(members)
}
