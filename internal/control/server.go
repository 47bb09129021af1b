package control

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

const (
	maxConns       = 16 // at once; the next ones wait
	maxHeader      = 8 << 10
	maxBody        = 4 << 10 // of a request, which needs none
	maxHost        = 253     // bytes (RFC 1035, 2.3.4)
	headerTimeout  = 5 * time.Second
	answerTimeout  = 10 * time.Second // to write an answer that is ready
	refreshTimeout = 5 * time.Minute
	closeTimeout   = time.Second // for the answers under way when the daemon ends
)

// Serve listens on the socket path of the machine h and answers from handler until ctx ends; then it returns
// nil. The directory of the socket is made when it is missing, and must be root's alone; a socket that
// nobody listens on is replaced. The errors say why there can be no socket, ErrInUse among them.
func Serve(ctx context.Context, h host.Host, path string, handler Handler) error {
	l, err := listen(h, path)
	if err != nil {
		return err
	}
	defer l.remove()
	return serve(ctx, limit(l.UnixListener, accessOf(h)), routes(handler))
}

// ServeMetrics answers GET /metrics, and nothing else, over HTTP at an address until ctx ends; then it returns
// nil. write writes them in the text form of Prometheus. The error says why nothing can listen there.
func ServeMetrics(ctx context.Context, address string, write func(io.Writer)) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", sendMetrics(write))
	anybody := func(net.Conn) access { return reads }
	return serve(ctx, limit(l, anybody), mux)
}

func sendMetrics(write func(io.Writer)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		write(&b)
		send(w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", b.Bytes())
	}
}

// serve answers on a listener until ctx ends, which gives nil.
func serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           awaitNoBody(http.MaxBytesHandler(handler, maxBody)),
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, accessKey{}, c.(*counted).access)
		},
	}
	// No connection stays open: whoever asks again connects again.
	server.SetKeepAlivesEnabled(false)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(l)
	if stop() { // ctx has not ended
		_ = server.Close()
		return err
	}
	<-ended
	return nil
}

// awaitNoBody bounds how long package http waits, after the answer, for the rest of a body that a client has announced and does
// not send.
func awaitNoBody(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(answerTimeout))
	})
}

func routes(h Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		status := h.Status()
		status.Schema = Schema
		if status.Endpoints == nil {
			status.Endpoints = []Endpoint{}
		}
		answer(w, http.StatusOK, status)
	})
	mux.HandleFunc("POST /v1/refresh", forRoot(func(w http.ResponseWriter, r *http.Request) {
		status, v := refresh(r, h)
		answer(w, status, v)
	}))
	mux.HandleFunc("GET /metrics", forRoot(sendMetrics(h.WriteMetrics)))
	return mux
}

// forRoot refuses readers.
func forRoot(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a, _ := r.Context().Value(accessKey{}).(access); a != all {
			answer(w, http.StatusForbidden, refused(fault.NotRoot.New(r.URL.Path)))
			return
		}
		serve(w, r)
	}
}

// refreshed is the answer to a refresh: the outcomes, or the fault of a request that cannot be served.
type refreshed struct {
	Outcomes []Outcome `json:"outcomes"`
	Fault    *Fault    `json:"fault,omitempty"`
}

func refresh(r *http.Request, h Handler) (status int, v refreshed) {
	name := r.URL.Query().Get("host")
	if len(name) > maxHost {
		return http.StatusBadRequest, refused(fault.HostUnknown.New(name[:maxHost], "it is too long"))
	}
	ctx, cancel := context.WithTimeout(r.Context(), refreshTimeout)
	defer cancel()
	outcomes, err := h.Refresh(ctx, name)
	if err != nil {
		return http.StatusUnprocessableEntity, refused(err)
	}
	return http.StatusOK, refreshed{Outcomes: append([]Outcome{}, outcomes...)}
}

func refused(err error) refreshed {
	return refreshed{Outcomes: []Outcome{}, Fault: FaultOf(err, time.Now())}
}

func answer(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	send(w, status, "application/json", b.Bytes())
}

// send bounds the writing alone: a refresh may take its time before.
func send(w http.ResponseWriter, status int, kind string, body []byte) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = io.Copy(w, bytes.NewReader(body)) // whoever has gone needs no answer
}

// limited accepts a bounded number of connections, of those alone who may connect.
type limited struct {
	net.Listener
	access func(net.Conn) access
	open   chan struct{} // has a place for each connection
}

func limit(l net.Listener, access func(net.Conn) access) *limited {
	return &limited{l, access, make(chan struct{}, maxConns)}
}

// Accept is for net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		l.open <- struct{}{}
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.open
			return nil, err
		}
		if a := l.access(c); a != nothing {
			return &counted{Conn: c, open: l.open, access: a}, nil
		}
		_ = c.Close()
		<-l.open
	}
}

// counted gives its place among the connections back when it is closed.
type counted struct {
	net.Conn
	open   chan struct{}
	once   sync.Once
	access access
}

// Close is for net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { <-c.open })
	return c.Conn.Close()
}

// CloseWrite is how package http lets a client read the answer to a request that it has not read whole.
func (c *counted) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
