package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// kind is a kind of value: how it is called in the manual, read and shown. No error of a reader shows the
// text, which can be a secret in the wrong place.
type kind[T any] struct {
	name   string
	words  []string
	bounds string
	read   func(string) (T, error)
	show   func(T) string
}

func asIs(s string) string { return s }

// text is a kind of text that is examined elsewhere.
func text(name string) kind[string] {
	return texts(name, func(s string) (string, error) { return s, nil })
}

func texts(name string, read func(string) (string, error)) kind[string] {
	return kind[string]{name: name, read: read, show: asIs}
}

// plainScalar gives the text of a plain value. YAML's own idea of its type does not matter: "1001" is a
// good number, and an identity may be called yes.
func plainScalar(n *yaml.Node) (string, error) {
	if n.Kind == yaml.AliasNode {
		return "", errAlias
	}
	if n.Kind != yaml.ScalarNode {
		return "", errNoScalar
	}
	switch n.ShortTag() {
	case "!!null":
		return "", errNoValue
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
	default:
		return "", errors.New("it must be a plain value without a tag")
	}
	if n.Value == "" {
		return "", errIsEmpty
	}
	if strings.ContainsFunc(n.Value, unicode.IsControl) {
		return "", errors.New("it holds control characters")
	}
	return n.Value, nil
}

// anyScalar gives a value that can be empty or any text, such as that of an environment variable.
func anyScalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", errNoScalar
	}
	if strings.Contains(n.Value, "\x00") {
		return "", errors.New("it holds a NUL character")
	}
	return n.Value, nil
}

// joinList gives the plain values of a list with commas between them, and a plain value as it is.
func joinList(n *yaml.Node) (string, error) {
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		return plainScalar(n)
	}
	var all []string
	for _, entry := range n.Content {
		text, err := plainScalar(entry)
		if err != nil {
			return "", err
		}
		all = append(all, text)
	}
	return strings.Join(all, ","), nil
}

var (
	errNoScalar = errors.New("it must be a single value")
	errNoValue  = errors.New("it has no value")
	errIsEmpty  = errors.New("it is empty")
)

// localUser is the uid of the user who called sudo.
const localUser = "local"

// uid is a Unix uid, or "local" for that of the user who called sudo. The largest number means "none" to the kernel.
var uid = func() kind[int] {
	number := bounded[int64]("uid", "a uid: a number from %v to %v, or local", 0, math.MaxUint32-1, decimal, nil)
	return kind[int]{name: number.name, show: strconv.Itoa, read: func(s string) (int, error) {
		if !strings.EqualFold(s, localUser) {
			n, err := number.read(s)
			return int(n), err
		}
		if n, err := number.read(os.Getenv("SUDO_UID")); err == nil {
			return int(n), nil
		}
		return 0, nil
	}}
}()

// decimal reads digits, and nothing else than digits. A leading zero would be octal to some of those who read the file.
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

// cacheName is KRB5_CC_NAME. Other types than files are left to the one who opens the cache.
var cacheName = texts("path", func(s string) (string, error) {
	kind, file := ccache.SplitName(s)
	if kind != ccache.FileType {
		return s, nil
	}
	if !path.IsAbs(file) || strings.HasSuffix(file, "/") {
		return "", errors.New("it must be the path of a file that begins with /, or FILE: and such a path")
	}
	if strings.Contains(strings.ReplaceAll(file, uidToken, ""), "%{") {
		return "", errors.New("of the tokens in %{}, only %{uid} is understood here")
	}
	return s, nil
})

var filePath = texts("path", func(s string) (string, error) {
	if !path.IsAbs(s) {
		return "", errors.New("it must be a path that begins with /")
	}
	return s, nil
})

// metricsFile is a path that node_exporter reads. It is replaced, whatever was there: no file of anybody else's has such a name.
var metricsFile = texts("path", func(s string) (string, error) {
	if !path.IsAbs(s) || path.Ext(s) != ".prom" {
		return "", errors.New("it must be a path that begins with / and ends in .prom")
	}
	return s, nil
})

// address is where a server listens. A name would be looked up when the daemon starts, at boot before there is DNS.
var address = texts("address", func(s string) (string, error) {
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Port() == 0 {
		return "", errors.New("it must be an address and a port, such as 127.0.0.1:9799 or [::1]:9799")
	}
	return a.String(), nil
})

// oneOf is a word in any case.
func oneOf(words ...string) kind[string] {
	k := texts("word", func(s string) (string, error) {
		if word := strings.ToLower(s); slices.Contains(words, word) {
			return word, nil
		}
		return "", fmt.Errorf("it must be one of: %s", strings.Join(words, ", "))
	})
	k.words = words
	return k
}

// boolOf is one of two words in any case, of which the first is true.
func boolOf(yes, no string) kind[bool] {
	word := oneOf(yes, no)
	return kind[bool]{name: word.name, words: word.words, read: func(s string) (bool, error) {
		text, err := word.read(s)
		return text == yes, err
	}, show: func(is bool) string {
		if is {
			return yes
		}
		return no
	}}
}

// bounded is a kind of value between two bounds, which stand in must, what such a value must be.
func bounded[T cmp.Ordered](name, must string, lowest, highest T, read func(string) (T, error), show func(T) string) kind[T] {
	return kind[T]{name: name, bounds: unpadded.Replace(fmt.Sprintf("%v to %v", lowest, highest)), show: show, read: func(s string) (T, error) {
		value, err := read(s)
		if err != nil || !(value >= lowest && value <= highest) { // not value < lowest, because of NaN
			return value, fmt.Errorf("it must be "+must, lowest, highest)
		}
		return value, nil
	}}
}

// unpadded makes 24h of 24h0m0s.
var unpadded = strings.NewReplacer("h0m0s", "h", "m0s", "m")

func number(lowest, highest int) kind[int] {
	return bounded("number", "a number from %v to %v", lowest, highest, func(s string) (int, error) {
		n, err := decimal(s)
		return int(min(n, math.MaxInt32)), err
	}, strconv.Itoa)
}

// seconds is a time limit in whole seconds.
func seconds(lowest, highest int64) kind[time.Duration] {
	number := bounded("seconds", "a number of seconds from %v to %v", lowest, highest, decimal, nil)
	return kind[time.Duration]{name: number.name, bounds: number.bounds, show: time.Duration.String, read: func(s string) (time.Duration, error) {
		n, err := number.read(s)
		return time.Duration(n) * time.Second, err
	}}
}

func duration(lowest, highest time.Duration) kind[time.Duration] {
	return bounded("time", "a time from %v to %v, with its unit", lowest, highest, time.ParseDuration, time.Duration.String)
}

// share is a part of a whole: 0.6 or 60%.
func share(lowest, highest float64) kind[float64] {
	return bounded("fraction", "a fraction from %v to %v, or a percentage", lowest, highest, func(s string) (float64, error) {
		digits, percent := strings.CutSuffix(s, "%")
		f, err := strconv.ParseFloat(digits, 64)
		if percent {
			f /= 100
		}
		return f, err
	}, func(f float64) string { return fmt.Sprintf("%.4g%%", f*100) })
}

// proxyURL is proxy:. It is shown without the login, which holds a password.
var proxyURL = kind[*url.URL]{name: "URL", show: withoutLogin, read: transport.ParseProxy}

// mountOptions are what follows -o. What they mean, those know who make mounts.
var mountOptions = texts("options", func(s string) (string, error) {
	if strings.ContainsAny(s, " \t") {
		return "", errors.New("there is a space in it")
	}
	return s, nil
})

// exceptions are no_proxy:.
var exceptions = texts("hosts", func(s string) (string, error) {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return "", errors.New("it must be a list of hosts, not a number")
	}
	return transport.Exceptions(s)
})

func withoutLogin(u *url.URL) string {
	if u == nil {
		return ""
	}
	shown := *u
	shown.User = nil
	if u.User == nil {
		return shown.String()
	}
	return strings.Replace(shown.String(), "://", "://"+secret.Redacted+"@", 1)
}

// httpsURL is that of a service that gets or gives tokens.
var httpsURL = texts("URL", func(s string) (string, error) {
	if identity.CheckURL(strings.TrimRight(s, "/")) != "" {
		return "", errors.New("it must be an address that begins with https://")
	}
	return s, nil
})

// identityText is the name of an entry of identities, or an identity in words.
var identityText = text("identity")

var hostName = texts("host", func(s string) (string, error) { return lowerHost(s), nil })

func lowerHost(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }

// logLevels are the levels of a log, from the least severe.
var logLevels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

// logLevel is a level of a log by its word.
var logLevel = func() kind[slog.Level] {
	word := oneOf("debug", "info", "warning", "error")
	return kind[slog.Level]{name: word.name, words: word.words, read: func(s string) (slog.Level, error) {
		text, err := word.read(s)
		if err != nil {
			return 0, err
		}
		return logLevels[slices.Index(word.words, text)], nil
	}, show: func(l slog.Level) string { return word.words[slices.Index(logLevels, l)] }}
}()
