package config

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"
)

// text gives the text of a plain value. YAML's own idea of its type does not matter: "1001" is a
// good number, and an identity may be called yes.
func text(n *yaml.Node) (string, error) {
	switch {
	case n.Kind == yaml.AliasNode:
		return "", errAlias
	case n.Kind != yaml.ScalarNode:
		return "", errors.New("it must be a single value")
	}
	switch n.ShortTag() {
	case "!!null":
		return "", errors.New("it has no value")
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
	default:
		return "", errors.New("it must be a plain value without a tag")
	}
	if n.Value == "" {
		return "", errors.New("it is empty")
	}
	if strings.ContainsFunc(n.Value, unicode.IsControl) {
		return "", errors.New("it holds control characters")
	}
	return n.Value, nil
}

// uid reads a Unix uid, or "local" for that of the user who called sudo.
func uid(s string) (int, error) {
	if strings.EqualFold(s, "local") {
		if id, err := uidNumber(os.Getenv("SUDO_UID")); err == nil {
			return id, nil
		}
		return 0, nil
	}
	return uidNumber(s)
}

// uidNumber reads a uid. The largest number means "none" to the kernel, and a leading zero would be
// octal to some of those who read the file.
func uidNumber(s string) (int, error) {
	n, err := decimal(s)
	if err != nil || n >= math.MaxUint32 {
		return 0, errors.New("it must be a uid: a number from 0 to 4294967294, or local")
	}
	return int(n), nil
}

// decimal reads digits, and nothing else than digits.
func decimal(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, err
	}
	if len(s) > 1 && s[0] == '0' {
		return 0, strconv.ErrSyntax
	}
	return int64(n), nil
}

const fileType = "FILE"

// cacheType takes the name of a credential cache apart: a name without a type is a file's, and a path
// can hold a colon (MIT krb5, krb5_cc_resolve).
func cacheType(name string) (kind, path string) {
	kind, path, ok := strings.Cut(name, ":")
	if !ok || strings.Contains(kind, "/") {
		return fileType, name
	}
	return kind, path
}

// cacheName reads KRB5_CC_NAME. Other types than files are left to the one who opens the cache.
func cacheName(s string) (string, error) {
	kind, file := cacheType(s)
	if kind != fileType {
		return s, nil
	}
	if !path.IsAbs(file) || strings.HasSuffix(file, "/") {
		return "", errors.New("it must be the path of a file that begins with /, or FILE: and such a path")
	}
	if strings.Contains(strings.ReplaceAll(file, uidToken, ""), "%{") {
		return "", errors.New("of the tokens in %{}, only %{uid} is understood here")
	}
	return s, nil
}

func absolute(s string) (string, error) {
	if !path.IsAbs(s) {
		return "", errors.New("it must be a path that begins with /")
	}
	return s, nil
}

// oneOf makes a reader of words in any case.
func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if word := strings.ToLower(s); slices.Contains(words, word) {
			return word, nil
		}
		return "", fmt.Errorf("it must be one of: %s", strings.Join(words, ", "))
	}
}

func number(lowest, highest int64) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := decimal(s)
		if err != nil || n < lowest || n > highest {
			return 0, fmt.Errorf("it must be a number from %d to %d", lowest, highest)
		}
		return int(n), nil
	}
}

// seconds reads a time limit in whole seconds.
func seconds(s string) (time.Duration, error) {
	n, err := decimal(s)
	if err != nil || n < 1 || n > 3600 {
		return 0, errors.New("it must be a number of seconds from 1 to 3600")
	}
	return time.Duration(n) * time.Second, nil
}

func duration(lowest, highest time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil || d < lowest || d > highest {
			return 0, fmt.Errorf("it must be a time from %v to %v, with its unit", lowest, highest)
		}
		return d, nil
	}
}

// share makes a reader of a part of a whole: 0.6 or 60%.
func share(lowest, highest float64) func(string) (float64, error) {
	return func(s string) (float64, error) {
		digits, percent := strings.CutSuffix(s, "%")
		f, err := strconv.ParseFloat(digits, 64)
		if percent {
			f /= 100
		}
		if err != nil || !(f >= lowest && f <= highest) { // not f < lowest, because of NaN
			return 0, fmt.Errorf("it must be a share from %g to %g, or a percentage", lowest, highest)
		}
		return f, nil
	}
}

// proxyURL reads proxy. It can hold a password, so no error shows it.
func proxyURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Hostname() == "" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("it must be http://host:port, or the same with https")
	}
	return u, nil
}

// httpsURL reads the URL of a service that gets or gives tokens.
func httpsURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("it must be an address that begins with https://")
	}
	return s, nil
}

// takeEnvironment takes ENVIRONMENT. Its values can be secrets, so no error shows them.
func (p *parser) takeEnvironment(n *yaml.Node) error {
	all, err := pairs("ENVIRONMENT", n)
	if err != nil {
		return err
	}
	for _, kv := range all {
		key := within("ENVIRONMENT", kv.key)
		if kv.key == "" || strings.ContainsAny(kv.key, "=\x00 ") {
			return &problem{kv.line, key, "it is not the name of an environment variable"}
		}
		if kv.value.Kind != yaml.ScalarNode {
			return &problem{kv.line, key, "it must be a single value"}
		}
		if strings.Contains(kv.value.Value, "\x00") {
			return &problem{kv.line, key, "it holds a NUL character"}
		}
		p.environment[kv.key] = kv.value.Value
		p.lines[key] = kv.line
	}
	return nil
}

// asIs takes a text that is examined elsewhere.
func asIs(s string) (string, error) { return s, nil }

func hostName(s string) (string, error) {
	return strings.TrimSuffix(strings.ToLower(s), "."), nil
}
