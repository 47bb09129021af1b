package bundle

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// lazily compiles an expression when it is first used. This package is part of a program that the
// kernel waits for, and to compile all of its expressions would double the time of every start.
func lazily(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// minSecret is the length in bytes from which a known secret is looked for: a shorter one would be
// found in words everywhere, and is left out by the structure alone.
const minSecret = 6

// secrets are texts that may be nowhere in the bundle.
type secrets struct {
	texts []string
	known *strings.Replacer // of texts; nil when one was added since
}

// add notes a secret in every form in which a program might print it.
func (s *secrets) add(value []byte) {
	if len(value) < minSecret {
		return
	}
	for _, text := range []string{
		string(value),
		hex.EncodeToString(value), strings.ToUpper(hex.EncodeToString(value)),
		base64.RawStdEncoding.EncodeToString(value), base64.RawURLEncoding.EncodeToString(value),
	} {
		if !slices.Contains(s.texts, text) {
			s.texts, s.known = append(s.texts, text), nil
		}
	}
}

// file notes a file that is a token, a password or a key. A token's parts are secrets of their own.
func (s *secrets) file(content []byte) {
	text := strings.TrimSpace(string(content))
	if block, _ := pem.Decode(content); block != nil {
		s.add(block.Bytes)
	}
	if strings.HasPrefix(text, "\x05") { // a credential cache
		return
	}
	s.add([]byte(text))
	for line := range strings.Lines(text) {
		for piece := range strings.SplitSeq(strings.TrimSpace(line), ".") {
			if len(piece) >= 2*minSecret {
				s.add([]byte(piece))
			}
		}
	}
}

// look is one of the looks of a secret, which is the first group of the expression if it is one.
type look struct {
	expr func() *regexp.Regexp
	is   func(text string) bool // nil is always
}

// named is what stands before a secret that has a name.
const named = `(?i)(?:(?:^|[^a-z0-9])"?[a-z0-9_.-]*(?:password|passwd|passphrase|passwort|pwd|secret|token|apikey|api_key|account_?key|access_?key|shared_?key|` +
	`session_?key|assertion|signature|credentials?)[0-9]?"?\s*(?:=|:=|"\s*:)\s*|(?:password|passwd|passphrase|passwort|pwd)[0-9]?:\s*|\b(?:pass[0-9]?|sig)=|[?&](?:code|key)=)`

// byName are those that are secrets wherever they stand, since one place has told that they are.
var byName = []look{
	{lazily(named + `"([^"]*)"`), isSecret}, {lazily(named + `'([^']*)'`), isSecret}, {lazily(named + `([^\s,;&"']+)`), isSecret},
}

// looks are all looks, in the order in which they are looked for.
var looks = slices.Concat([]look{
	{lazily(`(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$))`), nil},
	// A JSON Web Token (RFC 7519): its header begins so. Encodings of one inside another are caught by the last look.
	{lazily(`(eyJ[A-Za-z0-9_=-]*(?:\.[A-Za-z0-9_=-]*)*)`), nil},
	{lazily(`(?i)\b(?:bearer|basic|negotiate)\s+([A-Za-z0-9+/_=.~-]{6,})`), nil},
	{userinfo, nil},
}, byName, []look{
	{lazily(`(\b(?:[0-9a-fA-F]{2}[ :]){15,}[0-9a-fA-F]{2}\b|[0-9a-fA-F]{32,})`), nil},
	{lazily(`([A-Za-z0-9+/_-]{32,}={0,2})`), random},
})

// userinfo is the login in a URL or a UNC path. It may hold a / or an @ where somebody did not escape it.
var userinfo = lazily(`//([^\s"'<>]*)@`)

// row is one of the pieces of one secret.
var row = lazily(secret.Redacted + `([.=]*` + secret.Redacted + `|=)+`)

// collectFrom notes what stands in a text where secrets stand, so that it is found where nothing tells.
func (s *secrets) collectFrom(text string) {
	for _, m := range userinfo().FindAllStringSubmatch(text, -1) {
		for piece := range strings.FieldsFuncSeq(m[1], func(r rune) bool { return strings.ContainsRune("/:@", r) }) {
			s.add([]byte(piece))
		}
	}
	for _, l := range byName {
		for _, m := range l.expr().FindAllStringSubmatch(text, -1) {
			if isSecret(m[1]) {
				s.add([]byte(m[1]))
			}
		}
	}
}

// scrub takes the secrets out of a text, and what looks like one.
func (s *secrets) scrub(text string) string {
	if s.known == nil { // the longer of two texts first: the shorter one may be a part of it
		slices.SortFunc(s.texts, func(a, b string) int { return len(b) - len(a) })
		var pairs []string
		for _, known := range s.texts {
			pairs = append(pairs, known, secret.Redacted)
		}
		s.known = strings.NewReplacer(pairs...)
	}
	text = s.known.Replace(text)
	for _, l := range looks {
		text = l.redact(text)
	}
	return row().ReplaceAllString(text, secret.Redacted)
}

func (l look) redact(text string) string {
	var b strings.Builder
	at := 0
	for _, m := range l.expr().FindAllStringSubmatchIndex(text, -1) {
		if l.is == nil || l.is(text[m[2]:m[3]]) {
			b.WriteString(text[at:m[2]] + secret.Redacted)
			at = m[3]
		}
	}
	return b.String() + text[at:]
}

// random reports whether a run of letters and digits looks like base64, and not like a path or words
// with hyphens.
func random(run string) bool {
	var upper, lower, digits int
	for _, c := range run {
		if c >= 'A' && c <= 'Z' {
			upper++
		} else if c >= 'a' && c <= 'z' {
			lower++
		} else if c >= '0' && c <= '9' {
			digits++
		}
	}
	return upper >= 3 && lower >= 3 && (digits >= 2 || upper >= 8)
}

// isSecret reports whether a value that stands for a secret is more than the way to one, or a truth value.
func isSecret(value string) bool {
	plain := []string{"", "true", "false", "yes", "no", "null", "keyring", "off", "[]", "{}", strings.ToLower(secret.Redacted)}
	return !filePath().MatchString(value) && !slices.Contains(plain, strings.ToLower(value))
}
