package fault

import (
	"regexp"
	"sync"
)

// jargon is what Go's own errors say about the network, and the same in words of those who run machines. It is made when
// the first cause is shown: programs that do not fail do not pay for it.
var jargon = sync.OnceValue(func() []phrase {
	return []phrase{
		{regexp.MustCompile(`\bproxyconnect (?:tcp|udp)[46]?: `), "the proxy: "},
		{regexp.MustCompile(`\bdial (?:tcp|udp)[46]? (\S+): `), "$1: "},
		{regexp.MustCompile(`\b(?:read|write) (?:tcp|udp)[46]? (?:\S+->)?(\S+): `), "$1: "},
		{regexp.MustCompile(`\b(?:connect|read|write): (connection refused|connection reset by peer|connection timed out|no route to host|network is unreachable|broken pipe)`), "$1"},
		{regexp.MustCompile(`context deadline exceeded(?: \(Client\.Timeout[^)]*\))?|\bi/o timeout\b|net/http: TLS handshake timeout`), late},
		{regexp.MustCompile(`net/http: (?:HTTP/1\.x transport connection broken: )?`), ""},
		{regexp.MustCompile(`context canceled`), "interrupted"},
	}
})

// late is the cause of what took longer than a bound.
const late = "no answer in time"

type phrase struct {
	said  *regexp.Regexp
	plain string
}

// Plain is the text of a cause without jargon.
func Plain(text string) string {
	for _, p := range jargon() {
		text = p.said.ReplaceAllString(text, p.plain)
	}
	return text
}
