package azfiles

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/reply"
)

// tokenRefused says what is wrong with a refused token: what the account tells of it
// (AuthenticationErrorDetail, and its tenant in WWW-Authenticate) beside what the token says of itself. A
// wrong clock of this machine is blamed where it can be the reason.
func tokenRefused(x *exchange, r *refusal) *fault.Fault {
	if f := x.skewed(r.Answer); f != nil {
		return f
	}
	claims, _ := identity.ClaimsOf(x.token)
	authority, tenant := homeOf(r.Header)
	r.token = compare(claims, tenant, r.Hidden)
	detail := strings.ToLower(cmp.Or(r.detail, r.message))
	if strings.Contains(detail, "issuer") && tenant != "" && !strings.EqualFold(tenant, claims.TenantID) {
		return fault.TokenTenant.New(x.host(), tenant, tenantName(claims.TenantID), authority)
	}
	if strings.Contains(detail, "audience") && claims.Audience != "" && claims.Audience != x.endpoint.Cloud().Resource {
		return fault.TokenAudience.New(x.who.Identity, r.Hidden.Text(claims.Audience, reply.MaxText), x.endpoint.Cloud().Resource)
	}
	return fault.TokenRefused.New(x.host())
}

// compare puts what the account wants beside what the token is.
func compare(c identity.Claims, tenant string, hidden reply.Hidden) string {
	var parts []string
	add := func(what, value string) {
		if value = hidden.Text(value, reply.MaxWord); value != "" {
			parts = append(parts, what+" "+value)
		}
	}
	add("the account's tenant is", tenant)
	add("the token's tid", c.TenantID)
	add("its aud", c.Audience)
	if !c.Expiry.IsZero() {
		add("its exp", c.Expiry.Format(time.RFC3339))
	}
	return strings.Join(parts, ", ")
}

// homeOf finds where the account's tokens come from: the authority and the tenant in
//
//	WWW-Authenticate: Bearer authorization_uri=https://login.microsoftonline.com/TENANT/oauth2/authorize ...
//
// Both are "" when the header does not say, or says what nobody may copy into a command line.
func homeOf(h http.Header) (authority, tenant string) {
	_, rest, _ := strings.Cut(h.Get("WWW-Authenticate"), "authorization_uri=")
	rest = strings.TrimPrefix(rest, `"`)
	rest, _, _ = strings.Cut(rest, " ")
	u, err := url.Parse(strings.TrimRight(rest, `",`))
	if err != nil || u.Scheme != "https" || !hostName().MatchString(u.Host) {
		return "", ""
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if tenant = tenantName(first); tenant == "" {
		return "", ""
	}
	return "https://" + u.Host, tenant
}

// hostName is the form of an authority's host, and of a tenant, which is a GUID or the name of a domain.
var hostName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.-]{0,252}$`) })

// tenantName is a tenant as it can stand in a command, "" for anything else.
func tenantName(s string) string {
	if !hostName().MatchString(s) || !strings.ContainsAny(s, ".-") { // common and organizations are none
		return ""
	}
	return s
}
