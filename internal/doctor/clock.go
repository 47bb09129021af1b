package doctor

import (
	"context"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// The difference of the clocks from which Kerberos and Entra refuse (RFC 4120, 1.6: typically five
// minutes), and that from which something is wrong with the clock.
const (
	mostSkew    = 5 * time.Minute
	strangeSkew = time.Minute
)

func clockCheck() Check {
	return Check{
		ID: "clock", Group: Network, Title: "clock", Severity: Fails, PerEndpoint: true, Needs: []ID{"https"}, Timeout: azureTimeout,
		Proves: "The clock of this machine agrees with that of the storage account.",
		Why:    "Kerberos and Entra refuse whoever is more than five minutes off.",
		Run:    checkClock,
	}
}

func checkClock(ctx context.Context, s *Subject) Result {
	g := s.greet(ctx, s.Target.Endpoint)
	switch {
	case g.err != nil:
		return NotChecked("the account did not answer")
	case g.Theirs.IsZero():
		return NotChecked("the answer of the account has no Date")
	}
	// Theirs was cut to the second.
	skew, direction := g.Ours.Sub(g.Theirs.Add(time.Second/2)).Round(time.Second), "ahead of"
	if skew < 0 {
		skew, direction = -skew, "behind"
	}
	f := fault.New(fault.ClockSkew, fault.V{"skew": skew.String(), "direction": direction, "host": s.Target.Endpoint.Host()})
	switch {
	case skew > mostSkew:
		return Failed(f)
	case skew > strangeSkew:
		r := Failed(f)
		r.Status = Warning
		return r
	}
	return Good("it differs by %s", skew)
}
