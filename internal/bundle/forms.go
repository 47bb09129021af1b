package bundle

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// The forms of values that hold no secret. They are narrow, because people put secrets in the wrong
// place.
var (
	filePath = lazily(`^(FILE:)?/[A-Za-z0-9._%{}@:/+-]{1,200}$`)
	guid     = lazily(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	number   = lazily(`^-?[0-9]{1,10}(\.[0-9]{1,6})?(%|ms|s|m|h)?([0-9]{1,4}(ms|s|m))?$`)
	octal    = lazily(`^0[0-7]{3,4}$`)
	domain   = lazily(`^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){1,8}$`)
	webPlace = lazily(`^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[a-z0-9./_-]{0,100})?$`)
	resource = lazily(`^/subscriptions/[0-9a-fA-F-]{36}/[A-Za-z0-9._()/-]{1,200}$`)
	address  = lazily(`^[0-9a-fA-F.:]{2,45}$`)
	account  = lazily(`^[a-z_][a-z0-9_-]{0,31}$`)
	// principalName is that of a name that a Kerberos principal of ours can have, a further identity's among them.
	principalName = lazily(`^[A-Za-z0-9_.@:-]{1,100}(/[A-Za-z0-9_.-]{1,253}){0,2}(@[A-Za-z0-9.-]{0,253})?$`)
)

type form func(string) bool

func matches(forms ...func() *regexp.Regexp) form {
	return func(value string) bool {
		return slices.ContainsFunc(forms, func(f func() *regexp.Regexp) bool { return f().MatchString(value) }) && !random(value)
	}
}

// oneOf is for values of which there are only some.
func oneOf(words ...string) form {
	return func(value string) bool { return slices.Contains(words, strings.ToLower(value)) }
}

func anyOf(forms ...form) form {
	return func(value string) bool { return slices.ContainsFunc(forms, func(f form) bool { return f(value) }) }
}

var kinds = oneOf(append((&config.Config{}).IdentityNames(), "")...)

// forms are those of the kinds of values that the configuration's table has.
var forms = map[string]form{
	"uid": anyOf(matches(number), oneOf("local")), "path": matches(filePath), "URL": matches(webPlace), "host": matches(domain),
	"number": matches(number), "seconds": matches(number), "time": matches(number), "fraction": matches(number),
	"kind": kinds, "guid": anyOf(matches(guid), oneOf("system")), "tenant": matches(guid, domain), "name": matches(account),
	"id": func(v string) bool { return resource().MatchString(v) }, // its names may look random
}

func principal(text string) bool {
	pieces := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("/@.", r) })
	return principalName().MatchString(text) && !slices.ContainsFunc(pieces, random)
}

// showOrRedact gives a value that has the form, and REDACTED for another one, which is then a secret.
func (s *secrets) showOrRedact(value string, ok form) string {
	if value == "" || ok != nil && ok(value) {
		return value
	}
	s.add([]byte(value))
	return secret.Redacted
}

// location shows of a URL where it leads, and of another text nothing. One that url.Parse does not
// understand may hold anything.
func (s *secrets) location(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || !webPlace().MatchString(u.Scheme+"://"+u.Host) {
		return s.showOrRedact(value, nil)
	}
	if u.User == nil {
		return u.Scheme + "://" + u.Host
	}
	password, _ := u.User.Password()
	for _, text := range []string{u.User.String(), u.User.Username(), password} {
		s.add([]byte(text))
	}
	return u.Scheme + "://" + secret.Redacted + "@" + u.Host
}
