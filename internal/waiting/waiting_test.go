package waiting

import (
	"bufio"
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
)

// paper is a buffer that can be looked at while somebody writes.
type paper struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *paper) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(text)
}

// take gives what was written since the last time.
func (p *paper) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.b.Reset()
	return p.b.String()
}

// Elsewhere than on a terminal each thing is told once, after the silence, and to those who want details alone.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b paper
		l := New(&b, "p", false, true)
		l.Until(time.Now().Add(30 * time.Second))
		l.For("the identity service 169.254.169.254")
		time.Sleep(Silence - time.Millisecond)
		if got := b.take(); got != "" {
			t.Errorf("within the silence: %q", got)
		}
		time.Sleep(3 * time.Second)
		l.For("the identity service 169.254.169.254")
		time.Sleep(time.Second)
		l.Done()
		time.Sleep(time.Minute)
		want := "p: waiting for the identity service 169.254.169.254, 28 s left\np: waiting for the identity service 169.254.169.254, attempt 2, 25 s left\n"
		if got := b.take(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		quiet := New(&b, "p", false, false)
		quiet.For("x")
		time.Sleep(time.Minute)
		quiet.Done()
		if got := b.take(); got != "" {
			t.Errorf("nobody asked: %q", got)
		}
	})
}

// On a terminal the line is written again each second, and erased before all else and at the end.
func TestOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b paper
		l := New(&b, "p", true, false)
		l.Until(time.Now().Add(5 * time.Second))
		l.For("x")
		time.Sleep(3*time.Second + time.Millisecond)
		_, _ = l.Write([]byte("a failure\n"))
		time.Sleep(time.Second)
		l.Done()
		want := "p: waiting for x, 3 s left" + erase + "p: waiting for x, 2 s left" + erase + "a failure\n" + "p: waiting for x, 1 s left" + erase
		if got := b.take(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// What is longer than a row of the terminal would stay on it, for only one row is erased. The seconds that are left are
// seen at any width.
func TestWidth(t *testing.T) {
	for columns, want := range map[uint16]string{
		0:   "mount.azfiles: waiting for the storage .. acct.file.core.windows.net, 20 s left",
		40:  "mount.azfiles: wait..ows.net, 20 s left",
		100: "mount.azfiles: waiting for the storage account acct.file.core.windows.net, 20 s left",
	} {
		master, slave, err := pty.Open()
		if err != nil {
			t.Skip("needs a pseudo terminal: ", err)
		}
		if err := pty.Setsize(slave, &pty.Winsize{Cols: columns, Rows: 24}); err != nil {
			t.Fatal(err)
		}
		l := New(slave, "mount.azfiles", true, false)
		l.Until(time.Now().Add(20*time.Second + 400*time.Millisecond))
		l.For("the storage account acct.file.core.windows.net")
		l.show()
		l.Done()
		text, err := bufio.NewReader(master).ReadString('K')
		if text = strings.TrimSuffix(text, erase); text != want || len(text) >= 80 && columns < 80 {
			t.Errorf("%d columns: %q, %v", columns, text, err)
		}
		master.Close()
		slave.Close()
	}
}

// A terminal that cannot erase gets lines.
func TestDumbTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	synctest.Test(t, func(t *testing.T) {
		var b paper
		l := New(&b, "p", true, false)
		l.For("x")
		time.Sleep(time.Minute)
		l.Done()
		if got := b.take(); got != "p: waiting for x\n" {
			t.Errorf("%q", got)
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
