package azfiles

import (
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func TestGreet(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	b := newBench(t, azurefake.Options{Now: func() time.Time { return now }})
	b.client.Now = func() time.Time { return now }
	b.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Skew: time.Hour, Times: 1})
	g, err := b.client.Greet(t.Context(), resolve(t, testHost))
	if want := (Greeting{Theirs: now.Add(time.Hour), Ours: now}); err != nil || g != want {
		t.Errorf("got %+v, %v", g, err)
	}
	for _, q := range b.fake.Requests() {
		if q.TokenID != "" || q.Method != "HEAD" {
			t.Errorf("asked %+v", q)
		}
	}
}

func TestGreetFails(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Untrusted: true})
	if _, err := b.client.Greet(t.Context(), resolve(t, testHost)); !fault.Is(err, fault.TLSUntrusted) {
		t.Errorf("untrusted: %v", err)
	}
	if n := len(b.fake.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	b.fake.ClearOrders()
	b.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Answer: "proxy-blockpage"})
	if _, err := b.client.Greet(t.Context(), resolve(t, testHost)); !fault.Is(err, fault.NotAzure) || !strings.Contains(err.Error(), "BlueCoat") {
		t.Errorf("somebody else: %v", err)
	}
	if _, err := b.client.Greet(t.Context(), endpoint.Endpoint{}); !fault.Is(err, fault.Internal) {
		t.Errorf("no endpoint: %v", err)
	}
}
