package main

import (
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a name server that knows the storage accounts and Entra, and fails as it is told.
type names struct {
	conn *net.UDPConn
	addr *net.UDPAddr

	mu   sync.Mutex
	mode fault
	flip time.Time // when it began to flap
}

func newNames(addr string) (*names, error) {
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	n := &names{addr: at}
	return n, n.set(none)
}

// set lets a fault begin, or none. 500 is SERVFAIL, 429 is REFUSED; reset says that the answer is too long, and there is
// no way to get it all.
func (n *names) set(f fault) (err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mode, n.flip = f, time.Now()
	if f == down && n.conn != nil {
		err = n.conn.Close()
		n.conn = nil
	}
	if f != down && n.conn == nil {
		if n.conn, err = net.ListenUDP("udp", n.addr); err == nil {
			go n.serve(n.conn)
		}
	}
	return err
}

func (n *names) serve(c *net.UDPConn) {
	b := make([]byte, 1500)
	for {
		size, from, err := c.ReadFromUDP(b)
		if err != nil {
			return
		}
		n.mu.Lock()
		mode := n.mode
		if mode == flapping && time.Since(n.flip)/flapTime%2 == 0 {
			mode = hang
		}
		n.mu.Unlock()
		if mode == hang {
			continue
		}
		answer, err := resolve(b[:size], mode)
		if err != nil {
			continue // it was no question
		}
		wait := time.Duration(0)
		if mode == slow {
			wait = slowBy
		}
		time.AfterFunc(wait, func() { _, _ = c.WriteToUDP(answer, from) })
	}
}

// addresses of names: what ends so.
var addresses = []struct {
	ends string
	at   [4]byte
}{
	{".file.core.windows.net.", [4]byte{127, 0, 0, 1}},
	{"login.microsoftonline.com.", [4]byte{127, 0, 0, 2}},
}

// resolve answers a question (RFC 1035).
func resolve(question []byte, mode fault) ([]byte, error) {
	if mode == garbage {
		return append(append([]byte{}, question[:2]...), "no message of DNS"...), nil
	}
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	known := false
	for _, q := range m.Questions {
		for _, a := range addresses {
			if !strings.HasSuffix(q.Name.String(), a.ends) {
				continue
			}
			known = true
			if q.Type == dnsmessage.TypeA {
				head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.at}})
			}
		}
	}
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	switch mode {
	case status5:
		m.RCode, m.Answers = dnsmessage.RCodeServerFailure, nil
	case busy:
		m.RCode, m.Answers = dnsmessage.RCodeRefused, nil
	case reset:
		m.Truncated, m.Answers = true, nil
	}
	return m.Pack()
}
