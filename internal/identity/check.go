package identity

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
)

// The checks return what is wrong with a value of the text form, or "". What clean corrects, such as the case of letters,
// is not told.

const (
	lower = "abcdefghijklmnopqrstuvwxyz0123456789"

	zeroGUID  = "00000000-0000-0000-0000-000000000000"
	guidForm  = `[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}`
	labelForm = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?` // RFC 1035, 2.3.4
	// nameForm is a name of Azure Resource Manager; those of resource groups may have letters of any language.
	nameForm = `([\w.()-]|[^\x00-\x7f])+`
	userForm = `[\w.@\\+$][\w.@\\+$-]{0,255}`

	// resourceIDForm is the id of a managed identity; its values are a GUID and two names.
	resourceIDForm = "/subscriptions/%s/resourceGroups/%s/providers/Microsoft.ManagedIdentity/userAssignedIdentities/%s"
)

var (
	checkDomain = matching(labelForm+`(\.`+labelForm+`)+`, "must be a domain name")

	checkName       = matching(nameForm, "must be the name of a resource")
	checkResourceID = matching(fmt.Sprintf(resourceIDForm, guidForm, nameForm, nameForm), "is not of the form "+fmt.Sprintf(resourceIDForm, "<GUID>", "<name>", "<name>"))

	// checkUser accepts names as useradd(8) and directories make them, with a domain or without. What the
	// user database or a command line would take for something else is refused.
	checkUser = matching(userForm, "is not the name of a user")
)

// checkGUID is done at each login, of a user name that is rarely a GUID: compiling a pattern would take longer than the rest.
func checkGUID(v string) string {
	ok := len(v) == len(zeroGUID)
	for i := 0; ok && i < len(v); i++ {
		b := v[i]
		ok = zeroGUID[i] == '-' && b == '-' || zeroGUID[i] == '0' && ('0' <= b && b <= '9' || 'a' <= b && b <= 'f')
	}
	if ok {
		return ""
	}
	return "must be a GUID, such as " + zeroGUID
}

// matching makes a check of a pattern, which is compiled when the first value is checked.
func matching(pattern, problem string) func(string) string {
	whole := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\A(?:` + pattern + `)\z`) })
	return func(v string) string {
		if whole().MatchString(v) {
			return ""
		}
		return problem
	}
}

// checkTenant accepts a GUID or the name of a domain. The words that stand for several tenants, such
// as common, are none: an application logs in at one.
func checkTenant(v string) string {
	if checkGUID(v) != "" && (checkDomain(v) != "" || len(v) > 253) { // RFC 1035, 2.3.4
		return "must be a GUID or the name of a domain, such as contoso.onmicrosoft.com"
	}
	return ""
}

// anyResourceID finds the values of an id that is written in any case.
var anyResourceID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\A` + fmt.Sprintf(resourceIDForm, "([^/]*)", "([^/]*)", "([^/]*)") + `\z`)
})

// cleanResourceID writes the fixed words of an id as Azure does, which compares them without regard to case.
func cleanResourceID(v string) string {
	if v == "" { // most identities have none, and no use for the pattern
		return ""
	}
	m := anyResourceID().FindStringSubmatch(v)
	if m == nil {
		return v
	}
	return fmt.Sprintf(resourceIDForm, strings.ToLower(m[1]), m[2], m[3])
}

func checkPath(v string) string {
	if !path.IsAbs(v) || path.Clean(v) != v || v == "/" || strings.IndexByte(v, 0) >= 0 {
		return "must be an absolute path in its shortest form"
	}
	return ""
}

// CheckURL tells what is wrong with the address of a service that gets or gives tokens, "" for nothing.
func CheckURL(v string) string {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.ContainsAny(v, "?#") || strings.HasSuffix(v, "/") {
		return "must be an https URL without a user name, a query or a fragment"
	}
	return ""
}

// checkAuthority accepts the URL of a host alone: the first part of a path would be taken for the tenant.
func checkAuthority(v string) string {
	if problem := CheckURL(v); problem != "" {
		return problem
	}
	if host := strings.TrimPrefix(v, "https://"); strings.Trim(host, lower+"-.:[]") != "" {
		return "must be an https URL of a host alone"
	}
	return ""
}
