package azfiles

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// apiVersion is the x-ms-version that knows the operation.
	apiVersion = "2024-05-04"
	userAgent  = "AzureFilesSmbAuth"
	// maxBody bounds what is read of an answer, in bytes; a ticket needs a few thousand.
	maxBody = 1 << 20
)

// answer is what came back, whatever its status.
type answer struct {
	status int
	header http.Header
	body   []byte
	tooBig bool      // the body goes on
	at     time.Time // when it came, by our clock
}

// ask sends the request once. Its errors are those of the network.
func (x *exchange) ask(ctx context.Context) (*answer, error) {
	target := url.URL{Scheme: "https", Host: x.endpoint.Host(), Path: "/", RawQuery: "restype=service&comp=kerbticket"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"User-Agent":    {userAgent},
		"Accept":        {"*/*"},
		"X-Ms-Version":  {apiVersion},
		"X-Ms-Date":     {x.now().UTC().Format(http.TimeFormat)},
		"Authorization": {"Bearer " + x.token},
	}
	resp, err := x.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := &answer{status: resp.StatusCode, header: resp.Header, at: x.now()}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(a.body) > maxBody {
		a.body, a.tooBig = a.body[:maxBody], true
	}
	return a, nil
}
