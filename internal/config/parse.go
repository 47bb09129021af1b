package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// maxWarnings keeps a file of nonsense from filling the log.
const maxWarnings = 20

// parser fills a Config from a file.
type parser struct {
	*Config
	later []func() error // what names entries of identities, which may follow further down
}

// field is a known key and what takes its value.
type field struct {
	key  string
	take func(*yaml.Node) error
}

// parse fills c from the file's content. The errors are of type *problem.
func parse(c *Config, content []byte) error {
	root, err := document(content)
	if err != nil || root == nil {
		return err
	}
	p := &parser{Config: c}
	if err := p.section("", root, p.top()); err != nil {
		return at(err, root.Line, "")
	}
	for _, do := range p.later {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// top is every key of the file's top level.
func (p *parser) top() []field {
	return []field{
		{"USER_UID", into(&p.uid, uid)},
		{"KRB5_CC_NAME", into(&p.ccache, cacheName)},
		{"LOG_DESTINATION", into(&p.log.destination, oneOf("syslog", "file", "journal"))},
		{"LOG_FILE_PATH", into(&p.log.path, absolute)},
		{"CURL_CONNECT_TIMEOUT", into(&p.connectTimeout, seconds)},
		{"CURL_TOTAL_TIMEOUT", into(&p.totalTimeout, seconds)},
		{"ENVIRONMENT", p.takeEnvironment},
		{"identities", p.takeIdentities},
		{"default_identity", p.takeDefault},
		{"endpoints", p.takeEndpoints},
		{"proxy", into(&p.proxy, proxyURL)},
		{"token_cache", into(&p.tokenCache, oneOf("keyring", "off"))},
		{"refresh", p.sub("refresh", []field{
			{"at", into(&p.refresh.At, share(0.05, 0.95))},
			{"before_expiry", into(&p.refresh.BeforeExpiry, duration(time.Second, 24*time.Hour))},
			{"jitter", into(&p.refresh.Jitter, share(0, 0.5))},
			{"concurrency", into(&p.refresh.Concurrency, number(1, 64))},
		})},
		{"upcall", p.sub("upcall", []field{
			{"mode", into(&p.upcall.mode, oneOf("native", "cifs"))},
			{"deadline", into(&p.upcall.deadline, duration(time.Second, 30*time.Second))},
		})},
		{"metrics", p.sub("metrics", []field{
			{"socket", into(&p.metrics.Socket, oneOf("on", "off"))},
			{"textfile", into(&p.metrics.Textfile, absolute)},
		})},
	}
}

// into makes a field's taker of the place for the value and the reader of its text.
func into[T any](place *T, read func(string) (T, error)) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := text(n)
		if err != nil {
			return err
		}
		v, err := read(s)
		if err == nil {
			*place = v
		}
		return err
	}
}

// sub makes the taker of a mapping with known keys.
func (p *parser) sub(name string, fields []field) func(*yaml.Node) error {
	return func(n *yaml.Node) error { return p.section(name, n, fields) }
}

// section hands the values of a mapping to its fields and warns of keys that are none. name is the
// way to the mapping.
func (p *parser) section(name string, n *yaml.Node, fields []field) error {
	all, err := pairs(name, n)
	if err != nil {
		return at(err, n.Line, name)
	}
	for _, kv := range all {
		key := within(name, kv.key)
		if kv.first > 0 {
			p.warn(kv.line, key, fmt.Sprintf("it is in line %d already, and that line counts", kv.first))
			continue
		}
		take := taker(fields, kv.key)
		if take == nil {
			p.warn(kv.line, key, "this key is unknown"+didYouMean(kv.key, keys(fields)))
			continue
		}
		if err := take(kv.value); err != nil {
			return at(err, kv.line, key)
		}
		p.record(key, kv)
	}
	return nil
}

// record keeps where a single value was set.
func (p *parser) record(key string, kv pair) {
	if kv.value.Kind == yaml.ScalarNode && kv.value.ShortTag() != "!!null" {
		p.lines[key] = kv.line
	}
}

func taker(fields []field, key string) func(*yaml.Node) error {
	for _, f := range fields {
		if f.key == key {
			return f.take
		}
	}
	return nil
}

func keys(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
	}
	return names
}

func (p *parser) warn(line int, key, text string) {
	switch n := len(p.warnings); {
	case n < maxWarnings:
		p.warnings = append(p.warnings, (&problem{line, key, text}).Error())
	case n == maxWarnings:
		p.warnings = append(p.warnings, "and more")
	}
}

// within is the way to a key of the mapping name.
func within(name, key string) string {
	if name == "" {
		return shown(key)
	}
	return name + "." + shown(key)
}

// at makes a problem of an error that does not know its place.
func at(err error, line int, key string) error {
	var p *problem
	if !errors.As(err, &p) {
		return &problem{line, key, err.Error()}
	}
	if p.key == "" {
		p.key = key
	}
	return p
}

// didYouMean proposes the known word that looks most like key, or nothing.
func didYouMean(key string, known []string) string {
	best, word := 3, ""
	for _, k := range known {
		if d := distance(strings.ToLower(key), strings.ToLower(k)); d < best && d < len(k) && k != key {
			best, word = d, k
		}
	}
	if word == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", word)
}

// distance is the number of letters to insert, delete or replace to make b of a (Levenshtein).
// Texts that are far apart in length only get a lower bound.
func distance(a, b string) int {
	if d := len(a) - len(b); d > 3 || d < -3 {
		return 4
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
