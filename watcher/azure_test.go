package watcher

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// azure is a fake of Azure whose servers run in real time, while the watcher runs in virtual time: every
// request crosses the border in a slot. Its clock is the virtual one, and is right when the machine's is
// wrong.
type azure struct {
	*azurefake.Fake
	slots chan *slot
	clock atomic.Int64
	slept time.Duration // while the machine did
	shut  chan struct{}

	mu    sync.Mutex
	given map[int]bool
}

type slot struct {
	start, done chan struct{}
	request     *http.Request
	response    *http.Response
	body        []byte
	err         error
}

func newAzure(t testing.TB, hosts ...string) *azure {
	t.Helper()
	a := &azure{slots: make(chan *slot, 64), shut: make(chan struct{}), given: map[int]bool{}}
	a.clock.Store(time.Now().UnixNano())
	a.Fake = must(azurefake.Start(azurefake.Options{
		Hosts: hosts,
		Identities: []azurefake.ManagedIdentity{
			{ClientID: clientID, ObjectID: "99999999-2222-3333-4444-555555555555"},
			{ClientID: "22222222-3333-4444-5555-666666666666", ObjectID: "99999999-3333-4444-5555-666666666666"},
		},
		Now: func() time.Time { return time.Unix(0, a.clock.Load()) },
	}))
	var workers sync.WaitGroup
	transport := a.Transport()
	for range cap(a.slots) {
		s := &slot{start: make(chan struct{}), done: make(chan struct{})}
		workers.Go(func() { a.serve(transport, s) })
		a.slots <- s
	}
	t.Cleanup(func() {
		close(a.shut)
		workers.Wait()
		a.Close()
	})
	return a
}

func (a *azure) serve(transport http.RoundTripper, s *slot) {
	for {
		select {
		case <-s.start:
		case <-a.shut:
			return
		}
		s.response, s.err = transport.RoundTrip(s.request)
		if s.err == nil {
			s.body, s.err = io.ReadAll(s.response.Body)
			check(s.response.Body.Close())
		}
		s.done <- struct{}{}
	}
}

// ask does a request outside.
func (a *azure) ask(r *http.Request) (*http.Response, error) {
	a.clock.Store(time.Now().Add(a.slept).UnixNano())
	s := <-a.slots
	defer func() { a.slots <- s }()
	s.request = r.Clone(context.Background())
	s.start <- struct{}{}
	<-s.done
	if s.err != nil {
		return nil, s.err
	}
	response := *s.response
	response.Body = io.NopCloser(bytes.NewReader(s.body))
	return &response, nil
}

// who gives the identity of a request that it has not yet given one for.
func (a *azure) who(host string, status int) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, q := range a.Requests() {
		to := q.Host == host || q.Target == azurefake.TargetIMDS && host == "169.254.169.254"
		if to && q.Status == status && !a.given[i] {
			a.given[i] = true
			return q.Identity
		}
	}
	return "nobody"
}
