package azfiles

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// Greeting is what an answer to a request without any credential shows of a storage account.
type Greeting struct {
	Theirs time.Time     // the account's clock, to the second; zero when the answer does not tell
	Ours   time.Time     // this machine's clock in the middle of the exchange
	Took   time.Duration // from the request to the answer
}

// Greet asks the endpoint something that needs no token, once, and gives what any answer of the account shows: that
// it can be reached, that its certificate is trusted, and its clock. Its errors are faults.
func (c *Client) Greet(ctx context.Context, e endpoint.Endpoint) (Greeting, error) {
	x := &exchange{Client: c, endpoint: e}
	if c.Transport == nil || e.IsZero() {
		return Greeting{}, fault.Internal.New().Because(errors.New("a greeting needs a transport and an endpoint"))
	}
	target := url.URL{Scheme: "https", Host: e.Host(), Path: "/"}
	req, err := http.NewRequestWithContext(transport.WithDetour(ctx, e.Host(), e.Alias()), http.MethodHead, target.String(), http.NoBody)
	if err != nil {
		return Greeting{}, fault.Internal.New().Because(err)
	}
	req.Header = http.Header{"User-Agent": {userAgent}}
	began := c.now()
	resp, err := c.Transport.RoundTrip(req)
	if err != nil {
		return Greeting{}, transport.Fault(ctx, err, x.host())
	}
	g := Greeting{Took: c.now().Sub(began)}
	g.Ours = began.Add(g.Took / 2)
	a, err := reply.Read(resp, maxBody, g.Ours, nil)
	if err != nil {
		return Greeting{}, transport.Fault(ctx, err, x.host())
	}
	if _, own := a.From(reply.Storage); !own {
		return Greeting{}, a.Foreign(x.host())
	}
	g.Theirs = transport.Date(a.Header)
	return g, nil
}
