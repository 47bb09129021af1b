package identity

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// service is who gives the tokens of managed identities, in the forms of "Managed identities for Azure
// resources": IMDS on a virtual machine, and what stands in its place elsewhere.
type service struct {
	url, version  string
	header, value string            // shows that nobody tricked us into the request
	post          bool              // the query is in the body
	names         map[string]string // the parameter for each key that names an identity
	always        url.Values        // parameters that are always there
	answers       reply.Service     // how its answers are known
}

// imds is that of a virtual machine ("How to use managed identities for Azure resources on an Azure VM").
var imds = service{
	url: "http://169.254.169.254/metadata/identity/oauth2/token", version: "2018-02-01", header: "Metadata", value: "true",
	names: map[string]string{"client_id": "client_id", "object_id": "object_id", "resource_id": "msi_res_id"}, answers: reply.IMDS,
}

// IsIMDS reports whether an address is that of a virtual machine's identity service.
func IsIMDS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Hostname() == "169.254.169.254" && (u.Port() == "" || u.Port() == "80")
}

// service finds who has the machine's managed identities, by the variables that azidentity goes by too.
// The agent of Arc, which has a way of its own, is not among them.
func (o Options) service() (service, error) {
	env := o.Environment
	endpoint, header := env["IDENTITY_ENDPOINT"], env["IDENTITY_HEADER"]
	if endpoint != "" && header != "" && env["IDENTITY_SERVER_THUMBPRINT"] != "" {
		return service{}, errors.New("the managed identities of Service Fabric are not supported")
	}
	if endpoint != "" && header != "" { // App Service, Container Apps
		return service{
			url: endpoint, version: "2019-08-01", header: "X-IDENTITY-HEADER", value: header,
			names:   map[string]string{"client_id": "client_id", "object_id": "object_id", "resource_id": "mi_res_id"},
			answers: reply.Configured,
		}, nil
	}
	msi, value := env["MSI_ENDPOINT"], env["MSI_SECRET"]
	if msi != "" && value != "" { // Azure Machine Learning
		return service{
			url: msi, version: "2017-09-01", header: "secret", value: value,
			names:  map[string]string{"client_id": "clientid"},
			always: url.Values{"clientid": {env["DEFAULT_IDENTITY_CLIENT_ID"]}}, answers: reply.Configured,
		}, nil
	}
	if msi != "" { // Cloud Shell
		return service{url: msi, header: "Metadata", value: "true", post: true, answers: reply.Configured}, nil
	}
	return imds, nil
}

func (s service) query(i Identity, resource string) (url.Values, error) {
	query := url.Values{"resource": {resource}}
	if s.version != "" {
		query.Set("api-version", s.version)
	}
	for name := range s.always {
		query.Set(name, s.always.Get(name))
	}
	for _, f := range fields {
		v, name := *f.of(&i), s.names[f.key]
		if v == "" || f.key == "resource" {
			continue
		}
		if name == "" {
			return nil, errors.New("the service of this machine's identities cannot be asked by " + f.key)
		}
		query.Set(name, v)
	}
	return query, nil
}

// fromMachine asks whoever has the machine's managed identities: outside of Azure that is the agent of
// Arc, which has the machine's own alone.
func fromMachine(ctx context.Context, i Identity, o Options) (AccessToken, error) {
	if o.arcURL() != "" || o.arc.installed() {
		own, err := i.OnArc()
		if err != nil {
			return AccessToken{}, err
		}
		return fromArc(ctx, own, o)
	}
	s, err := o.service()
	if err != nil {
		return AccessToken{}, fault.IMDSRefused.New(i.String(), "vm", "", "").Because(err)
	}
	m := metadata{&wire{ctx: ctx, identity: i, options: o, transport: o.IMDS, service: s.answers, hidden: s.secrets()}}
	resp, err := m.ask(m, s)
	if err != nil {
		return AccessToken{}, err
	}
	if resp.StatusCode != http.StatusOK || !m.own {
		return AccessToken{}, m.fault(m)
	}
	return tokenOf(resp, "IMDS", o.now())
}

// secrets are the values that no text may repeat: a header that is not the same everywhere.
func (s service) secrets() reply.Hidden {
	if s.value == "true" {
		return nil
	}
	return reply.Hidden{s.value}
}

func (s service) request(ctx context.Context, i Identity, resource string) (*policy.Request, error) {
	query, err := s.query(i, resource)
	if err != nil {
		return nil, fault.IMDSRefused.New(i.String(), "vm", "", "").Because(err)
	}
	method, at := http.MethodGet, s.url+"?"+query.Encode()
	if s.post {
		method, at = http.MethodPost, s.url
	}
	req, err := runtime.NewRequest(ctx, method, at)
	if err != nil {
		return nil, fault.IMDSUnreachable.New().Because(err)
	}
	req.Raw().Header.Set(s.header, s.value)
	if s.post {
		err = req.SetBody(streaming.NopCloser(strings.NewReader(query.Encode())), "application/x-www-form-urlencoded")
	}
	return req, err
}

// ask asks a service of this machine, with further tries as the wire says. The answer is read already. Errors
// are faults.
func (w *wire) ask(a asked, s service) (*http.Response, error) {
	if w.transport == nil {
		return nil, fault.Internal.New().Because(errors.New("no transport to the machine's identity service"))
	}
	req, err := s.request(w.ctx, w.identity, w.identity.resource(w.options))
	if err != nil {
		return nil, fault.From(err)
	}
	client := w.client(a)
	resp, err := runtime.NewPipeline("azfilesauth", "", runtime.PipelineOptions{}, &client).Do(req)
	if err != nil {
		return nil, w.fault(a)
	}
	return resp, nil
}

const noToken = "the answer is not JSON with an access_token"

// tokenOf reads the answer of a service of this machine, in which numbers can be texts. who is for messages.
func tokenOf(resp *http.Response, who string, now time.Time) (AccessToken, error) {
	var answer struct {
		Token     string          `json:"access_token"`
		ExpiresOn json.RawMessage `json:"expires_on"` // seconds since 1970
		ExpiresIn json.RawMessage `json:"expires_in"` // seconds
	}
	problem := noToken
	if body, err := runtime.Payload(resp); err == nil && json.Unmarshal(body, &answer) == nil && answer.Token != "" {
		problem = TokenProblem([]byte(answer.Token))
	}
	if problem != "" {
		return AccessToken{}, fault.TokenInvalid.New(who, problem)
	}
	t := AccessToken{Value: secret.FromString(answer.Token)}
	if s := seconds(answer.ExpiresOn); s > 0 {
		t.ExpiresOn = time.Unix(s, 0).UTC()
	} else if s := seconds(answer.ExpiresIn); s > 0 {
		t.ExpiresOn = now.Add(time.Duration(s) * time.Second).UTC()
	}
	return t, nil
}

// seconds is a number or a text with one; 0 for anything else.
func seconds(raw json.RawMessage) int64 {
	n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 33)
	if err != nil {
		return 0
	}
	return n
}
