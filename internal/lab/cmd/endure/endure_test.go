package main

import (
	"encoding/xml"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// echo is a server that gives back what it gets.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

// ask says hello on a connection, or a new one, and reports what comes back.
func ask(addr string, c net.Conn, wait time.Duration) (net.Conn, string, error) {
	var err error
	if c == nil {
		if c, err = net.Dial("tcp", addr); err != nil {
			return nil, "", err
		}
	}
	if err := errors.Join(c.SetDeadline(time.Now().Add(wait))); err != nil {
		return c, "", err
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		return c, "", err
	}
	b := make([]byte, 100)
	n, err := c.Read(b)
	return c, string(b[:n]), err
}

const soon, later = 50 * time.Millisecond, time.Minute

// TestBreaker: each fault is what it is called, for new connections and for those there are, and ends.
func TestBreaker(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	b, err := newBreaker(addr, echo(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []fault{down, hang, reset, garbage, flapping} {
		c, said, err := ask(addr, nil, later)
		if err != nil || said != "hello" {
			t.Fatalf("before %s: %q %v", f, said, err)
		}
		if err := b.set(f); err != nil {
			t.Fatal(err)
		}
		wait := later
		if f == hang {
			wait = soon
		}
		if f != garbage { // which new connections alone get
			if _, said, err := ask(addr, c, wait); err == nil {
				t.Errorf("%s: a connection that was there goes on: %q", f, said)
			}
		}
		if f != flapping { // which may be up again
			if _, said, err := ask(addr, nil, wait); err == nil && said == "hello" {
				t.Errorf("%s: a new connection is answered", f)
			}
		}
		if err := b.set(none); err != nil {
			t.Fatal(err)
		}
		if f == hang {
			if _, said, err := ask(addr, c, soon); err == nil {
				t.Errorf("what hung is answered after all: %q", said)
			}
		}
		_ = c.Close()
	}
	_ = b.set(down)
}

// TestNames: the accounts have an address, other names have none, and the faults are those of name servers.
func TestNames(t *testing.T) {
	question := func(name string) []byte {
		m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
		}}}
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name    string
		mode    fault
		code    dnsmessage.RCode
		answers int
		cut     bool
	}{
		{account(3) + ".", none, dnsmessage.RCodeSuccess, 1, false},
		{"example.com.", none, dnsmessage.RCodeNameError, 0, false},
		{account(3) + ".", status5, dnsmessage.RCodeServerFailure, 0, false},
		{account(3) + ".", busy, dnsmessage.RCodeRefused, 0, false},
		{account(3) + ".", reset, dnsmessage.RCodeSuccess, 0, true},
	} {
		answer, err := resolve(question(c.name), c.mode)
		var m dnsmessage.Message
		if err == nil {
			err = m.Unpack(answer)
		}
		if err != nil || m.ID != 7 || m.RCode != c.code || len(m.Answers) != c.answers || m.Truncated != c.cut {
			t.Errorf("%s, %q: %v %+v", c.name, c.mode, err, m)
		}
	}
	if answer, err := resolve(question("example.com."), garbage); err != nil || new(dnsmessage.Message).Unpack(answer) == nil {
		t.Errorf("garbage is a message: %q %v", answer, err)
	}
}

// TestPictures: the plot is XML with a band for each spell, and a table has every note once.
func TestPictures(t *testing.T) {
	r := record{Seed: 1, Lasted: 60, Accounts: 50, Spells: []spell{{Target: dns, Fault: hang, From: 10, To: 20}, {Target: imds, Fault: down, From: 30, To: 33}}}
	for i := range 60 {
		r.Points = append(r.Points, point{At: float64(i), Good: 50, Requests: i * 5, Tickets: i * 4, weight: weight{RSS: 20 << 10}})
	}
	picture := r.draw()
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(picture, colours[dns]); n != 4+1 { // in each field, and what the colour means
		t.Errorf("the name server fails %d times", n)
	}
	if said := r.tell(); !strings.Contains(said, "| 236 for 50 |") {
		t.Error(said)
	}
	var all []outcome
	for _, c := range cells() {
		all = append(all, outcome{cell: c, Recovery: 6, Bound: 7, Why: "it is so"})
	}
	text := table(all, time.Minute)
	if strings.Count(text, "it is so") != 1 || strings.Count(text, "\n| DNS |") != 8 {
		t.Error(text)
	}
}

// TestCells: every target fails in every way that it can, and nothing is there twice.
func TestCells(t *testing.T) {
	var names []string
	for _, c := range cells() {
		names = append(names, c.String())
	}
	if n := len(names); n != 4*8*5+6 {
		t.Errorf("%d cells", n)
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Error("one is there twice")
	}
}
