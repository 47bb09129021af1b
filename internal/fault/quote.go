package fault

import "strings"

// commands are the places for parts of a fix that we have made ourselves, of Words.
var commands = []string{"identities", "program", "repair"}

// Word is a value as one word for a POSIX shell, for a command that people paste: every value that a fix
// names goes through it. What could not be one word on one line, or does not match the grammar of what
// name stands for, is left out: "<name>".
func Word(name, value string) string {
	if !presentable(name, value) {
		return "<" + name + ">"
	}
	if strings.Trim(value, safe) == "" && !strings.HasPrefix(value, "-") {
		return value
	}
	return "'" + quoteInner(value) + "'"
}

// quoteInner is a value that stands between single quotes of a text.
func quoteInner(value string) string { return strings.ReplaceAll(value, "'", `'\''`) }

const (
	lower   = "abcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
	letters = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + digits
	safe    = letters + "@%+=:,./_-" // that no shell takes for anything else within a word
)

// grammars are the characters of values that others choose: tokens, answers and requests that nobody has
// verified. The names are those of the places in the table. What has no grammar is quoted alone.
var grammars = map[string]string{
	"account":   lower + digits + "-",     // "Naming rules": 3 to 24 letters and digits, and a suffix
	"audience":  letters + ":/._-",        // of an assertion
	"charset":   letters + "-_",           // of iocharset=
	"client":    letters + "-",            // a GUID
	"code":      letters,                  // of Entra
	"host":      letters + ".-_:[]%",      // RFC 1035, RFC 4291
	"issuer":    letters + ":/._-",        // an https URL
	"principal": letters + "-",            // a GUID
	"resource":  letters + ":/._-",        // an https URL
	"subject":   letters + ":/._-",        // system:serviceaccount:NAMESPACE:NAME
	"unit":      letters + `:_.\@-`,       // systemd.unit(5)
	"user":      letters + "_.-@$+" + `\`, // passwd(5), and DOMAIN\user
}

// presentable reports whether a value can stand in a command at all.
func presentable(name, value string) bool {
	grammar, known := grammars[name]
	if known && (strings.Trim(value, grammar) != "" || strings.HasPrefix(value, "-")) {
		return false
	}
	return value != "" && Line(value) == value
}

// domain is the place in a Fix for the domain of the account's host, the first value. Each cloud and DNS zone has its own.
const domain = "domain"

// domainOf gives it, that of the public cloud where the host is not known or no account's.
func domainOf(values []string) string {
	host := strings.Join(values[:min(1, len(values))], "")
	_, of, _ := strings.Cut(host, ".")
	of = strings.TrimPrefix(of, "privatelink.")
	if !presentable("host", host) || !strings.Contains("."+of, ".file.") {
		return "file.core.windows.net"
	}
	return of
}
