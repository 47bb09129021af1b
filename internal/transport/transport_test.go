package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// What comes first decides: an error of the proxy is one of a connection as well.
func TestFault(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fault.Named
	}{
		{&net.OpError{Op: "proxyconnect", Err: &net.DNSError{IsNotFound: true}}, fault.ProxyFailed},
		{fmt.Errorf("w: %w", &ProxyError{"proxy:3128", "407 no"}), fault.ProxyFailed},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, fault.DNSFailed},
		{context.Canceled, fault.Interrupted},
		{context.DeadlineExceeded, fault.EndpointTimeout},
		{syscall.ECONNRESET, fault.AzureBusy},
		{errors.New("x"), fault.EndpointDown},
	} {
		if f := Fault(t.Context(), c.err, "host"); !fault.Is(f, c.want) || !errors.Is(f, c.err) {
			t.Errorf("%v: %v, want %v", c.err, f, c.want)
		}
	}
}

// Who answers and does not speak HTTP is there: a firewall's page without a status, another server on the port.
func TestFaultOfWhatIsNotHTTP(t *testing.T) {
	for answer, says := range map[string]string{
		"SSH-2.0-OpenSSH_9.2\r\n":   `malformed HTTP response "SSH-2.0-OpenSSH_9.2"`,
		"<html>no\x1b[31m</html>\n": "malformed HTTP",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 2000): "server response headers exceeded",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, _ = c.Read(make([]byte, 1<<10))
				_, _ = io.WriteString(c, answer)
				_ = c.Close()
			}
		}()
		tr := &http.Transport{MaxResponseHeaderBytes: 1 << 10}
		response, err := tr.RoundTrip(httptest.NewRequest(http.MethodGet, "http://"+l.Addr().String(), http.NoBody))
		if err == nil {
			_ = response.Body.Close()
			t.Fatalf("%.40q was read as an answer", answer)
		}
		f := Fault(t.Context(), err, "host")
		if !fault.Is(f, fault.AnswerInvalid) || !strings.Contains(f.Cause(), says) || strings.Contains(f.Error(), "net/http") || strings.Contains(f.Error(), "\x1b") {
			t.Errorf("%.40q: %v", answer, f)
		}
		_ = l.Close()
	}
}

// TestFaultWithinAnAnswer: a network that goes away while headers come is no server that does not speak HTTP.
func TestFaultWithinAnAnswer(t *testing.T) {
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Read(make([]byte, 1<<10))
			_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nX-A: b")
			_ = theirs.Close()
		}()
		return unplugged{ours}, nil
	}}
	response, err := tr.RoundTrip(httptest.NewRequest(http.MethodGet, "http://host.example", http.NoBody))
	if err == nil {
		_ = response.Body.Close()
		t.Fatal("half of it was read as an answer")
	}
	if f := Fault(t.Context(), err, "host"); !fault.Is(f, fault.EndpointDown) {
		t.Errorf("%v: %v", err, f)
	}
}

// unplugged is a connection whose network is gone at its end.
type unplugged struct{ net.Conn }

func (c unplugged) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		err = &net.OpError{Op: "read", Net: "tcp", Err: syscall.EHOSTUNREACH}
	}
	return n, err
}

func TestExceptions(t *testing.T) {
	for list, want := range map[string]string{
		"": "", " , ,": "", "*": "*", "A.Example.": "a.example", ".a, *.b c\td": ".a,*.b,c,d", "a:443,a_b-1": "a:443,a_b-1",
		"10.0.0.0/8,fd00::/8,10.1.2.3,fd00::1,10.1.2.3:443,[fd00::1]:443": "10.0.0.0/8,fd00::/8,10.1.2.3,fd00::1,10.1.2.3:443,[fd00::1]:443",
	} {
		if got, err := Exceptions(list); err != nil || got != want {
			t.Errorf("%q: %q, %v", list, got, err)
		}
	}
	for _, wrong := range []string{"https://hunter2", "hunter2/x", "10.0.0.0/33", "10.*", "*hunter2", "..hunter2", ".", "*.", "a..", "a.:443", "a:hunter2", "a:", ":443", "[::1]", "[::1", "fe80::1%hunter2", "me:hunter2@a", "a\x00b", "a\x1bb"} {
		got, err := Exceptions("a," + wrong + ",b")
		if got != "a,b" || err == nil || !strings.HasPrefix(err.Error(), "entry 2 ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %q, %v", wrong, got, err)
		}
	}
}

func TestSkewed(t *testing.T) {
	now := time.Now()
	for d, want := range map[time.Duration]string{
		0: "", MaxSkew: "", -MaxSkew: "",
		MaxSkew + time.Second:    "this machine's clock is 5m1s ahead of h",
		-(MaxSkew + time.Second): "this machine's clock is 5m1s behind h",
	} {
		got := ""
		if f := Skewed(now.Add(d), now, "h"); f != nil {
			got = f.What()
		}
		if got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if Skewed(now, time.Time{}, "h") != nil {
		t.Error("an answer without a date blames the clock")
	}
}

func TestRetryAfter(t *testing.T) {
	came := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) string { return came.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		after, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"7", "", 7 * time.Second},
		{"-7", "", 0},
		{"soon", "", 0},
		{at(time.Minute), "", time.Minute},
		{at(-time.Minute), "", 0},
		{at(time.Hour), at(time.Hour - time.Second), time.Second}, // by the other side's own clock
	} {
		h := http.Header{"Retry-After": {c.after}, "Date": {c.date}}
		if got := RetryAfter(h, came); got != c.want {
			t.Errorf("%q at %q: %v, want %v", c.after, c.date, got, c.want)
		}
	}
}

func TestBundleWithoutCertificates(t *testing.T) {
	fake, err := azurefake.Start(azurefake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	dir := t.TempDir()
	empty, full := filepath.Join(dir, "empty"), filepath.Join(dir, "full")
	for name, text := range map[string][]byte{empty: []byte("# nothing\n"), full: fake.CA()} {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if firstBundle([]string{empty, full}) == nil {
		t.Error("the second file is not read")
	}
	if firstBundle([]string{empty, dir, "/nonexistent"}) != nil {
		t.Error("there are certificates where none are")
	}
}

// onMachine gives this machine other addresses.
func onMachine(t *testing.T, cidrs ...string) {
	t.Helper()
	var addrs []net.Addr
	for _, c := range cidrs {
		ip, n, err := net.ParseCIDR(c)
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, &net.IPNet{IP: ip, Mask: n.Mask})
	}
	t.Cleanup(func() { interfaceAddrs = net.InterfaceAddrs })
	interfaceAddrs = func() ([]net.Addr, error) { return addrs, nil }
}

func TestIPv6Alone(t *testing.T) {
	dial := func(address string, errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(address), Port: 443}, Err: os.NewSyscallError("connect", errno)}
	}
	v6 := []string{"127.0.0.1/8", "169.254.3.4/16", "::1/128", "fe80::1/64", "2001:db8::7/64"}
	for name, c := range map[string]struct {
		addrs []string
		err   error
		want  fault.Named
	}{
		"IPv6 alone":        {v6, dial("192.0.2.1", syscall.ENETUNREACH), fault.IPv6Only},
		"no source address": {v6, dial("192.0.2.1", syscall.EADDRNOTAVAIL), fault.IPv6Only},
		"both":              {append(v6, "10.0.0.4/24"), dial("192.0.2.1", syscall.ENETUNREACH), fault.EndpointDown},
		"none":              {v6[:4], dial("192.0.2.1", syscall.ENETUNREACH), fault.EndpointDown},
		"to IPv6":           {v6, dial("2001:db8::1", syscall.ENETUNREACH), fault.EndpointDown},
		"refused":           {v6, dial("192.0.2.1", syscall.ECONNREFUSED), fault.EndpointDown},
	} {
		onMachine(t, c.addrs...)
		if f := Fault(t.Context(), c.err, "host"); !fault.Is(f, c.want) {
			t.Errorf("%s: %v, want %v", name, f, c.want)
		}
	}
}

// TestConnectionEndsWithItsRequest: what a request that is given up has begun holds no later one up.
func TestConnectionEndsWithItsRequest(t *testing.T) {
	for _, url := range []string{"https://acct.file.core.windows.net/", "http://acct.file.core.windows.net/"} {
		synctest.Test(t, func(t *testing.T) {
			dials, ended := 0, 0
			r, err := NewRoute(Options{ConnectTimeout: time.Hour, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				dials++
				<-ctx.Done()
				ended++
				return nil, ctx.Err()
			}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			_, err = r.RoundTrip(req)
			synctest.Wait()
			if !errors.Is(err, context.DeadlineExceeded) || dials != 1 || ended != 1 || time.Since(begun) != 3*time.Second {
				t.Errorf("%s: %v, %d of %d connections have ended after %s", url, err, ended, dials, time.Since(begun))
			}
			if bound, late := fault.Late(ctx); !late || bound != "" {
				t.Errorf("%q, %v", bound, late)
			}
		})
	}
}
