package identity

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/azfilesauth/azfilesauth/internal/reply"
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
)

// wire carries the requests of one call of Token and remembers what came of the last one, because
// azidentity's errors keep neither the status nor the text of every refusal, and hold whole answers,
// with a token in them or not.
type wire struct {
	ctx           context.Context // of the call, which outlives the single try
	transport     http.RoundTripper
	service       reply.Service                  // who is asked
	passes        func(*reply.Answer, said) bool // which of the service's refusals are worth another try
	trusts        func(*url.URL) bool            // whom to talk to; nil is anybody
	authorization string                         // a header of every request, "" for none
	hidden        reply.Hidden                   // what requests held that no text may repeat

	failures int           // tries without an answer of the service
	err      error         // why the last try had no answer
	last     *reply.Answer // nil when the last try had none
	said     said
	own      bool // the service gave the last answer, and nobody in its place
}

// said is what a service's refusal says, fit to be shown.
type said struct{ code, text string }

// errElsewhere is met by a request that would leave the authority.
var errElsewhere = errors.New("its requests would go to another host")

// Do makes one try (azcore's policy.Transporter). Redirects are answers like any other.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	w.last, w.said, w.own = nil, said{}, false
	w.last, w.err = w.try(req)
	if w.err != nil {
		w.failures++
		return nil, w.err
	}
	var d reply.Document
	if d, w.own = w.last.From(w.service); !w.own {
		w.failures++
	}
	w.said = said{w.last.Hidden.Text(d.Code, reply.MaxWord), w.last.Hidden.Text(strings.Trim(d.Code+": "+d.Message, ": "), reply.MaxText)}
	return &http.Response{
		StatusCode: w.last.Status, Header: w.last.Header, Request: req,
		Body: io.NopCloser(bytes.NewReader(w.last.Body)), ContentLength: int64(len(w.last.Body)),
	}, nil
}

// try sends a request and reads as much of the answer as one can need; what is longer is no JSON then.
func (w *wire) try(req *http.Request) (*reply.Answer, error) {
	if w.trusts != nil && !w.trusts(req.URL) {
		return nil, errElsewhere
	}
	if w.authorization != "" {
		req.Header.Set("Authorization", w.authorization)
	}
	if err := w.hide(req); err != nil {
		return nil, err
	}
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	return reply.Read(resp, maxAnswer, time.Now(), w.hidden)
}

// wait is what the last answer asked to wait.
func (w *wire) wait() time.Duration {
	if w.last == nil {
		return 0
	}
	return w.last.RetryAfter()
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
			w.hidden = append(w.hidden, v)
		}
	}
	return nil
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

// again decides about the next try. A wait that does not end before ctx is not begun. Who answers in the
// service's place is asked again only where that may pass, and as seldom as nobody.
func (w *wire) again() bool {
	if w.err != nil {
		return w.failures < maxFailures && !errors.Is(w.err, errElsewhere)
	}
	if end, bounded := w.ctx.Deadline(); bounded && time.Until(end) < w.wait() {
		return false
	}
	if !w.own {
		return w.failures < maxFailures && w.last.Busy()
	}
	return w.passes(w.last, w.said)
}
