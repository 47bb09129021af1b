package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// Azure Arc's agent, as "Authenticate against Azure resources with Azure Arc-enabled servers" has it.
const (
	arcEndpoint = "http://127.0.0.1:40342/metadata/identity/oauth2/token"
	arcVersion  = "2020-06-01"
	arcFolder   = "/var/opt/azcmagent/tokens"
	arcProgram  = "/opt/azcmagent/bin/himds"
	maxArcKey   = 4096 // bytes
)

// arcPlaces are where the agent has its things; empty ones are the usual places.
type arcPlaces struct{ folder, program string }

// installed reports whether the machine has the agent.
func (p arcPlaces) installed() bool {
	_, err := os.Stat(or(p.program, arcProgram))
	return err == nil
}

// arc is the identity that Azure Arc gives a machine outside of Azure. azidentity knows it, but takes
// the agent for there only by environment variables or by the agent's program, which a container
// does not have, and keeps its refusals to itself; it is two requests.
func arc() rules {
	return rules{
		takes:       []string{"resource"},
		refreshable: always,
		token:       fromArc,
	}
}

// fromArc asks the agent, which answers with the name of a key file that only root and the agent's
// group can read, and asks again with what is in the file.
func fromArc(ctx context.Context, i Identity, o Options) (AccessToken, error) {
	if o.IMDS == nil {
		return AccessToken{}, fault.Internal.New().Because(errors.New("no transport to the agent of Azure Arc"))
	}
	w := &wire{ctx: ctx, transport: o.IMDS, busy: entraBusy}
	p := runtime.NewPipeline("azfilesauth", "", runtime.PipelineOptions{}, &policy.ClientOptions{Transport: w, Retry: w.retries(o)})
	a := agent{wire: w, pipeline: p, resource: i.resource(o)}
	resp, err := a.ask("")
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return AccessToken{}, a.fault()
	}
	key, err := o.arc.key(resp.Header.Get("WWW-Authenticate"))
	if err != nil {
		return AccessToken{}, err
	}
	if resp, err = a.ask(key); err != nil || resp.StatusCode != http.StatusOK {
		return AccessToken{}, a.fault()
	}
	return tokenOf(resp)
}

// agent is one question to the agent.
type agent struct {
	*wire
	pipeline runtime.Pipeline
	resource string
}

// ask makes a request, with the key of its challenge if there is one. wire has closed the answer.
func (a agent) ask(key string) (*http.Response, error) {
	query := url.Values{"api-version": {arcVersion}, "resource": {a.resource}}
	req, err := runtime.NewRequest(a.ctx, http.MethodGet, arcEndpoint+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	req.Raw().Header.Set("Metadata", "true")
	if key != "" {
		req.Raw().Header.Set("Authorization", "Basic "+key)
	}
	return a.pipeline.Do(req)
}

// fault says why there is no token.
func (a agent) fault() error {
	refusal := fmt.Errorf("it answered %d %s", a.status, a.text)
	switch {
	case errors.Is(a.ctx.Err(), context.Canceled):
		return fault.Interrupted.New().Because(a.ctx.Err())
	case a.err != nil:
		return fault.ArcUnreachable.New().Because(a.err)
	case a.status == 0: // never asked: ctx had ended
		return fault.ArcUnreachable.New().Because(a.ctx.Err())
	case a.busy(a.status):
		f := fault.ArcUnreachable.New().Because(refusal)
		f.RetryAfter = a.wait
		return f
	case a.status == http.StatusOK:
		refusal = errors.New("it gave a token without asking for its key")
	}
	return fault.ArcRefused.New().Because(refusal)
}

// key reads the file that a challenge names. Whoever listens in the agent's place must not learn what
// is in other files.
func (p arcPlaces) key(challenge string) (string, error) {
	name, ok := strings.CutPrefix(challenge, "Basic realm=")
	name = strings.Trim(name, `"`)
	if !ok || filepath.Dir(name) != or(p.folder, arcFolder) || filepath.Ext(name) != ".key" || filepath.Clean(name) != name {
		return "", fault.ArcRefused.New().Because(errors.New("its challenge names no key file in " + or(p.folder, arcFolder)))
	}
	text, _, err := read(name, maxArcKey, os.Lstat, syscall.O_NOFOLLOW)
	if err != nil {
		return "", fault.ArcKey.New(name, err.Error())
	}
	key := strings.TrimSpace(string(text))
	if problem := tokenProblem([]byte(key)); problem != "" {
		return "", fault.ArcKey.New(name, problem)
	}
	return key, nil
}

// tokenOf reads the agent's answer, in which numbers are texts.
func tokenOf(resp *http.Response) (AccessToken, error) {
	var answer struct {
		Token     string      `json:"access_token"`
		ExpiresOn json.Number `json:"expires_on"`
	}
	problem := "the answer is no JSON with an access_token"
	if body, err := runtime.Payload(resp); err == nil && json.Unmarshal(body, &answer) == nil && answer.Token != "" {
		problem = tokenProblem([]byte(answer.Token))
	}
	if problem != "" {
		return AccessToken{}, fault.TokenInvalid.New("the agent of Azure Arc", problem)
	}
	t := AccessToken{Value: secret.FromString(answer.Token)}
	if s, err := answer.ExpiresOn.Int64(); err == nil && s > 0 {
		t.ExpiresOn = time.Unix(s, 0).UTC()
	}
	return t, nil
}

func or(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}
