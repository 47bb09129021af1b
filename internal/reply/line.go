package reply

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// Bounds on what is repeated of the other side, in bytes.
const (
	MaxText = 400 // a sentence
	MaxWord = 64  // a code, an id, a name
)

// Hidden are the secrets of a request, as they are sent.
type Hidden []string

// Text gives a text of the other side as it may be shown: one printable line of at most limit bytes, without
// the secrets.
//
// The order is what makes it safe. Cleaning joins what invisible characters had separated, so that a secret
// with a byte order mark inside is whole again and found; and what is cut first would hold the beginning of a
// secret that is not found any more.
func (h Hidden) Text(text string, limit int) string {
	text = fault.Line(text)
	for _, s := range h.forms() {
		text = hideSpaced(text, s)
	}
	return truncate(text, limit)
}

// truncate gives at most limit bytes, whole characters.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// plain are the characters of words that are shown however long they are: paths, hosts and names.
const plain = "abcdefghijklmnopqrstuvwxyz0123456789/.:-_'\","

// maxPlain bounds any other word, in bytes: a GUID.
const maxPlain = 36

// Guarded gives a text of somebody who can repeat secrets that we do not know, such as az: one printable line of at
// most limit bytes, in which each word that can be a token is replaced. The order is that of Hidden.Text. What cannot be
// seen is left out and does not part a word, since it would make two short ones of a token.
func Guarded(text string, limit int) string {
	visible := strings.Map(func(r rune) rune {
		if !unicode.IsSpace(r) && !unicode.IsGraphic(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, text)
	words := strings.Fields(fault.Line(visible))
	for n, word := range words {
		if strings.Contains(word, "eyJ") || len(word) > maxPlain && strings.Trim(word, plain) != "" {
			words[n] = secret.Redacted
		}
	}
	return truncate(strings.Join(words, " "), limit)
}

// hideSpaced replaces a secret in a line, also where spaces are between its characters: pages wrap long words.
func hideSpaced(line, hidden string) string {
	var dense strings.Builder
	var at []int // where the bytes of dense are in line
	for n := range len(line) {
		if line[n] != ' ' {
			dense.WriteByte(line[n])
			at = append(at, n)
		}
	}
	var b strings.Builder
	rest, from := dense.String(), 0
	for begin := 0; ; {
		n := strings.Index(rest, hidden)
		if n < 0 {
			return b.String() + line[from:]
		}
		begin += n
		b.WriteString(line[from:at[begin]] + secret.Redacted)
		begin += len(hidden)
		from, rest = at[begin-1]+1, rest[n+len(hidden):]
	}
}

// Redact takes the secrets out of a fault that holds words of the other side. It returns the fault.
func (h Hidden) Redact(f *fault.Fault) *fault.Fault {
	return f.Reword(func(text string) string { return h.Text(text, len(text)) })
}

// forms are the secrets as a text can show them (as they are, in a URL, in HTML, in JSON), the longest first, since
// a short one can be a part of it.
func (h Hidden) forms() (forms []string) {
	for _, s := range h {
		if s = strings.ReplaceAll(fault.Line(s), " ", ""); s != "" {
			quoted, _ := json.Marshal(s) // a text
			forms = append(forms, s, url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s), string(quoted[1:len(quoted)-1]),
				strings.NewReplacer(`\`, `\\`, `"`, `\"`, "/", `\/`).Replace(s), strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s))
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	return slices.Compact(forms)
}

// Line describes an answer of somebody unknown for the one who has to find out: the status, what the server
// calls itself, where it sends to, and the title of the page, or its first words.
func (a *Answer) Line() string {
	parts := []string{strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)))}
	add := func(format, text string, limit int) {
		if text = a.Hidden.Text(text, limit); text != "" {
			parts = append(parts, fmt.Sprintf(format, text))
		}
	}
	add("Server: %s", a.Header.Get("Server"), MaxWord)
	add("Via: %s", a.Header.Get("Via"), MaxWord)
	if u, err := url.Parse(a.Header.Get("Location")); err == nil {
		add("it points to %s", u.Host, MaxWord) // the rest of it can be a secret of somebody else's
	}
	add("it says: %s", a.title(), maxTitle)
	return strings.Join(parts, ", ")
}

// maxTitle bounds what a line repeats of a page, in bytes.
const maxTitle = 120

// How a page is taken apart.
var (
	heading = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?is)<(title|h1)\b[^>]*>(.*?)</(title|h1)\b`) })
	markup  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?is)<(script|style)\b.*?</(script|style)\b[^>]*>|<[^>]*>`)
	})
)

// title is the title of a page, or its first heading, or its text. What is cut off at the end of a body that
// goes on could be the beginning of a secret.
func (a *Answer) title() string {
	page := string(a.text())
	if forms := a.Hidden.forms(); a.Cut && len(forms) > 0 {
		page = page[:max(len(page)-2*len(forms[0]), 0)]
	}
	if m := heading().FindStringSubmatch(page); m != nil {
		page = m[2]
	}
	return html.UnescapeString(markup().ReplaceAllString(page, " "))
}
