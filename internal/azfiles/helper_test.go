package azfiles

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const testHost = "acct.file.core.windows.net"

// bench is a storage account with a client that does not really wait between attempts.
type bench struct {
	t      *testing.T
	fake   *azurefake.Fake
	client *Client
	token  secret.Value

	mu    sync.Mutex
	waits []time.Duration
}

func newBench(t *testing.T, o azurefake.Options) *bench {
	t.Helper()
	o.Hosts = append(o.Hosts, testHost)
	fake, err := azurefake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	b := &bench{t: t, fake: fake, token: secret.FromString(fake.MintToken(azurefake.MintOptions{}))}
	b.client = &Client{Transport: fake.Transport(), pause: b.pause}
	return b
}

func (b *bench) pause(ctx context.Context, d time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits = append(b.waits, d)
	return ctx.Err()
}

func (b *bench) exchange(ctx context.Context) (ccache.Credential, error) {
	return b.client.Exchange(ctx, resolve(b.t, testHost), b.token, Caller{"system", "oid-1"})
}

// refuses makes an exchange that must fail with the fault, after so many requests.
func (b *bench) refuses(want fault.Named, requests int) *fault.Fault {
	b.t.Helper()
	before := len(b.fake.Requests())
	cred, err := b.exchange(b.t.Context())
	f := fault.From(err)
	if f == nil || !fault.Is(f, want) {
		b.t.Fatalf("got %v (%v), want %s", err, cred.Server, want)
	}
	if n := len(b.fake.Requests()) - before; n != requests {
		b.t.Errorf("%s after %d requests, want %d", want, n, requests)
	}
	if !cred.Ticket.Empty() || !cred.Key.Value.Empty() {
		b.t.Error("a ticket comes with the fault")
	}
	noSecret(b.t, err, b.token.RevealString())
	return f
}

func resolve(t testing.TB, host string) endpoint.Endpoint {
	t.Helper()
	e, err := endpoint.Resolver{}.Resolve(host)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// noSecret formats an error in every way and looks for the secret.
func noSecret(t testing.TB, err error, secret string) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			text := fmt.Sprintf(verb, err)
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Fatalf("%s of a %T shows the token", verb, err)
			}
		}
	}
}

// lacks tells what of the parts a text does not have.
func lacks(text string, parts ...string) []string {
	return slices.DeleteFunc(parts, func(p string) bool { return strings.Contains(text, p) })
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type errString string

func (e errString) Error() string { return string(e) }

func (b *bench) mint(o azurefake.MintOptions) secret.Value {
	return secret.FromString(b.fake.MintToken(o))
}
