package doctor

import (
	"context"
	"time"
)

func httpsCheck() Check {
	return Check{
		ID: "https", Group: Network, Title: "port 443 and certificate", Severity: Fails, PerEndpoint: true, Needs: []ID{"dns"}, Timeout: azureTimeout,
		Proves: "The storage account answers over HTTPS with a certificate that this machine trusts.",
		Why:    "The access token is exchanged for the ticket there, and goes to nobody who cannot prove who they are.",
		Run:    checkHTTPS,
	}
}

func checkHTTPS(ctx context.Context, s *Subject) Result {
	g := s.greet(ctx, s.Target.Endpoint)
	if g.err != nil {
		return Failed(g.err)
	}
	return Good("it answered after %s", g.Took.Round(time.Millisecond))
}
