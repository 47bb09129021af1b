package azurefake

import (
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
)

// Proxy is a CONNECT proxy on loopback, all of whose ways lead to one address.
type Proxy struct {
	Addr string // host:port

	to     string
	refuse int
	server *http.Server

	mu       sync.Mutex
	requests []*http.Request
}

// StartProxy starts a proxy whose ways lead to an address, such as Fake.StorageAddr. With a status it refuses everything.
func StartProxy(to string, refuse int) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Addr: l.Addr().String(), to: to, refuse: refuse}
	p.server = &http.Server{Handler: p}
	go func() { _ = p.server.Serve(l) }()
	return p, nil
}

// Close ends it.
func (p *Proxy) Close() { _ = p.server.Close() }

// Requests are those that it got so far.
func (p *Proxy) Requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// ServeHTTP is for http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, r)
	p.mu.Unlock()
	if p.refuse != 0 || r.Method != http.MethodConnect {
		http.Error(w, "no", max(p.refuse, http.StatusBadRequest))
		return
	}
	there, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = there.Close() }()
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = here.Close() }()
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		_, _ = io.Copy(there, here)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
}
