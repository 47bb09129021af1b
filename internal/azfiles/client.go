// Package azfiles exchanges an access token for a Kerberos service ticket at a storage account.
//
// The exchange is one POST to https://<host>/?restype=service&comp=kerbticket; the answer holds a
// KRB-CRED (RFC 4120, 5.8) whose description of the tickets is not encrypted. Client.Exchange asks,
// tries again what may pass, checks everything that the answer says and returns one credential, or
// one fault that names the cause and the fix.
//
// Invariants: a ticket is returned only when it is for the endpoint that was asked, now valid, and of
// an encryption type that we use; the access token goes to the endpoint's canonical host by https
// and nowhere else, since redirects are not followed; no error holds the token, even when the other
// side repeats it; what is read of an answer is bounded. Where the canonical host's addresses cannot be reached,
// the connection goes to those of the name that the share is mounted by, with the same certificate.
//
// It speaks net/http without the pipeline of azcore: there is one request to make, and azcore's
// retries sleep through a Retry-After that ends after the caller's deadline, where we must return
// at once and say how long to wait. RoundTrip is called directly because it follows no redirect and
// adds no URL to errors.
package azfiles

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

const (
	defaultAttempts = 4
	// The waits between attempts: 0.5, 1, 2 s and so on, less up to a half by chance, so that the
	// machines that a failure hit together do not come back together.
	firstWait = 500 * time.Millisecond
	maxWait   = 8 * time.Second
	// maxRetryAfter bounds a wait that the other side asks for; the caller can plan longer ones better.
	maxRetryAfter = time.Minute
)

// Client exchanges tokens for tickets. It is safe for concurrent use.
type Client struct {
	Transport http.RoundTripper // see transport.New
	Now       func() time.Time  // the clock; nil is time.Now
	Attempts  int               // how often to ask at most; zero is 4

	pause func(context.Context, time.Duration) error // nil is sleep
}

// Caller is who asks, for the texts of faults.
type Caller struct {
	Identity  string // the identity's line
	Principal string // its object id, "" when it is not known
}

// Exchange obtains a service ticket for the endpoint. Its errors are faults; the time that the other
// side asked to wait is in RetryAfter. ctx bounds all attempts: a wait that would end later is not
// begun.
//
// The credential is stored under the ticket's server principal, with service and host in lower case;
// the client principal is as the account names it. The answer's expirationTime and sessionKey repeat
// what the KRB-CRED says; where they differ the KRB-CRED is right, so they are not read.
func (c *Client) Exchange(ctx context.Context, e endpoint.Endpoint, token secret.Value, who Caller) (ccache.Credential, error) {
	x := &exchange{Client: c, endpoint: e, token: token, who: who}
	if c.Transport == nil || e.IsZero() {
		return ccache.Credential{}, fault.Internal.New().Because(errors.New("an exchange needs a transport and an endpoint"))
	}
	if problem := identity.TokenProblem(token.Reveal()); problem != "" {
		return ccache.Credential{}, fault.TokenInvalid.New(who.Identity, problem)
	}
	var told *fault.Fault // why the attempt before failed
	for n := 1; ; n++ {
		cred, f := x.attempt(ctx)
		if f == nil {
			return cred, nil
		}
		if told != nil && ctx.Err() != nil && fault.Is(f, fault.EndpointTimeout) && !fault.Is(told, fault.EndpointTimeout) {
			return ccache.Credential{}, told // that this one was cut short tells less
		}
		told = f
		delay := max(backoff(n), f.RetryAfter)
		if n >= c.attempts() || !x.passing(f) || !hasTimeFor(ctx, delay) {
			return ccache.Credential{}, f
		}
		if err := c.sleep(ctx, delay); err != nil {
			return ccache.Credential{}, x.clean(transport.Fault(ctx, err, x.host()))
		}
	}
}

// exchange is one call of Exchange: what its faults name and what they must not hold.
type exchange struct {
	*Client
	endpoint endpoint.Endpoint
	token    secret.Value
	who      Caller
	busy     bool // the status of the last answer was one that passes
}

func (x *exchange) attempt(ctx context.Context) (ccache.Credential, *fault.Fault) {
	a, err := x.ask(ctx)
	if err != nil {
		return ccache.Credential{}, x.clean(transport.Fault(ctx, err, x.host()))
	}
	x.busy = a.Busy()
	d, own := a.From(reply.Storage)
	if !own {
		return ccache.Credential{}, a.Foreign(x.host())
	}
	if a.Status != http.StatusOK {
		return ccache.Credential{}, x.refused(a, d)
	}
	return x.accept(a)
}

// hidden is what no text may repeat of the request.
func (x *exchange) hidden() reply.Hidden { return reply.Hidden{x.token.RevealString()} }

// clean takes the token out of a fault that holds words of the other side.
func (x *exchange) clean(f *fault.Fault) *fault.Fault { return x.hidden().Redact(f) }

func (x *exchange) host() string { return x.endpoint.Host() }

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Client) attempts() int {
	if c.Attempts == 0 {
		return defaultAttempts
	}
	return c.Attempts
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	if c.pause != nil {
		return c.pause(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// passing reports whether asking again soon may help: the account is busy or the connection failed.
// A name that does not exist is left alone, since a person waits for the answer.
func (x *exchange) passing(f *fault.Fault) bool {
	if dns, ok := errors.AsType[*net.DNSError](f); ok && dns.IsNotFound {
		return false
	}
	if fault.Is(f, fault.NotAzure) { // a gateway on the way passes too, a block page does not
		return x.busy
	}
	return fault.Is(f, fault.AzureBusy, fault.EndpointDown, fault.EndpointTimeout, fault.IPv6Only, fault.DNSFailed, fault.ProxyFailed)
}

// hasTimeFor reports whether a wait is short enough and leaves ctx time for another attempt. That ctx was
// cancelled is for sleep to notice.
func hasTimeFor(ctx context.Context, wait time.Duration) bool {
	end, bounded := ctx.Deadline()
	return wait <= maxRetryAfter && (!bounded || time.Until(end) > wait)
}

// backoff is the wait after the attempt number n.
func backoff(n int) time.Duration {
	d := min(firstWait<<min(n-1, 10), maxWait)
	return d/2 + rand.N(d/2) //nolint:gosec // nothing depends on its being unpredictable
}
