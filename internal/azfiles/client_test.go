package azfiles

import (
	"context"
	"encoding/asn1"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

func TestExchange(t *testing.T) {
	for _, etype := range []int32{17, 18, 19, 20} {
		b := newBench(t, azurefake.Options{Etype: etype, Lifetime: 3 * time.Hour})
		before := time.Now().Truncate(time.Second).UTC()
		cred, err := b.exchange(t.Context())
		if err != nil {
			t.Fatalf("etype %d: %v", etype, err)
		}
		if cred.Server.String() != "cifs/"+testHost+"@"+azurefake.DefaultRealm || cred.Server.NameType != 2 {
			t.Errorf("etype %d: server %+v", etype, cred.Server)
		}
		if want := azurefake.DefaultClient + "@" + azurefake.DefaultRealm; cred.Client.String() != want {
			t.Errorf("etype %d: client %s", etype, cred.Client)
		}
		if size, _ := ccache.KeySize(uint16(etype)); int32(cred.Key.Etype) != etype || cred.Key.Value.Len() != size {
			t.Errorf("etype %d: key of %d bytes with etype %d", etype, cred.Key.Value.Len(), cred.Key.Etype)
		}
		if cred.StartTime.Before(before) || cred.AuthTime != cred.StartTime || cred.EndTime.Sub(cred.StartTime) != 3*time.Hour ||
			!cred.RenewTill.IsZero() || cred.EndTime.Location() != time.UTC {
			t.Errorf("etype %d: times %v %v %v %v", etype, cred.AuthTime, cred.StartTime, cred.EndTime, cred.RenewTill)
		}
		if cred.Flags != 0x00600000 || cred.IsSKey {
			t.Errorf("etype %d: flags %#x", etype, cred.Flags)
		}
		var ticket asn1.RawValue
		if rest, err := asn1.Unmarshal(cred.Ticket.Reveal(), &ticket); err != nil || len(rest) > 0 || ticket.Class != asn1.ClassApplication || ticket.Tag != 1 {
			t.Errorf("etype %d: the ticket is no single DER element: %v", etype, err)
		}
		if n := len(b.fake.Requests()); n != 1 {
			t.Errorf("etype %d: %d requests", etype, n)
		}
	}
}

func TestRequest(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	real := b.client.Transport
	b.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.String() != "https://"+testHost+"/?restype=service&comp=kerbticket" || r.Method != "POST" || r.Host != testHost {
			t.Errorf("%s %s to %s", r.Method, r.URL, r.Host)
		}
		date, err := http.ParseTime(r.Header.Get("x-ms-date"))
		if err != nil || time.Since(date).Abs() > time.Minute {
			t.Errorf("x-ms-date %s", r.Header.Get("x-ms-date"))
		}
		r.Header.Del("x-ms-date")
		want := http.Header{
			"User-Agent": {"AzureFilesSmbAuth"}, "Accept": {"*/*"}, "X-Ms-Version": {"2024-05-04"},
			"Authorization": {"Bearer " + b.token.RevealString()},
		}
		if d := cmp.Diff(want, r.Header); d != "" {
			t.Error(d)
		}
		r.Header.Set("x-ms-date", date.Format(http.TimeFormat))
		return real.RoundTrip(r)
	})
	// By another name the ticket is still asked of the account itself.
	cred, err := b.client.Exchange(t.Context(), resolve(t, "ACCT.privatelink.file.core.windows.net"), b.token, Caller{})
	if err != nil || cred.Server.Components[1] != testHost {
		t.Fatal(cred.Server, err)
	}
	if r := b.fake.Requests()[0]; r.Host != testHost || r.Proxied {
		t.Errorf("%+v", r)
	}
}

func TestTokenThatNoHeaderCanHold(t *testing.T) {
	for _, token := range []string{"", "a b", "a\r\nX-Evil: 1", "tökén", "a\x00"} {
		b := newBench(t, azurefake.Options{})
		b.token = secret.FromString(token)
		cred, err := b.exchange(t.Context())
		if !fault.Is(err, fault.TokenInvalid) || !cred.Ticket.Empty() || len(b.fake.Requests()) > 0 {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func TestWithoutEndpointNothingIsSent(t *testing.T) {
	sent := roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a token is sent to nowhere")
		return nil, http.ErrAbortHandler
	})
	b := newBench(t, azurefake.Options{})
	_, err := (&Client{Transport: sent}).Exchange(t.Context(), endpoint.Endpoint{}, b.token, Caller{})
	if !fault.Is(err, fault.Internal) {
		t.Error(err)
	}
	if _, err = new(Client).Exchange(t.Context(), resolve(t, testHost), b.token, Caller{}); !fault.Is(err, fault.Internal) {
		t.Error(err)
	}
}

func TestRetries(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: "storage", Status: 503, Code: "ServerBusy", Times: 2})
	if _, err := b.exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(b.fake.Requests()); n != 3 {
		t.Errorf("%d requests", n)
	}
	for n, w := range b.waits {
		if top := 500 * time.Millisecond << n; w < top/2 || w > top {
			t.Errorf("wait %d is %v", n, w)
		}
	}
	b.fake.Order(azurefake.Order{Target: "storage", Status: 500, Code: "InternalError"})
	b.refuses(fault.AzureBusy, 4)
	b.client.Attempts = 2
	b.refuses(fault.AzureBusy, 2)
}

func TestRetryAfter(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: "storage", Status: 429, RetryAfter: "7", Times: 1})
	soon := time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
	b.fake.Order(azurefake.Order{Target: "storage", Status: 503, RetryAfter: soon, Times: 1})
	if _, err := b.exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(b.waits) != 2 || b.waits[0] != 7*time.Second || b.waits[1] < 17*time.Second || b.waits[1] > 21*time.Second {
		t.Errorf("waits %v", b.waits)
	}

	for _, c := range []struct {
		header string
		limit  time.Duration // of the context, 0 none
		want   time.Duration
	}{{"40", 30 * time.Second, 40 * time.Second}, {"3600", 0, time.Hour}} {
		b := newBench(t, azurefake.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		if c.limit > 0 {
			ctx, cancel = context.WithTimeout(t.Context(), c.limit)
		}
		defer cancel()
		b.fake.Order(azurefake.Order{Target: "storage", Status: 503, RetryAfter: c.header})
		_, err := b.exchange(ctx)
		f := fault.From(err)
		if f == nil || f.ID() != fault.AzureBusy.ID || f.RetryAfter != c.want || !f.Retryable() || len(b.waits) > 0 || len(b.fake.Requests()) != 1 {
			t.Errorf("%s: %v, waits %v, %d requests", c.header, err, b.waits, len(b.fake.Requests()))
		}
	}
}

func TestNoWaitThatEndsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := &Client{Attempts: 100, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			asked++
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody}, nil
		})}
		for _, test := range []struct{ limit, least time.Duration }{
			{10 * time.Minute, 9 * time.Minute}, // the waits are at most 8 s
			{200 * time.Millisecond, 0},         // less than the first one
			{10 * time.Second, 2 * time.Second}, // none begins that would end later
		} {
			begun := time.Now()
			asked = 0
			ctx, cancel := context.WithTimeout(t.Context(), test.limit)
			_, err := c.Exchange(ctx, resolve(t, testHost), secret.FromString("token"), Caller{"system", "oid-1"})
			if took := time.Since(begun); !fault.Is(err, fault.AzureBusy) || ctx.Err() != nil || took < test.least || took >= test.limit {
				t.Errorf("within %s: %v after %s and %d requests", test.limit, err, took, asked)
			}
			if test.least == 0 && asked != 1 {
				t.Errorf("asked %d times", asked)
			}
			cancel()
		}
	})
}

func TestHang(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: "storage", Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // in which a busy machine gets its request through
	defer cancel()
	_, err := b.exchange(ctx)
	if !fault.Is(err, fault.EndpointTimeout) || len(b.fake.Requests()) != 1 {
		t.Errorf("%v after %d requests", err, len(b.fake.Requests()))
	}

	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		_ = b.fake.WaitRequests(t.Context(), azurefake.TargetStorage, 2)
		cancel()
	}()
	if _, err := b.exchange(ctx); !fault.Is(err, fault.Interrupted) {
		t.Error(err)
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: "storage", Status: 503, RetryAfter: "50"})
	b.client.pause = nil // the real one
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_ = b.fake.WaitRequests(t.Context(), azurefake.TargetStorage, 1)
		cancel()
	}()
	if _, err := b.exchange(ctx); !fault.Is(err, fault.Interrupted) {
		t.Error(err)
	}
}

func TestDrop(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: "storage", Drop: true, Times: 1})
	if _, err := b.exchange(t.Context()); err != nil || len(b.fake.Requests()) != 2 {
		t.Fatalf("%v after %d requests", err, len(b.fake.Requests()))
	}
	b.fake.Order(azurefake.Order{Target: "storage", Drop: true})
	b.refuses(fault.AzureBusy, 4)
}

func TestHugeBody(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: "storage", Garbage: azurefake.GarbageHuge})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f := b.refuses(fault.AnswerInvalid, 1)
	runtime.ReadMemStats(&after)
	// The fake is in this process and needs a few MiB of its own.
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("%d bytes allocated for a body of 65 MiB", used)
	}
	if !strings.Contains(f.What(), "longer than 1048576 bytes") {
		t.Error(f)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := newBench(t, azurefake.Options{Hosts: []string{"two.file.core.windows.net", "three.file.core.windows.net"}})
	var wg sync.WaitGroup
	for _, host := range []string{testHost, "two.file.core.windows.net", "three.file.core.windows.net"} {
		for range 5 {
			wg.Go(func() {
				cred, err := b.client.Exchange(t.Context(), resolve(t, host), b.token, Caller{})
				if err != nil || cred.Server.Components[1] != host {
					t.Errorf("%s: %v %v", host, cred.Server, err)
				}
			})
		}
	}
	wg.Wait()
}
