package azfiles

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

const (
	// apiVersion is the x-ms-version that knows the operation.
	apiVersion = "2024-05-04"
	userAgent  = "AzureFilesSmbAuth"
	// maxBody bounds what is read of an answer, in bytes; a ticket needs a few thousand.
	maxBody = 1 << 20
)

// ask sends the request once. Its errors are those of the network.
func (x *exchange) ask(ctx context.Context) (*reply.Answer, error) {
	ctx = transport.WithDetour(ctx, x.host(), x.endpoint.Alias())
	target := url.URL{Scheme: "https", Host: x.host(), Path: "/", RawQuery: "restype=service&comp=kerbticket"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"User-Agent":    {userAgent},
		"Accept":        {"*/*"},
		"X-Ms-Version":  {apiVersion},
		"X-Ms-Date":     {x.now().UTC().Format(http.TimeFormat)},
		"Authorization": {"Bearer " + x.token.RevealString()},
	}
	resp, err := x.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	a, err := reply.Read(resp, maxBody, x.now(), x.hidden())
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return a, nil
}
