package transport

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/http/httpproxy"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// proxyFunc says which requests go to the proxy: all but those to what is excepted, to localhost and to loopback
// addresses. Its error is a fault about the proxy's URL.
func proxyFunc(proxy *url.URL, except string) (func(*http.Request) (*url.URL, error), error) {
	if proxy == nil {
		return nil, nil
	}
	if proxy.Scheme != "http" && proxy.Scheme != "https" || proxy.Host == "" {
		return nil, fault.ConfigInvalid.New("the configuration", fmt.Sprintf("proxy: %s must be an http or https URL", proxy.Redacted()))
	}
	rules := httpproxy.Config{HTTPProxy: proxy.String(), HTTPSProxy: proxy.String(), NoProxy: except}
	choose := rules.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return choose(r.URL) }, nil
}

// Exceptions gives the canonical form of a list, with commas or spaces, of what is reached without a proxy. It is
// that of the environment variable NO_PROXY (golang.org/x/net/http/httpproxy, Config.NoProxy): a name stands for
// itself and everything below it, a name with a dot or "*." before it only for what is below; an address or a CIDR
// block is meant for hosts that are written as addresses; a name or an address can have a port; * is everything.
// It holds what is understood; the error says what is wrong with the first other entry, without showing it.
func Exceptions(list string) (string, error) {
	var all []string
	var wrong error
	between := func(r rune) bool { return r == ',' || unicode.IsSpace(r) }
	for i, entry := range strings.FieldsFunc(strings.ToLower(list), between) {
		if entry != "*." { // the root of DNS ends no host of ours, and must not make * of anything
			entry = strings.TrimSuffix(entry, ".")
		}
		if isException(entry) {
			all = append(all, entry)
		} else if wrong == nil {
			wrong = fmt.Errorf("entry %d must be a host, a suffix such as .example.com, an address, a CIDR block such as 10.0.0.0/8, or *", i+1)
		}
	}
	return strings.Join(all, ","), wrong
}

// isException reports whether httpproxy understands an entry, of which it ignores the others.
func isException(entry string) bool {
	if entry == "*" {
		return true
	}
	if _, _, err := net.ParseCIDR(entry); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(entry); err == nil {
		return !strings.Contains(entry, "%")
	}
	if host, port, err := net.SplitHostPort(entry); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return !strings.Contains(host, "%")
		}
		entry = host
	}
	name := strings.TrimPrefix(strings.TrimPrefix(entry, "*."), ".")
	foreign := func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	return name != "" && name[0] != '.' && name[len(name)-1] != '.' && !strings.ContainsFunc(name, foreign)
}
