package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// fault is a way in which something fails.
type fault string

const (
	none     fault = ""
	down     fault = "down"     // connections are refused, those there are break off
	hang     fault = "hang"     // connections are accepted and nothing is ever answered on them, even later
	slow     fault = "slow"     // each piece of an answer takes slowBy
	status5  fault = "500"      // the server says so
	busy     fault = "429"      // with a Retry-After of an hour
	garbage  fault = "garbage"  // an answer that means nothing
	reset    fault = "reset"    // connections are accepted and reset at the first byte
	flapping fault = "flapping" // down and up again every flapTime
)

const (
	slowBy   = 1500 * time.Millisecond
	flapTime = 500 * time.Millisecond
)

// breaker stands in front of a server and breaks the connections to it.
type breaker struct {
	addr, to string

	mu       sync.Mutex
	mode     fault
	listener net.Listener          // nil while it is down
	conns    map[net.Conn]struct{} // the clients'
	flap     chan struct{}         // ends the flapping
}

// newBreaker listens at addr, for the server at the address to.
func newBreaker(addr, to string) (*breaker, error) {
	b := &breaker{addr: addr, to: to, conns: map[net.Conn]struct{}{}}
	return b, b.listen()
}

// listen needs the lock, but at the start.
func (b *breaker) listen() error {
	if b.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", b.addr)
	if err != nil {
		return err
	}
	b.listener = l
	go b.accept(l)
	return nil
}

// lapse needs the lock.
func (b *breaker) lapse() {
	if b.listener != nil {
		_ = b.listener.Close()
		b.listener = nil
	}
	for c := range b.conns {
		cut(c)
	}
}

// cut resets a connection.
func cut(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// set lets a fault begin, or none. A connection that hung does so for ever.
func (b *breaker) set(f fault) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.flap != nil {
		close(b.flap)
		b.flap = nil
	}
	b.mode = f
	switch f {
	case down:
		b.lapse()
	case flapping:
		b.lapse()
		b.flap = make(chan struct{})
		go b.flaps(b.flap)
	case reset:
		for c := range b.conns {
			cut(c)
		}
		return b.listen()
	default:
		return b.listen()
	}
	return nil
}

func (b *breaker) flaps(end <-chan struct{}) {
	tick := time.NewTicker(flapTime)
	defer tick.Stop()
	for up := true; ; up = !up {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		b.mu.Lock()
		if b.mode != flapping {
			b.mu.Unlock()
			return
		}
		if up {
			_ = b.listen() // the next turn tries again
		} else {
			b.lapse()
		}
		b.mu.Unlock()
	}
}

func (b *breaker) now() fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mode
}

func (b *breaker) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go b.serve(c)
	}
}

func (b *breaker) serve(c net.Conn) {
	b.mu.Lock()
	b.conns[c] = struct{}{}
	mode := b.mode
	b.mu.Unlock()
	defer func() {
		_ = c.Close()
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
	}()
	switch mode {
	case hang:
		_, _ = io.Copy(io.Discard, c) // until the client gives up
		return
	case reset:
		_, _ = c.Read(make([]byte, 1))
		cut(c)
		return
	case garbage: // where no server sends it
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, "\x00\x01garbage\n")
		return
	}
	there, err := net.Dial("tcp", b.to)
	if err != nil {
		return
	}
	defer func() { _ = there.Close() }()
	go func() {
		_ = b.pass(there, c, false)
		_ = there.Close()
	}()
	_ = b.pass(c, there, true)
}

// errHung is why a connection is not passed on any more.
var errHung = errors.New("it hangs")

// pass copies until either side ends. Once a fault has begun in which nothing is answered, nothing is.
func (b *breaker) pass(to io.Writer, from io.Reader, answers bool) error {
	piece := make([]byte, 16<<10)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return err
		}
		switch mode := b.now(); {
		case mode == hang && answers:
			_, _ = io.Copy(io.Discard, from)
			return errHung
		case mode == slow && answers:
			time.Sleep(slowBy)
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return err
		}
	}
}
