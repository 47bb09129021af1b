package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// maxAnswer bounds what is read of an answer, in bytes: about ten thousand endpoints.
const maxAnswer = 16 << 20

// Client asks the daemon. It is safe for concurrent use.
type Client struct{ http http.Client }

// NewClient makes a Client for the socket path. It does not connect.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &Client{http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks what the daemon knows. Its errors: ErrNotRunning, fs.ErrPermission for all but root and members of the group Readers,
// those of ctx, or an answer that is none.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	body, err := c.ask(ctx, http.MethodGet, "/v1/status")
	if hungUp(err) { // it ended, or another one took its place, while it was asked
		body, err = c.ask(ctx, http.MethodGet, "/v1/status")
	}
	if err == nil {
		err = decode(body, &s)
	}
	return s, err
}

// hungUp reports whether the daemon closed the connection before it had answered.
func hungUp(err error) bool {
	const idle = "server closed idle connection" // of net/http, which exports no such error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) ||
		err != nil && strings.Contains(err.Error(), idle)
}

// Refresh asks for new tickets now and waits for them; host "" is all that are mounted. The errors
// are those of Status, and *Refused.
func (c *Client) Refresh(ctx context.Context, host string) ([]Outcome, error) {
	path := "/v1/refresh"
	if host != "" {
		path += "?host=" + url.QueryEscape(host)
	}
	body, err := c.ask(ctx, http.MethodPost, path)
	if err != nil {
		return nil, err
	}
	var r refreshed
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	if r.Fault != nil {
		return nil, &Refused{*r.Fault}
	}
	return r.Outcomes, nil
}

// ask gives the whole body of an answer, whose status is 200, or 400 or 422 with a fault in the body.
func (c *Client) ask(ctx context.Context, method, path string) (body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://azfilesauth"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, fmt.Errorf("%w (%w)", ErrNotRunning, err)
	}
	if ctx.Err() != nil {
		return nil, fault.Ended(ctx).Because(err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer of the daemon has more than %d bytes", maxAnswer)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusForbidden:
		return body, nil
	}
	return nil, fmt.Errorf("the daemon answered %s", resp.Status)
}

func decode(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("the answer of the daemon cannot be understood: %w", err)
	}
	return nil
}
