package identity

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/azfilesauth/azfilesauth/internal/fault"
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
	identity      Identity
	options       Options
	transport     http.RoundTripper
	service       reply.Service // who is asked
	authorization string        // a header of every request, "" for none
	hidden        reply.Hidden  // what requests held that no text may repeat

	failures int           // tries without an answer of the service
	err      error         // why the last try had no answer
	last     *reply.Answer // nil when the last try had none
	said     said
	own      bool // the service gave the last answer, and nobody in its place
}

// said is what a service's refusal says, fit to be shown.
type said struct{ code, text string }

// asked is one question to a service: what its answers mean, by what the wire remembers of them.
type asked interface {
	passes() bool                       // the refusal is worth another try
	unreachable(why error) *fault.Fault // nobody answered
	foreign() *fault.Fault              // somebody else answered
	tokenless() *fault.Fault            // there is no token in an answer that should have one
	refused(refusal error) *fault.Fault
}

// fault says why there is no token.
func (w *wire) fault(a asked) error {
	if err := w.ctx.Err(); errors.Is(err, context.Canceled) {
		return fault.Interrupted.New().Because(err)
	}
	var f *fault.Fault
	if w.last == nil { // without an error of its own it was never asked: ctx had ended
		why := cmp.Or(w.err, w.ctx.Err())
		f = a.unreachable(why).Because(why)
	} else if !w.own {
		f = a.foreign()
	} else if w.last.Status == http.StatusOK {
		f = a.tokenless()
	} else {
		f = a.refused(fmt.Errorf("%d %s", w.last.Status, w.said.text))
	}
	f.RetryAfter = w.wait()
	return f
}

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
	if w.service == reply.Entra && !w.options.trustsURL(req.URL) {
		return nil, errElsewhere
	}
	if w.authorization != "" {
		req.Header.Set("Authorization", w.authorization)
	}
	if err := w.noteSecrets(req); err != nil {
		return nil, err
	}
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	return reply.Read(resp, maxAnswer, w.options.now(), w.hidden)
}

// wait is what the last answer asked to wait.
func (w *wire) wait() time.Duration {
	if w.last == nil {
		return 0
	}
	return w.last.RetryAfter()
}

// noteSecrets notes what is secret in a request: the client's credential (RFC 6749, 2.3.1, and RFC 7521,
// 4.2) and the key that answers a challenge. The other side may repeat it.
func (w *wire) noteSecrets(req *http.Request) error {
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

// client is how azcore and azidentity ask: by the wire, with further tries as the question has it.
func (w *wire) client(a asked) policy.ClientOptions {
	retries := int32(cmp.Or(w.options.Attempts-1, -1)) // azcore's word for none
	if w.options.Attempts <= 0 {
		retries = maxRetries
	}
	return policy.ClientOptions{Transport: w, Retry: policy.RetryOptions{
		MaxRetries: retries, RetryDelay: cmp.Or(w.options.retryDelay, firstRetry), MaxRetryDelay: maxRetryDelay, TryTimeout: tryTimeout,
		ShouldRetry: func(*http.Response, error) bool { return w.mayRetry(a) },
	}}
}

// mayRetry decides about the next try. A wait that does not end before ctx is not begun. Who answers in the
// service's place is asked again only where that may pass, and as seldom as nobody.
func (w *wire) mayRetry(a asked) bool {
	if w.err != nil {
		return w.failures < maxFailures && !errors.Is(w.err, errElsewhere)
	}
	if end, bounded := w.ctx.Deadline(); bounded && time.Until(end) < w.wait() {
		return false
	}
	if !w.own {
		return w.failures < maxFailures && w.last.Busy()
	}
	return a.passes()
}
