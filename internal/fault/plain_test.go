package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
)

// What stands in brackets is for people who run machines, whatever a library calls it.
func TestCauseIsPlain(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 4), Port: 445}, Err: fmt.Errorf("connect: %w", syscall.ECONNREFUSED)}
	reset := &net.OpError{
		Op: "read", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 4000}, Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 4), Port: 443},
		Err: fmt.Errorf("read: %w", syscall.ECONNRESET),
	}
	for want, err := range map[string]error{
		"10.0.0.4:445: connection refused":            refused,
		"10.0.0.4:443: connection reset by peer":      reset,
		"the proxy: 10.0.0.4:445: connection refused": &net.OpError{Op: "proxyconnect", Net: "tcp", Err: refused},
		"no answer in time":                           context.DeadlineExceeded,
		"interrupted":                                 context.Canceled,
		"lookup a: no answer in time":                 &net.DNSError{Err: "i/o timeout", Name: "a"},
		"AZF-DNS-FAILED: " + DNSFailed.New("a").What() + ": no answer in time": DNSFailed.New("a").Because(context.DeadlineExceeded),
		"the file is read by others": errors.New("the file is read by others"),
	} {
		f := DNSFailed.New("a").Because(err)
		if got := f.Cause(); got != want || !strings.Contains(f.Error(), "("+want+")") {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
		if !errors.Is(f, err) {
			t.Errorf("%v is lost", err)
		}
	}
}
