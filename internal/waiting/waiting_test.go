package waiting

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
)

// Elsewhere than on a terminal each thing is told once, after the silence, and to those who want details alone.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := New(&b, "p", false, true)
		l.Until(time.Now().Add(30 * time.Second))
		l.For("the identity service 169.254.169.254")
		time.Sleep(Silence - time.Millisecond)
		if b.Len() > 0 {
			t.Errorf("within the silence: %q", &b)
		}
		time.Sleep(3 * time.Second)
		l.For("the identity service 169.254.169.254")
		time.Sleep(time.Second)
		l.Done()
		time.Sleep(time.Minute)
		want := "p: waiting for the identity service 169.254.169.254, 28 s left\np: waiting for the identity service 169.254.169.254, attempt 2, 25 s left\n"
		if b.String() != want {
			t.Errorf("got %q, want %q", &b, want)
		}
		b.Reset()
		quiet := New(&b, "p", false, false)
		quiet.For("x")
		time.Sleep(time.Minute)
		quiet.Done()
		if b.Len() > 0 {
			t.Errorf("nobody asked: %q", &b)
		}
	})
}

// On a terminal the line is written again each second, and erased before all else and at the end.
func TestOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := New(&b, "p", true, false)
		l.Until(time.Now().Add(5 * time.Second))
		l.For("x")
		time.Sleep(3*time.Second + time.Millisecond)
		_, _ = l.Write([]byte("a failure\n"))
		time.Sleep(time.Second)
		l.Done()
		want := "p: waiting for x, 3 s left" + erase + "p: waiting for x, 2 s left" + erase + "a failure\n" + "p: waiting for x, 1 s left" + erase
		if b.String() != want {
			t.Errorf("got %q, want %q", &b, want)
		}
	})
}

// A true terminal is known as one, and shows the line until it is erased.
func TestTerminal(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("needs a pseudo terminal: ", err)
	}
	defer master.Close()
	defer slave.Close()
	if !IsTerminal(int(slave.Fd())) {
		t.Fatal("it is not known as a terminal")
	}
	l := New(slave, "p", IsTerminal(int(slave.Fd())), false)
	l.For("x")
	r := bufio.NewReader(master)
	if text, err := r.ReadString('x'); err != nil || text != "p: waiting for x" {
		t.Errorf("%q, %v", text, err)
	}
	l.Done()
	if text, err := r.ReadString('K'); err != nil || !strings.HasSuffix(text, erase) {
		t.Errorf("%q, %v", text, err)
	}
}
