package azfiles

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
)

// refusal is an answer of the storage account other than 200. Its texts can be shown.
type refusal struct {
	*reply.Answer
	code, message, detail, requestID string

	token string // what is to know about the token that was refused, "" when it was not the token
	note  string // what else can be the reason
}

// Error has what is short and says most first, because what is long is cut at its end.
func (r *refusal) Error() string {
	text := fmt.Sprintf("%d %s", r.Status, r.code)
	if r.code == "" {
		text = fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status))
	}
	if r.requestID != "" {
		text += ", request id " + r.requestID
	}
	for _, part := range []string{r.detail, r.token} {
		if part != "" {
			text += ": " + part
		}
	}
	if r.message != "" && r.detail == "" { // beside a detail the message only says that there is one
		text += ": " + r.message
	}
	if r.note != "" {
		text += " (" + r.note + ")"
	}
	return text
}

// meaning is one row of the table of refusals. An empty condition holds always.
type meaning struct {
	statuses []int    // one of these; 5 stands for 500 to 599
	codes    []string // one of these is the code
	parts    []string // one of these, in lower case, stands in the code or the message
	fault    func(*exchange, *refusal) *fault.Fault
}

// meanings is the table of refusals; the first row that fits decides, and none is AzureRefused. The codes are
// those of "Common REST API error codes" that a POST without a body and with a bearer token can meet, and of
// "Azure Files error codes". Of the operation itself Azure publishes little, hence the words, and the code
// and the message are always shown as well.
var meanings = []meaning{
	{nil, []string{"AuthorizationPermissionMismatch"}, nil, roleMissing},
	{nil, []string{"IpAuthorizationError", "AuthorizationSourceIPMismatch"}, nil, networkRules},
	{nil, []string{"AuthorizationFailure"}, []string{"network security perimeter"}, perimeter},
	{nil, []string{"AuthorizationFailure"}, []string{"network", "firewall", "ip address", "private endpoint"}, networkRules},
	{nil, []string{"AccountIsDisabled"}, nil, ofAccount(fault.AccountDisabled)},
	{nil, []string{"AccountBeingCreated", "InsufficientAccountPermissions"}, nil, ofAccount(fault.AccountChanging)},
	{[]int{400, 403, 409, 503}, nil, []string{"failover", "failed over", "migrat", "read-only", "resource is locked"}, ofAccount(fault.AccountChanging)},
	{[]int{400, 403, 409}, nil, []string{"oauth", "smb"}, ofAccount(fault.SMBOAuthOff)},
	{nil, []string{"AuthorizationFailure"}, nil, networkRulesPerhaps},
	{nil, []string{
		"InvalidAuthenticationInfo", "AuthenticationFailed", "NoAuthenticationInformation", "KeyBasedAuthenticationNotPermitted",
		"PublicAccessNotPermitted", "AuthorizationProtocolMismatch",
	}, nil, tokenRefused},
	{[]int{401}, nil, nil, tokenRefused},
	{nil, []string{
		"InvalidHeaderValue", "UnsupportedHeader", "MissingRequiredHeader", "MissingContentLengthHeader", "InvalidHttpVerb", "UnsupportedHttpVerb",
		"InvalidUri", "RequestUrlFailedToParse", "InvalidQueryParameterValue", "UnsupportedQueryParameter", "OutOfRangeQueryParameterValue",
		"MissingRequiredQueryParameter", "InvalidInput", "OutOfRangeInput", "InvalidResourceName", "ResourceTypeMismatch",
		"InvalidXmlDocument", "MissingRequiredXmlNode", "ConditionHeadersNotSupported", "RequestBodyTooLarge",
		"AuthorizationServiceMismatch", "AuthorizationResourceTypeMismatch", "FeatureVersionMismatch", "UnsupportedVersion",
	}, nil, unsupported},
	{[]int{405, 411, 501}, nil, nil, unsupported},
	{[]int{404}, nil, nil, accountNotFound},
	{nil, []string{"ServerBusy", "InternalError", "OperationTimedOut"}, nil, ofHost(fault.AzureBusy)},
	{[]int{408, 429, 5}, nil, nil, ofHost(fault.AzureBusy)},
}

// ofAccount is a kind of failure that names the account alone, ofHost one that names its host.
func ofAccount(k fault.Kind1) func(*exchange, *refusal) *fault.Fault {
	return func(x *exchange, _ *refusal) *fault.Fault { return k.New(x.endpoint.Account()) }
}

func ofHost(k fault.Kind1) func(*exchange, *refusal) *fault.Fault {
	return func(x *exchange, _ *refusal) *fault.Fault { return k.New(x.host()) }
}

func roleMissing(x *exchange, _ *refusal) *fault.Fault {
	return fault.RoleMissing.New(x.who.Identity, x.endpoint.Account(), x.who.Principal)
}

func networkRules(x *exchange, _ *refusal) *fault.Fault {
	return fault.NetworkRules.New(x.endpoint.Account(), x.who.Principal)
}

// perimeter is for accounts whose network rules do not count: the association with a perimeter enforces its own.
func perimeter(x *exchange, r *refusal) *fault.Fault {
	return networkRules(x, r).First("use the account's private endpoint, to which a perimeter does not apply, or let this network in: " +
		"az network perimeter profile access-rule create -g <resource-group> --perimeter-name <perimeter> --profile-name <profile> -n <name> --address-prefixes '[<public address>/32]'")
}

// networkRulesPerhaps is for the code that a storage firewall gives without a word about networks. It is
// also given where a role is missing, though that mostly has a code of its own.
func networkRulesPerhaps(x *exchange, r *refusal) *fault.Fault {
	r.note = "most often the network rules; a missing role can be the reason too"
	return networkRules(x, r)
}

func accountNotFound(x *exchange, _ *refusal) *fault.Fault {
	return fault.AccountNotFound.New(x.endpoint.Account(), x.host())
}

func unsupported(x *exchange, _ *refusal) *fault.Fault {
	return fault.Unsupported.New(x.host(), x.endpoint.Account())
}

// RefusesToken reports whether an exchange failed because of its token, so that another one of the identity
// could be accepted.
func RefusesToken(err error) bool {
	return fault.Is(err, fault.TokenRefused, fault.TokenTenant, fault.TokenAudience)
}

// RefusesIdentity reports whether an exchange failed because of what the identity may do. A token issued later
// can be accepted: it names the groups and roles of its time.
func RefusesIdentity(err error) bool { return fault.Is(err, fault.RoleMissing, fault.NetworkRules) }

// matches judges the words without the account's name, which can hold any of them.
func (m meaning) matches(r *refusal, account string) bool {
	text := strings.ReplaceAll(strings.ToLower(r.code+" "+r.message), account, "")
	return (m.statuses == nil || slices.Contains(m.statuses, r.Status) || slices.Contains(m.statuses, r.Status/100)) &&
		(m.codes == nil || slices.ContainsFunc(m.codes, func(c string) bool { return strings.EqualFold(c, r.code) })) &&
		(m.parts == nil || slices.ContainsFunc(m.parts, func(p string) bool { return strings.Contains(text, p) }))
}

// refused makes the fault of an answer of the account other than 200.
func (x *exchange) refused(a *reply.Answer, d reply.Document) *fault.Fault {
	r := &refusal{
		Answer: a, code: a.Hidden.Text(d.Code, reply.MaxWord), requestID: a.Hidden.Text(d.RequestID, reply.MaxWord),
		message: a.Hidden.Text(d.Message, reply.MaxText), detail: a.Hidden.Text(d.Detail, reply.MaxText),
	}
	means := ofHost(fault.AzureRefused)
	if n := slices.IndexFunc(meanings, func(m meaning) bool { return m.matches(r, x.endpoint.Account()) }); n >= 0 {
		means = meanings[n].fault
	}
	f := means(x, r)
	if fault.Is(f, fault.ClockSkew) {
		return f
	}
	f.RetryAfter = a.RetryAfter()
	return x.clean(f.Because(r))
}
