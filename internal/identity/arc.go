package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/reply"
)

// Azure Arc's agent, as "Authenticate against Azure resources with Azure Arc-enabled servers" has it.
const (
	arcPort     = "40342"
	arcEndpoint = "http://127.0.0.1:" + arcPort + "/metadata/identity/oauth2/token"
	arcVersion  = "2020-06-01"
	arcDir      = "/var/opt/azcmagent/tokens"
	maxArcKey   = 4096 // bytes
)

// ArcProgram is the agent's program. Where it is installed the agent takes the place of a virtual machine's identity service.
const ArcProgram = "/opt/azcmagent/bin/himds"

// arcPlaces are where the agent has its things; empty ones are the usual places.
type arcPlaces struct{ dir, program string }

// installed reports whether the machine has the agent.
func (p arcPlaces) installed() bool {
	_, err := os.Stat(cmp.Or(p.program, ArcProgram))
	return err == nil
}

// arcURL is where the configuration says that the agent is, "" when it does not: with the variables by
// which azidentity knows it, or on the agent's port, as the examples of AzFilesAuthenticator have it.
func (o Options) arcURL() string {
	env := o.Environment
	if env["IDENTITY_HEADER"] != "" {
		return ""
	}
	if env["IDENTITY_ENDPOINT"] != "" && env["IMDS_ENDPOINT"] != "" {
		return env["IDENTITY_ENDPOINT"]
	}
	for _, name := range []string{"IDENTITY_ENDPOINT", "MSI_ENDPOINT"} {
		if u, err := url.Parse(env[name]); err == nil && u.Port() == arcPort {
			return env[name]
		}
	}
	return ""
}

// IsArc reports whether an address, such as IDENTITY_ENDPOINT or IMDS_ENDPOINT of a container, is the agent's usual
// place on this machine. What it says beyond that counts for nothing: the kind Arc asks there and nowhere else.
func IsArc(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Port() != arcPort {
		return false
	}
	return u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
}

// OnArc gives a managed identity as it is where the agent is, which has the machine's own alone: that one is of the
// kind Arc, and a user-assigned one is the fault ArcSystemOnly. Other kinds stay.
func (i Identity) OnArc() (Identity, error) {
	if i.Kind == UserAssigned {
		return i, fault.ArcSystemOnly.New(i.String())
	}
	if i.Kind == System {
		i.Kind = Arc
	}
	return i, nil
}

// fromArc asks the agent for the identity that Azure Arc gives a machine outside of Azure. It answers with
// the name of a key file that only root and the agent's group can read, and is asked again with what is in
// the file.
func fromArc(ctx context.Context, i Identity, o Options) (AccessToken, error) {
	a := agent{&wire{ctx: ctx, identity: i, options: o, service: reply.Arc}}
	if o.IMDS != nil {
		a.transport = toAgent{o.IMDS, o}
	}
	s := service{url: cmp.Or(o.arcURL(), arcEndpoint), version: arcVersion, header: "Metadata", value: "true"}
	resp, err := a.ask(a, s)
	if err != nil {
		return AccessToken{}, err
	}
	if resp.StatusCode != http.StatusUnauthorized {
		return AccessToken{}, a.fault(a)
	}
	key, err := o.arc.key(o.host(), resp.Header.Get("WWW-Authenticate"))
	if err != nil {
		return AccessToken{}, err
	}
	a.authorization = "Basic " + key
	if resp, err = a.ask(a, s); err != nil {
		return AccessToken{}, err
	}
	if resp.StatusCode != http.StatusOK || !a.own {
		return AccessToken{}, a.fault(a)
	}
	return tokenOf(resp, "the agent of Azure Arc", o.now())
}

// impostor says that another user than the agent's answers on its port, which anybody can take while the
// agent is down.
type impostor struct{ uid uint32 }

func (e *impostor) Error() string {
	return fmt.Sprintf("uid %d listens in its place, and gets no secret: ss -ltnp 'sport = :%s'", e.uid, arcPort)
}

// toAgent is the way to the agent, whatever is around it: nothing is sent on a connection whose other end does not belong to
// root or the agent. A test fails where the check is not made with the transports that faces use.
type toAgent struct {
	http.RoundTripper
	options Options
}

func (a toAgent) RoundTrip(req *http.Request) (*http.Response, error) {
	var problem error
	check := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if problem = a.options.checkAgent(req.Context(), got.Conn); problem != nil {
			_ = got.Conn.Close()
		}
	}}
	resp, err := a.RoundTripper.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), check)))
	if problem != nil && err == nil {
		_ = resp.Body.Close()
	}
	if problem != nil {
		return nil, problem
	}
	return resp, err
}

// checkAgent tells who else than root and the agent is at the other end of a connection.
func (o Options) checkAgent(ctx context.Context, c net.Conn) error {
	uid, err := host.PeerUID(ctx, c)
	if err == nil && !o.trustsAgent(uid) {
		err = &impostor{uid}
	}
	return err
}

// trustsAgent reports whether a user may be the agent: root, himds, or who owns the directory of its keys,
// by which a container knows the agent of its machine.
func (o Options) trustsAgent(uid uint32) bool {
	h := o.host()
	if h.Trusts(uid) {
		return true
	}
	if info, err := os.Lstat(cmp.Or(o.arc.dir, arcDir)); err == nil && info.IsDir() && host.StatOf(info).Uid == uid {
		return true
	}
	u, err := h.LookupUser("himds")
	return err == nil && u.UID == int(uid)
}

// agent is a question to the agent.
type agent struct{ *wire }

func (a agent) passes() bool { return a.last.Busy() }

func (a agent) unreachable(why error) *fault.Fault {
	if _, ok := errors.AsType[*impostor](why); ok || errors.Is(why, host.ErrNoPeer) {
		return fault.ArcRefused.New()
	}
	f := fault.ArcUnreachable.New()
	if !a.options.arc.installed() {
		f = f.First("connect this machine to Azure Arc (its agent, package azcmagent, is not installed), or use another identity: on an Azure VM system, elsewhere a service-principal")
	}
	return f
}

func (a agent) foreign() *fault.Fault {
	return fault.ArcRefused.New().Because(errors.New("who answers at its address is not the agent: " + a.last.Line()))
}

func (agent) tokenless() *fault.Fault {
	return fault.ArcRefused.New().Because(errors.New("it gave a token without asking for its key"))
}

func (a agent) refused(refusal error) *fault.Fault {
	refusal = fmt.Errorf("it answered %w", refusal)
	if a.passes() {
		return fault.ArcUnreachable.New().Because(refusal)
	}
	if f := a.badResource(refusal); f != nil {
		return f
	}
	return fault.ArcRefused.New().Because(refusal)
}

// key reads the file that a challenge names. Whoever listens in the agent's place must not learn what
// is in other files.
func (p arcPlaces) key(h host.Host, challenge string) (string, error) {
	name, ok := strings.CutPrefix(challenge, "Basic realm=")
	name = strings.Trim(name, `"`)
	if !ok || filepath.Dir(name) != cmp.Or(p.dir, arcDir) || filepath.Ext(name) != ".key" || filepath.Clean(name) != name {
		return "", fault.ArcRefused.New().Because(errors.New("its challenge names no key file in " + cmp.Or(p.dir, arcDir)))
	}
	text, _, err := h.ReadFile(name, maxArcKey, host.NoLink) // the agent's, whom root trusts with them
	if problem := problemOf(text, maxArcKey, err); problem != "" {
		return "", fault.ArcKey.New(name, problem)
	}
	key := strings.TrimSpace(string(text))
	if problem := TokenProblem([]byte(key)); problem != "" {
		return "", fault.ArcKey.New(name, problem)
	}
	return key, nil
}
