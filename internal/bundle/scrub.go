package bundle

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

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

// What looks like a secret, wherever it stands.
var (
	// bearer is a JSON Web Token (RFC 7519): its header begins so. Encodings of one inside another are
	// caught by long.
	bearer = lazily(`eyJ[A-Za-z0-9_=-]*(\.[A-Za-z0-9_=-]*)*`)
	scheme = lazily(`(?i)\b(bearer|basic|negotiate)\s+[A-Za-z0-9+/_=.~-]{6,}`)
	// userinfo is the login in a URL or a UNC path. It may hold a / or an @ where somebody did not
	// escape it.
	userinfo = lazily(`(//)[^\s"'<>]*@`)
	query    = lazily(`(?i)([?&](?:sig|code|token|secret|password|key|client_secret|access_token|assertion)=)([^&\s"']+)`)
	named    = lazily(`(?i)((?:^|[^a-z0-9])"?[a-z0-9_.-]*(?:password|passwd|passphrase|passwort|pwd|secret|token|apikey|api_key|account_?key|access_?key|shared_?key|session_?key|assertion|signature|credential|credentials)[0-9]?"?\s*(?:=|:=|"\s*:)\s*)("[^"]*"|'[^']*'|[^\s,;]+)`)
	colon    = lazily(`(?i)((?:password|passwd|passphrase|passwort|pwd)[0-9]?:\s*)([^\s,;]+)`)
	short    = lazily(`(?i)(\b(?:pass[0-9]?|sig)=)([^\s,&]+)`)
	hexes    = lazily(`\b(?:[0-9a-fA-F]{2}[ :]){15,}[0-9a-fA-F]{2}\b|[0-9a-fA-F]{32,}`)
	long     = lazily(`[A-Za-z0-9+/_-]{32,}={0,2}`)
	row      = lazily(secret.Redacted + `([.=]*` + secret.Redacted + `|=)+`) // of the pieces of one secret
	armoured = lazily(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// learn notes what stands in a text where secrets stand, so that it is found where nothing tells.
func (s *secrets) learn(text string) {
	for _, m := range userinfo().FindAllString(text, -1) {
		for _, piece := range strings.FieldsFunc(m, func(r rune) bool { return strings.ContainsRune("/:@", r) }) {
			s.add([]byte(piece))
		}
	}
	for _, form := range []*regexp.Regexp{named(), colon(), short(), query()} {
		for _, m := range form.FindAllStringSubmatch(text, -1) {
			if value := strings.Trim(m[len(m)-1], `"'`); !harmless(value) {
				s.add([]byte(value))
			}
		}
	}
}

// scrub takes the secrets out of a text, and what looks like one.
func (s *secrets) scrub(text string) string {
	if s.known == nil {
		s.known = s.replacer()
	}
	text = s.known.Replace(text)
	text = armoured().ReplaceAllString(text, secret.Redacted)
	text = bearer().ReplaceAllString(text, secret.Redacted)
	text = scheme().ReplaceAllString(text, "${1} "+secret.Redacted)
	text = userinfo().ReplaceAllString(text, "${1}"+secret.Redacted+"@")
	text = query().ReplaceAllString(text, "${1}"+secret.Redacted)
	text = named().ReplaceAllStringFunc(text, func(match string) string {
		parts := named().FindStringSubmatch(match)
		if harmless(parts[2]) {
			return match
		}
		if quote := parts[2][:1]; quote == `"` || quote == "'" {
			return parts[1] + quote + secret.Redacted + quote
		}
		return parts[1] + secret.Redacted
	})
	text = colon().ReplaceAllString(text, "${1}"+secret.Redacted)
	text = short().ReplaceAllString(text, "${1}"+secret.Redacted)
	text = hexes().ReplaceAllString(text, secret.Redacted)
	text = long().ReplaceAllStringFunc(text, func(run string) string {
		if random(run) {
			return secret.Redacted
		}
		return run
	})
	return row().ReplaceAllString(text, secret.Redacted)
}

// replacer prefers the longer of two texts: the shorter one may be a part of it.
func (s *secrets) replacer() *strings.Replacer {
	slices.SortFunc(s.texts, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(s.texts))
	for _, text := range s.texts {
		pairs = append(pairs, text, secret.Redacted)
	}
	return strings.NewReplacer(pairs...)
}

// random reports whether a run of letters and digits looks like base64, and not like a path or words
// with hyphens.
func random(run string) bool {
	var upper, lower, digits int
	for _, c := range run {
		switch {
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= '0' && c <= '9':
			digits++
		}
	}
	return upper >= 3 && lower >= 3 && (digits >= 2 || upper >= 8)
}

// harmless reports whether a value that stands for a secret is only the way to one, or a truth value.
func harmless(value string) bool {
	value = strings.Trim(value, `"'`)
	return filePath().MatchString(value) || slices.Contains([]string{"true", "false", "yes", "no", "null", "keyring", "off", "[]", "{}", secret.Redacted}, strings.ToLower(value))
}
