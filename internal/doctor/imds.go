package doctor

import (
	"context"
	"net/http"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// imdsURL is a request to the machine's identity service that needs no identity; any answer will do.
const imdsURL = "http://169.254.169.254/metadata/versions"

// himds is the program of Azure Arc's agent, which takes the service's place outside of Azure.
const himds = "/opt/azcmagent/bin/himds"

func imdsCheck() Check {
	return Check{
		ID: "imds", Group: Identity, Title: "machine's identity service (IMDS)", Severity: Fails, PerEndpoint: true, Needs: []ID{"identity-choice"},
		Proves: "The identity service of the machine answers, and no proxy stands before it.",
		Why:    "It gives the tokens of managed identities to this machine alone; a proxy would see them, and answers for another machine.",
		Run:    checkIMDS,
	}
}

func checkIMDS(ctx context.Context, s *Subject) Result {
	managed := func(id identity.Identity) bool {
		return id.Kind == identity.UserAssigned || id.Kind == identity.System && s.FirstOf(himds) == ""
	}
	if !slices.ContainsFunc(s.identities(), managed) {
		return Good("not needed by %v", s.identities())
	}
	return once(s, "imds", func() Result { return s.examineIMDS(ctx) })
}

func (s *Subject) examineIMDS(ctx context.Context) Result {
	w := s.ways()
	if w.err != nil {
		return Failed(w.err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, imdsURL, http.NoBody)
	if err != nil {
		return Failed(err)
	}
	req.Header = http.Header{"Metadata": {"true"}}
	resp, err := w.imds.RoundTrip(req)
	if err != nil {
		return Failed(fault.Wrap(fault.IMDSUnreachable, err, nil))
	}
	_ = resp.Body.Close() // not read
	for _, mark := range []string{"Via", "X-Cache", "X-Forwarded-For", "Proxy-Agent"} {
		if value := resp.Header.Get(mark); value != "" {
			return Warned("let 169.254.169.254 be reached directly: ip route get 169.254.169.254; iptables -t nat -S",
				"a proxy answers in the place of the identity service (%s: %s)", mark, shorten(value, 100))
		}
	}
	if resp.StatusCode == http.StatusProxyAuthRequired || resp.StatusCode == http.StatusBadGateway {
		return Failed(fault.New(fault.IMDSUnreachable, nil)).And("it answered %s, as a proxy does", resp.Status)
	}
	return Good("it answers, without a proxy")
}
