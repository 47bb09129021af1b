// Package identity knows who we are to Entra and obtains access tokens for it.
//
// An Identity is a small value: a kind and what the kind needs to be told, such as a client id. It
// never holds a secret, only where one is, and has a text form of one line that stands in
// credential caches and messages. What kinds there are, what the
// text form of each takes and how its tokens come about is one table, kinds.
//
// Invariants: equal identities have equal text and compare equal with ==; Parse reads back exactly
// what String writes; no error of this package holds a token, a secret, an assertion or a key, even
// when the other side repeats it. A credential goes to authorities that are public or that root's
// configuration names, and what is on neither list is refused before a file is read. Nothing here keeps
// a token: every call of Token asks again and reads the files again, because the library's own caches
// would hand out a token that was just refused.
//
// A machine's managed identities are asked for here and not by azidentity, which chooses whom to ask by
// the environment of the process. Ours is a value, Options.Environment, so that what root's configuration
// no longer says is gone at once.
package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/host"
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
	Hint      string    // something about its source that is worth fixing, "" when there is nothing
}

// Options are the surroundings of Token.
type Options struct {
	Cloud     endpoint.Cloud    // the endpoint's; the zero Cloud is the public one
	Transport http.RoundTripper // to Entra
	IMDS      http.RoundTripper // to the machine's identity service, never through a proxy
	Host      host.Host         // its clock, users and files; the zero Host is this machine
	Attempts  int               // how often to ask at most; zero is 7
	Owner     int               // the credential uid, whose files will do as well as root's; zero is root

	// Authorities are those that root's configuration names, beside the public ones and Cloud's. A
	// credential goes to no other.
	Authorities []string

	// Environment is what root's configuration has under ENVIRONMENT: whom to ask for the tokens of
	// managed identities. The process's own environment never counts.
	Environment map[string]string

	// NoPrograms keeps az from being run: nobody waits for it, and it is another user's code.
	NoPrograms bool

	retryDelay time.Duration // before the first retry; zero is firstRetry
	arc        arcPlaces     // empty parts are the real ones
	azDirs     []string      // where az is looked for; nil is azDirs()
}

func (o Options) now() time.Time { return o.host().Now() }

func (o Options) host() host.Host {
	if o.Host.Now == nil {
		return host.Real()
	}
	return o.Host
}

// rules are what a kind consists of. Keys are those of the text form.
type rules struct {
	kind         Kind
	needs, takes []string            // keys that must and that may be there, beside resource
	oneOf        []string            // keys of which exactly one must be there
	once         func(Identity) bool // a new token cannot be had without a person; nil is never
	token        func(context.Context, Identity, Options) (AccessToken, error)
}

// kinds is the one table of kinds, in the order in which messages name them; fields is that of their keys.
var kinds = []rules{
	{kind: System, token: fromMachine},
	{kind: Arc, token: fromArc},
	{kind: Workload, needs: []string{"tenant_id", "client_id", "token_file"}, takes: []string{"authority_host"}, token: fromEntra},
	{kind: CLI, takes: []string{"user"}, once: func(i Identity) bool { return i.User == "" }, token: fromAz},
	{kind: Token, takes: []string{"token_file"}, once: func(i Identity) bool { return i.TokenFile == "" }, token: fromFile},
	{kind: UserAssigned, oneOf: []string{"client_id", "object_id", "resource_id"}, token: fromMachine},
	{
		kind: ServicePrincipal, needs: []string{"tenant_id", "client_id"}, takes: []string{"authority_host"},
		oneOf: []string{"secret_file", "certificate_file"}, token: fromEntra,
	},
}

// Kinds are the words of all kinds.
func Kinds() []string {
	words := make([]string, len(kinds))
	for n, r := range kinds {
		words[n] = string(r.kind)
	}
	return words
}

func rulesOf(k Kind) (rules, bool) {
	n := slices.IndexFunc(kinds, func(r rules) bool { return r.kind == k })
	if n < 0 {
		return rules{}, false
	}
	return kinds[n], true
}

// Username is what mount.cifs gets as username=: the client id, or a label for identities that have
// none. The kernel repeats it at every login, which is how the login's identity is told, and kernels share SMB sessions
// by it. The label is the kind and a hash of the text form, in letters, digits and dashes; it is no longer than a client
// id, which every mount.cifs takes. An object id would do as well, but whoever meets a GUID there takes it for a client id.
func (i Identity) Username() string {
	if i.ClientID != "" {
		return i.ClientID
	}
	sum := sha256.Sum256([]byte(i.String()))
	return labelStart + string(i.Kind) + "-" + hex.EncodeToString(sum[:labelHash])
}

// The parts of a label: azfiles-system-0123456789ab.
const (
	labelStart = "azfiles-"
	labelHash  = 6 // bytes
)

// isLabel reports whether a user name has the form of Username's labels.
func isLabel(username string) bool {
	rest, ok := strings.CutPrefix(username, labelStart)
	dash := len(rest) - 2*labelHash - 1
	return ok && dash > 0 && rest[dash] == '-' &&
		strings.Trim(rest[:dash], "abcdefghijklmnopqrstuvwxyz-") == "" && strings.Trim(rest[dash+1:], "0123456789abcdef") == ""
}

// Selector gives the identity's Username that a mount was made with, "" when the user name of the mount, such as root,
// tells nothing of an identity.
func Selector(username string) string {
	if isLabel(username) {
		return username
	}
	return ClientID(username)
}

// ClientID gives a user name in the form of a client id if it is one, else "".
func ClientID(username string) string {
	id := Identity{Kind: UserAssigned, ClientID: username}.clean()
	if checkGUID(id.ClientID) != "" {
		return ""
	}
	return id.ClientID
}

// Refreshable reports whether a new token can be had without a person.
func (i Identity) Refreshable() bool {
	r, ok := rulesOf(i.Kind)
	return ok && (r.once == nil || !r.once(i))
}

// Token obtains an access token for storage accounts. Its errors are faults; ctx bounds the retries.
func (i Identity) Token(ctx context.Context, o Options) (AccessToken, error) {
	if err := i.Validate(); err != nil {
		return AccessToken{}, err
	}
	r, _ := rulesOf(i.Kind) // Validate knows it
	return r.token(ctx, i, o)
}

// TokenName names the token that Token would obtain by everything that it depends on: who asks, whom and
// for what, and the assertion that is in the token file now. It is a hash, because root can list keys by
// name.
func (i Identity) TokenName(o Options) string {
	parts := []string{i.String(), cmp.Or(i.Authority, o.Cloud.Authority), i.resource(o)}
	for _, name := range slices.Sorted(maps.Keys(o.Environment)) {
		parts = append(parts, name, o.Environment[name])
	}
	if i.Kind == Token && o.Owner != 0 { // what he may hand over is not for others
		parts = append(parts, strconv.Itoa(o.Owner))
	}
	if i.Kind == Workload {
		assertion, _, _ := o.readToken(i.TokenFile) // Token tells what is wrong with it
		parts = append(parts, string(assertion))
	}
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// resource is the audience to ask for.
func (i Identity) resource(o Options) string {
	return cmp.Or(i.Resource, o.Cloud.Resource, endpoint.Public.Resource)
}
