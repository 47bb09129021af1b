package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

const (
	// firstRetry grows to 15 s at the fifth retry, which is what fits into the usual 30 s.
	firstRetry = 500 * time.Millisecond
	maxRetries = 6
	// maxFailures bounds the tries that get no answer at all: where nobody answers nobody will.
	maxFailures = 3
	// maxRetryDelay is above the 60 s that IMDS may ask for: azcore gives up on a longer Retry-After.
	maxRetryDelay = 2 * time.Minute
	tryTimeout    = 10 * time.Second
	maxAnswer     = 256 << 10 // bytes
	maxRefusal    = 1 << 10   // bytes of a refusal that is no JSON
)

// wire carries the requests of one call of Token and remembers what came of the last one, because
// azidentity's errors keep neither the status nor the text of every refusal, and hold whole answers,
// with a token in them or not.
type wire struct {
	ctx           context.Context // of the call, which outlives the single try
	transport     http.RoundTripper
	busy          func(status int) bool // what is worth another try
	trusts        func(*url.URL) bool   // whom to talk to; nil is anybody
	authorization string                // a header of every request, "" for none
	hidden        []string              // what requests held that no text may repeat

	failures int   // tries without an answer
	err      error // why the last try had no answer
	status   int   // of the last answer
	text     string
	wait     time.Duration // the Retry-After of the last answer
	date     time.Time     // of the last answer; zero when it has none
}

// errElsewhere is met by a request that would leave the authority.
var errElsewhere = errors.New("its requests would go to another host")

// Do makes one try (azcore's policy.Transporter). Redirects are answers like any other.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	resp, body, err := w.try(req)
	w.err, w.status, w.text, w.wait, w.date = err, 0, "", 0, time.Time{}
	if err != nil {
		w.failures++
		return nil, err
	}
	w.status = resp.StatusCode
	w.date = transport.Date(resp.Header)
	if w.status != http.StatusOK {
		w.text = w.refusalText(body)
		w.wait = transport.RetryAfter(resp.Header, time.Now())
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// try sends a request and reads as much of the answer as one can need; what is longer is no JSON then.
func (w *wire) try(req *http.Request) (*http.Response, []byte, error) {
	if w.trusts != nil && !w.trusts(req.URL) {
		return nil, nil, errElsewhere
	}
	if w.authorization != "" {
		req.Header.Set("Authorization", w.authorization)
	}
	if err := w.hide(req); err != nil {
		return nil, nil, err
	}
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp, body, err
}

// hide notes what is secret in a request: the client's credential (RFC 6749, 2.3.1, and RFC 7521,
// 4.2) and the key that answers a challenge. The other side may repeat it.
func (w *wire) hide(req *http.Request) error {
	if _, key, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		w.hidden = append(w.hidden, key)
	}
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return err
	}
	for _, name := range []string{"client_secret", "client_assertion"} {
		if v := form.Get(name); v != "" {
			w.hidden = append(w.hidden, v, url.QueryEscape(v))
		}
	}
	return nil
}

// redact takes what is secret out of a text.
func (w *wire) redact(text string) string {
	for _, s := range w.hidden {
		text = strings.ReplaceAll(text, s, secret.Redacted)
	}
	return text
}

// refusalText is what an error answer says: {"error":..,"error_description":..} (RFC 6749, 5.2), or
// its bare text. What is cut first would hold a part of a secret that is not found any more.
func (w *wire) refusalText(body []byte) string {
	var e struct {
		Code string `json:"error"`
		Text string `json:"error_description"`
	}
	if json.Unmarshal(body, &e) == nil && e.Code+e.Text != "" {
		return w.redact(strings.Trim(e.Code+": "+e.Text, ": "))
	}
	text := w.redact(string(body))
	return strings.TrimSpace(text[:min(len(text), maxRefusal)])
}

func (w *wire) retries(o Options) policy.RetryOptions {
	delay := o.retryDelay
	if delay == 0 {
		delay = firstRetry
	}
	retries := int32(maxRetries)
	switch {
	case o.Attempts == 1:
		retries = -1 // azcore's word for none
	case o.Attempts > 1:
		retries = int32(o.Attempts - 1)
	}
	return policy.RetryOptions{
		MaxRetries: retries, RetryDelay: delay, MaxRetryDelay: maxRetryDelay, TryTimeout: tryTimeout,
		ShouldRetry: func(*http.Response, error) bool { return w.again() },
	}
}

// again decides about the next try. A wait that does not end before ctx is not begun.
func (w *wire) again() bool {
	if w.err != nil {
		return w.failures < maxFailures && !errors.Is(w.err, errElsewhere)
	}
	end, bounded := w.ctx.Deadline()
	return w.busy(w.status) && (!bounded || time.Until(end) >= w.wait)
}
