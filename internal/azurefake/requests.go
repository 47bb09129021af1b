package azurefake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is one request as the log keeps it.
type Request struct {
	Time     time.Time  `json:"time"`     // of its arrival, by the fake's clock
	Target   string     `json:"target"`   // one of the Target constants
	Host     string     `json:"host"`     // as it was asked, in lower case, without a port
	Method   string     `json:"method"`   //
	Path     string     `json:"path"`     //
	Query    url.Values `json:"query"`    //
	Identity string     `json:"identity"` // whose token it was, or whose is asked for: "system", a client id, or for a token without one the object id; "" unknown or nobody's
	Proxied  bool       `json:"proxied"`  // it bears the marks of a proxy
	Status   int        `json:"status"`   // of the answer; 0 while there is none
	TokenID  string     `json:"tokenID"`  // which token it was or which was issued; never the token itself
	Ticket   string     `json:"ticket"`   // TicketID of the service ticket that was issued, "" when none was
}

// requestLog keeps requests in the order of their arrival.
type requestLog struct {
	mu      sync.Mutex
	list    []*Request
	arrived chan struct{} // closed and replaced at every arrival
}

func newRequestLog() *requestLog { return &requestLog{arrived: make(chan struct{})} }

// Requests are the requests since the start or the last ResetRequests.
func (f *Fake) Requests() []Request {
	list, _ := f.log.snapshot()
	return list
}

// ResetRequests forgets the requests so far.
func (f *Fake) ResetRequests() {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	f.log.list = nil
}

// WaitRequests waits until the log has n requests for the target, answered or not.
func (f *Fake) WaitRequests(ctx context.Context, target string, n int) error {
	for {
		list, arrived := f.log.snapshot()
		if len(filter(list, target, "")) >= n {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// filter keeps the requests of a target and a host; "" is any.
func filter(list []Request, target, host string) []Request {
	return slices.DeleteFunc(list, func(r Request) bool {
		return !matches(target, r.Target) || !matches(host, r.Host)
	})
}

func (l *requestLog) snapshot() ([]Request, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Request, len(l.list))
	for i, r := range l.list {
		list[i] = *r
	}
	return list, l.arrived
}

// enter logs a request and returns the writer that must answer it, so that the log learns the status.
func (l *requestLog) enter(w http.ResponseWriter, r *http.Request, entry Request) *answerWriter {
	entry.Host = hostOf(r)
	entry.Method, entry.Path, entry.Query = r.Method, r.URL.Path, r.URL.Query()
	entry.Proxied = r.URL.IsAbs() || r.Header.Get("Via") != "" || r.Header.Get("X-Forwarded-For") != ""
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, &entry)
	close(l.arrived)
	l.arrived = make(chan struct{})
	return &answerWriter{w, &entry, l}
}

func hostOf(r *http.Request) string {
	host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
	return host
}

// answerWriter writes an answer and notes it in the log before the client can see it.
type answerWriter struct {
	http.ResponseWriter
	entry *Request
	log   *requestLog
}

func (w *answerWriter) WriteHeader(status int) {
	w.log.mu.Lock()
	w.entry.Status = status
	w.log.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}

// TicketID names a service ticket, the DER of a Ticket (RFC 4120, 5.3), without telling it.
func TicketID(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func (w *answerWriter) granted(ticket []byte) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.entry.Ticket = TicketID(ticket)
}

func (w *answerWriter) issued(tokenID string) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.entry.TokenID = tokenID
}
