// Package identity knows who we are to Entra and obtains access tokens for it.
//
// An Identity is a small value: a kind and what the kind needs to be told, such as a client id. It
// never holds a secret, only where one is, and has a text form of one line that stands in
// credential caches and messages. Each kind lives in a file of its own, as a function that returns
// its rules: what its text form takes and how its tokens come about.
//
// Invariants: equal identities have equal text and compare equal with ==; Parse reads back exactly
// what String writes; no error of this package holds a token, a secret, an assertion or a key, even
// when the other side repeats it. A credential goes to authorities that are public or that root's
// configuration names, and what is on neither list is refused before a file is read. Nothing here keeps
// a token: every call of Token asks anew and reads the files anew, because the library's own caches
// would hand out a token that was just refused.
//
// The managed identity client of azidentity looks at IDENTITY_ENDPOINT, IDENTITY_HEADER,
// IDENTITY_SERVER_THUMBPRINT, MSI_ENDPOINT, MSI_SECRET and IMDS_ENDPOINT in the environment to choose
// whom to ask. This package relies on the program having removed those that it inherited before it
// calls Token; what root's configuration sets instead is meant to count.
package identity

import (
	"context"
	"net/http"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// Kind is a way of being somebody to Entra.
type Kind string

// The kinds of identities.
const (
	System           Kind = "system"            // the machine's own managed identity
	UserAssigned     Kind = "user-assigned"     // a managed identity that is assigned to the machine
	Workload         Kind = "workload"          // an application that trusts a token of another issuer, as of Kubernetes
	ServicePrincipal Kind = "service-principal" // an application with a secret or a certificate
	CLI              Kind = "cli"               // a person who has logged in with the Azure CLI
	Arc              Kind = "arc"               // the identity that Azure Arc gives a machine outside of Azure
	Token            Kind = "token"             // whoever an access token from elsewhere was issued to
)

// Identity is who we are to Entra. Which fields are set depends on the kind; Validate tells.
type Identity struct {
	Kind            Kind
	ClientID        string // a GUID in lower case, as the two that follow
	ObjectID        string
	ResourceID      string // that of a managed identity in Azure Resource Manager
	TenantID        string // a GUID or the name of a domain, in lower case
	TokenFile       string // an absolute path, as the two that follow
	SecretFile      string
	CertificateFile string
	User            string // the name of a user of this machine
	Authority       string // where Entra issues tokens, an https URL of a host alone; "" is that of the endpoint's cloud
	Resource        string // the audience of the token, an https URL without a trailing slash; "" likewise
}

// AccessToken is an OAuth bearer token for storage accounts.
type AccessToken struct {
	Value     secret.Value
	ExpiresOn time.Time // zero when nobody said
	Hint      string    // something about its source that is worth mending, "" when there is nothing
}

// Options are the surroundings of Token.
type Options struct {
	Cloud     endpoint.Cloud    // the endpoint's; the zero Cloud is the public one
	Transport http.RoundTripper // to Entra
	IMDS      http.RoundTripper // to the machine's identity service, never through a proxy
	Now       func() time.Time  // the clock; nil is time.Now
	Attempts  int               // how often to ask at most; zero is 7

	// Authorities are those that root's configuration names, beside the public ones and Cloud's. A
	// credential goes to no other.
	Authorities []string

	retryDelay time.Duration // before the first retry; zero is firstRetry
	arc        arcPlaces     // empty parts are the real ones
	users      userLookup    // nil is the machine's
	azFolders  []string      // where az is looked for; nil is azFolders()
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// rules are what a kind consists of.
type rules struct {
	needs, takes []string // keys of the text form that must and that may be there
	oneOf        []string // keys of which exactly one must be there
	refreshable  func(Identity) bool
	token        func(context.Context, Identity, Options) (AccessToken, error)
}

func (k Kind) rules() (rules, bool) {
	switch k {
	case System:
		return system(), true
	case UserAssigned:
		return userAssigned(), true
	case Workload:
		return workload(), true
	case ServicePrincipal:
		return servicePrincipal(), true
	case CLI:
		return azureCLI(), true
	case Arc:
		return arc(), true
	case Token:
		return token(), true
	}
	return rules{}, false
}

// Username is what mount.cifs gets as username=: the client id, or root for identities that have
// none. Kernels share SMB sessions by it, so that two identities must not have the same needlessly.
// An object id would do for the kernel, but whoever meets a GUID there takes it for a client id.
func (i Identity) Username() string {
	if i.ClientID != "" {
		return i.ClientID
	}
	return "root"
}

// ClientID gives a user name in the form of a client id if it is one, else "".
func ClientID(username string) string {
	id := Identity{Kind: UserAssigned, ClientID: username}.Clean()
	if id.Validate() != nil {
		return ""
	}
	return id.ClientID
}

// Refreshable reports whether a new token can be had without a person.
func (i Identity) Refreshable() bool {
	r, ok := i.Kind.rules()
	return ok && r.refreshable(i)
}

// Token obtains an access token for storage accounts. Its errors are faults; ctx bounds the retries.
func (i Identity) Token(ctx context.Context, o Options) (AccessToken, error) {
	if err := i.Validate(); err != nil {
		return AccessToken{}, err
	}
	r, _ := i.Kind.rules()
	return r.token(ctx, i, o)
}

// resource is the audience to ask for.
func (i Identity) resource(o Options) string {
	for _, s := range []string{i.Resource, o.Cloud.Resource} {
		if s != "" {
			return s
		}
	}
	return endpoint.Public.Resource
}

// always and invalid shorten the kinds' files.
func always(Identity) bool { return true }

func invalid(problem string) error {
	return fault.IdentityInvalid.New(problem)
}
