package identity

import (
	"net/url"
	"path"
	"strings"
)

// The checks return what is wrong with a value of the text form, or "".

const (
	digits = "0123456789abcdef"
	alnum  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz0123456789"
)

func checkGUID(v string) string {
	const form = "00000000-0000-0000-0000-000000000000"
	ok := len(v) == len(form)
	for n := 0; ok && n < len(form); n++ {
		ok = form[n] == '-' && v[n] == '-' || form[n] == '0' && strings.IndexByte(digits, v[n]) >= 0
	}
	if !ok {
		return "is no GUID in lower case, such as " + form
	}
	return ""
}

// checkTenant accepts a GUID or the name of a domain. The words that stand for several tenants, such
// as common, are none: an application logs in at one.
func checkTenant(v string) string {
	if checkGUID(v) == "" {
		return ""
	}
	labels := strings.Split(v, ".")
	ok := len(labels) > 1 && len(v) <= 253 // RFC 1035, 2.3.4
	for _, l := range labels {
		ok = ok && len(l) >= 1 && len(l) <= 63 && strings.Trim(l, lower+"-") == "" && l[0] != '-' && l[len(l)-1] != '-'
	}
	if !ok {
		return "is neither a GUID nor the name of a domain in lower case"
	}
	return ""
}

// resourceIDWords are what a managed identity's id consists of; "" is a value.
func resourceIDWords() []string {
	return []string{"subscriptions", "", "resourceGroups", "", "providers", "Microsoft.ManagedIdentity", "userAssignedIdentities", ""}
}

// cleanResourceID writes the fixed words of an id as Azure does, which compares them without regard to case.
func cleanResourceID(v string) string {
	words := resourceIDWords()
	parts := strings.Split(v, "/")
	if len(parts) != len(words)+1 {
		return v
	}
	for n, word := range words {
		if strings.EqualFold(parts[n+1], word) {
			parts[n+1] = word
		}
	}
	parts[2] = strings.ToLower(parts[2])
	return strings.Join(parts, "/")
}

// checkResourceID checks the form of ids (Azure Resource Manager). The names of resource groups may
// have letters of any language, and parentheses.
func checkResourceID(v string) string {
	words := resourceIDWords()
	parts := strings.Split(v, "/")
	ok := len(parts) == len(words)+1 && parts[0] == ""
	for n := 0; ok && n < len(words); n++ {
		part := parts[n+1]
		ok = part != "" && (part == words[n] || words[n] == "" && !strings.ContainsFunc(part, notInName))
	}
	if !ok || checkGUID(parts[2]) != "" {
		return "is not of the form /subscriptions/<GUID>/resourceGroups/<name>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>"
	}
	return ""
}

// notInName reports what cannot stand in a name of Azure Resource Manager.
func notInName(r rune) bool {
	return r < 0x80 && !strings.ContainsRune(alnum+"-._()", r)
}

// checkUser accepts names as useradd(8) and directories make them, with a domain or without. What the
// user database or a command line would take for something else is refused.
func checkUser(v string) string {
	if len(v) > 256 || v[0] == '-' || strings.Trim(v, alnum+`-._@\+$`) != "" {
		return "is not the name of a user"
	}
	return ""
}

func checkPath(v string) string {
	if !path.IsAbs(v) || path.Clean(v) != v || v == "/" || strings.IndexByte(v, 0) >= 0 {
		return "is no absolute path without needless parts"
	}
	return ""
}

func checkURL(v string) string {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.ContainsAny(v, "?#") || strings.HasSuffix(v, "/") {
		return "is no https URL without a trailing slash"
	}
	return ""
}

// checkAuthority accepts the URL of a host alone: the first part of a path would be taken for the tenant.
func checkAuthority(v string) string {
	if problem := checkURL(v); problem != "" {
		return problem
	}
	if host := strings.TrimPrefix(v, "https://"); strings.Trim(host, lower+"-.:[]") != "" {
		return "is no https URL of a host in lower case and nothing else"
	}
	return ""
}
