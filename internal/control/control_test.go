package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// daemon is a Handler whose answers a test sets.
type daemon struct {
	status  Status
	refresh func(ctx context.Context, host string) ([]Outcome, error)
	metrics string
}

func (d daemon) Status() Status { return d.status }

func (d daemon) Refresh(ctx context.Context, host string) ([]Outcome, error) {
	return d.refresh(ctx, host)
}

func (d daemon) WriteMetrics(w io.Writer) { _, _ = io.WriteString(w, d.metrics) }

// start starts a server that ends with the test, and waits until it answers. end ends it at once and
// gives what Serve gave.
func start(t *testing.T, path string, h Handler) (end func() error) {
	t.Helper()
	return startOn(t, machine(path), path, h)
}

// startOn is start on a machine.
func startOn(t *testing.T, m host.Host, path string, h Handler) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- Serve(ctx, m, path, h) }()
	var once sync.Once
	var err error
	end = func() error {
		once.Do(func() {
			cancel()
			err = <-result
		})
		return err
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	for {
		if _, err := NewClient(path).Status(ctx); err == nil {
			return end
		}
		select {
		case early := <-result:
			once.Do(func() {}) // there is nothing to end
			t.Fatalf("Serve: %v", early)
		case <-time.After(time.Millisecond):
		}
	}
}

// machine is one whose run directory is that of the socket, and whose trusted user is the caller.
func machine(path string) host.Host {
	h := host.Real().Trusting(os.Geteuid())
	h.Run = filepath.Dir(path)
	return h
}

func socketPath(t *testing.T) string { return filepath.Join(t.TempDir(), "run", "watch.sock") }

var example = Status{
	Schema: Schema, Version: "2.0.0", PID: 42, Started: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Active: true,
	CCache: "/run/azfilesauth/krb5cc_0", Mountinfo: "/proc/self/mountinfo", NextLook: time.Date(2026, 11, 23, 12, 10, 0, 0, time.UTC),
	Endpoints: []Endpoint{{
		Host: "acct.file.core.windows.net", Identity: "system", State: Failing, Why: "a <reason> & more", Failures: 2,
		Mounts:    []Mount{{"//acct.file.core.windows.net/s", "/mnt/s"}},
		TicketEnd: time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC),
		LastFault: &Fault{ID: "AZF-DNS-FAILED", What: "what", Fix: "fix", At: time.Date(2026, 11, 23, 12, 1, 0, 0, time.UTC)},
	}},
}

func TestStatus(t *testing.T) {
	path := socketPath(t)
	told := example
	told.Schema = 0 // the server knows it
	start(t, path, daemon{status: told})
	got, err := NewClient(path).Status(t.Context())
	if err != nil || !cmp.Equal(got, example) {
		t.Errorf("%v: %s", err, cmp.Diff(example, got))
	}
}

// The keys are promised.
func TestSchema(t *testing.T) {
	path := socketPath(t)
	end := start(t, path, daemon{status: example})
	got := raw(t, path, "GET /v1/status HTTP/1.0\r\n\r\n")
	want := `{"schema":1,"version":"2.0.0","pid":42,"started":"2026-11-23T12:00:00Z","active":true,"ccache":"/run/azfilesauth/krb5cc_0",` +
		`"mountinfo":"/proc/self/mountinfo","next_look":"2026-11-23T12:10:00Z","endpoints":[{"host":"acct.file.core.windows.net","cruid":0,` +
		`"ccache":"","identity":"system","mounts":[{"source":"//acct.file.core.windows.net/s","target":"/mnt/s"}],"state":"failing",` +
		`"why":"a <reason> & more","ticket_end":"2026-11-23T13:00:00Z","failures":2,` +
		`"last_fault":{"id":"AZF-DNS-FAILED","what":"what","fix":"fix","at":"2026-11-23T12:01:00Z"}}]}` + "\n"
	if _, body, _ := strings.Cut(got, "\r\n\r\n"); body != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	start(t, path, daemon{})
	if got := raw(t, path, "GET /v1/status HTTP/1.0\r\n\r\n"); !strings.Contains(got, `"endpoints":[]`) {
		t.Errorf("got %s", got)
	}
}

// raw sends a request byte by byte as it is.
func raw(t *testing.T, path, request string) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestRefresh(t *testing.T) {
	path := socketPath(t)
	want := []Outcome{{Host: "a b&c"}, {Host: "b", CRUID: 1000, Fault: &Fault{ID: "AZF-X"}}}
	start(t, path, daemon{refresh: func(_ context.Context, host string) ([]Outcome, error) {
		switch host {
		case "unknown":
			return nil, fault.HostUnknown.New(host, "p").Because(errors.New("a cause"))
		case "":
			return nil, nil
		}
		want[0].Host = host
		return want, nil
	}})
	c := NewClient(path)
	if got, err := c.Refresh(t.Context(), "a b&c"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v: %s", err, cmp.Diff(want, got))
	}
	if got, err := c.Refresh(t.Context(), ""); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	_, err := c.Refresh(t.Context(), "unknown")
	var refused *Refused
	if !errors.As(err, &refused) || refused.ID != string(fault.HostUnknown.ID) || !strings.Contains(refused.What, "(a cause)") || refused.Fix == "" || refused.At.IsZero() {
		t.Errorf("%v", err)
	}
	if _, err := c.Refresh(t.Context(), strings.Repeat("x", 254)); !errors.As(err, &refused) {
		t.Errorf("a long host: %v", err)
	}
}

// Who no longer waits for a refresh ends it, and so does the end of the daemon.
func TestRefreshIsCancelled(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(client context.CancelFunc, server func() error)
	}{
		{"by the client", func(client context.CancelFunc, _ func() error) { client() }},
		{"by the server", func(_ context.CancelFunc, server func() error) { go server() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := socketPath(t)
			begun, ended := make(chan struct{}), make(chan struct{})
			end := start(t, path, daemon{refresh: func(ctx context.Context, _ string) ([]Outcome, error) {
				close(begun)
				<-ctx.Done()
				close(ended)
				return nil, ctx.Err()
			}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error, 1)
			go func() { _, err := NewClient(path).Refresh(ctx, "h"); failed <- err }()
			<-begun
			test.end(cancel, end)
			<-ended
			if err := <-failed; err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	path := socketPath(t)
	start(t, path, daemon{metrics: "azfilesauth_up 1\n"})
	got, err := NewClient(path).Metrics(t.Context())
	if err != nil || string(got) != "azfilesauth_up 1\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got := raw(t, path, "GET /metrics HTTP/1.0\r\n\r\n"); !strings.Contains(got, "Content-Type: text/plain; version=0.0.4") {
		t.Errorf("got %s", got)
	}
}

func TestWhatIsNotServed(t *testing.T) {
	path := socketPath(t)
	start(t, path, daemon{refresh: func(context.Context, string) ([]Outcome, error) {
		t.Error("refreshed")
		return nil, nil
	}})
	for request, want := range map[string]string{
		"GET / HTTP/1.0\r\n\r\n":           "404",
		"GET /v1/refresh HTTP/1.0\r\n\r\n": "405",
		"POST /v1/status HTTP/1.0\r\n\r\n": "405",
		"nonsense\r\n\r\n":                 "400",
		"GET / HTTP/1.1\r\nHost: x\r\n" + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n": "431",
	} {
		if got := raw(t, path, request); !strings.HasPrefix(got, "HTTP/1.") || !strings.HasPrefix(got[8:], " "+want) {
			t.Errorf("%.20q: %.60q, want %s", request, got, want)
		}
	}
}

func TestModes(t *testing.T) {
	path := socketPath(t)
	mode := fs.FileMode(0o600)
	if _, readers := host.Real().GroupID(Readers); readers && os.Geteuid() == 0 {
		mode = 0o660
	}
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	end := start(t, path, daemon{})
	for name, want := range map[string]fs.FileMode{
		path: fs.ModeSocket | mode, filepath.Dir(path): fs.ModeDir | 0o711, filepath.Join(filepath.Dir(path), ".watch.sock.lock"): 0o600,
	} {
		if info, err := os.Lstat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestDeadSocketIsReplaced(t *testing.T) {
	path := socketPath(t)
	if err := os.Mkdir(filepath.Dir(path), 0o711); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if _, err := NewClient(path).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a dead socket: %v", err)
	}
	start(t, path, daemon{})
}

func TestLiveSocketIsKept(t *testing.T) {
	path := socketPath(t)
	start(t, path, daemon{status: example})
	if err := Serve(t.Context(), machine(path), path, daemon{}); !errors.Is(err, ErrInUse) {
		t.Errorf("the second: %v", err)
	}
	// One that is not ours has no lock.
	other := filepath.Join(filepath.Dir(path), "other.sock")
	l, err := net.Listen("unix", other)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Serve(t.Context(), machine(other), other, daemon{}); !errors.Is(err, ErrInUse) {
		t.Errorf("of another program: %v", err)
	}
	// One that is about to listen has nothing but its lock.
	early := filepath.Join(filepath.Dir(path), "early.sock")
	d, err := machine(early).OwnDir(filepath.Dir(early))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	unlock, err := d.Lock(t.Context(), ".early.sock.lock", host.Sole)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := Serve(ctx, machine(early), early, daemon{}); !errors.Is(err, ErrInUse) {
		t.Errorf("with the lock taken: %v", err)
	}
	if got, err := NewClient(path).Status(t.Context()); err != nil || got.PID != example.PID {
		t.Errorf("the first is gone: %+v, %v", got, err)
	}
}

// Of many that start over a dead socket, one gets it, and it is reachable.
func TestRaceForASocket(t *testing.T) {
	path := socketPath(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	results := make(chan error, 20)
	for range 20 {
		go func() { results <- Serve(ctx, machine(path), path, daemon{status: example}) }()
	}
	for range 19 {
		if err := <-results; !errors.Is(err, ErrInUse) {
			t.Errorf("got %v", err)
		}
	}
	for { // the winner has its lock before it listens
		_, err := NewClient(path).Status(ctx)
		if err == nil {
			break
		}
		select {
		case err := <-results:
			t.Fatalf("the winner ended: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-results; err != nil {
		t.Error(err)
	}
}

func TestUnsafePlaces(t *testing.T) {
	needs.Root(t)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.Mkdir(in("real"), 0o711), os.Symlink("real", in("link")),
		os.Mkdir(in("open"), 0o700), os.Chmod(in("open"), 0o777), os.Mkdir(in("open/below"), 0o711),
		os.Mkdir(in("sticky"), 0o700), os.Chmod(in("sticky"), 0o777|fs.ModeSticky), os.Mkdir(in("sticky/below"), 0o711),
		os.Mkdir(in("alien"), 0o711), os.Chown(in("alien"), 65534, 65534),
		os.WriteFile(in("real/file.sock"), []byte("x"), 0o600), os.Symlink("/nowhere", in("real/link.sock")),
		os.WriteFile(in("file"), nil, 0o600),
		os.Symlink("victim", in("real/.locked.sock.lock")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{
		"link/s", "open/s", "open/below/s", "sticky/s", "alien/s", "alien/new/s", "file/s", "missing/folder/s",
		"real/file.sock", "real/link.sock", "real/locked.sock", "real/" + strings.Repeat("x", 110),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := Serve(ctx, machine(in(path)), in(path), daemon{}); err == nil {
			t.Errorf("%s: no error", path)
		}
		cancel()
	}
	if err := Serve(t.Context(), machine("relative.sock"), "relative.sock", daemon{}); err == nil {
		t.Error("a relative path: no error")
	}
	if b, err := os.ReadFile(in("real/file.sock")); err != nil || string(b) != "x" {
		t.Errorf("a file was removed: %v", err)
	}
	if _, err := os.Lstat(in("real/victim")); err == nil {
		t.Error("a link was followed")
	}
	start(t, in("sticky/below/s"), daemon{})
}

// Another user's process is refused even when the mode lets it in.
func TestOnlyRoot(t *testing.T) {
	needs.Root(t)
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "watch.sock")
	start(t, path, daemon{})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if _, err := asNobody(path); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("as it is: %v", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := asNobody(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /v1/status HTTP/1.0\r\n\r\n") // may be cut off before it
	if answer, _ := io.ReadAll(c); len(answer) > 0 {
		t.Errorf("answered %q", answer)
	}
	_, err = NewClient(path).Status(t.Context())
	if err != nil {
		t.Errorf("root: %v", err)
	}
}

// asNobody connects as another user, by a thread that has given up root's rights and ends.
func asNobody(path string) (c net.Conn, err error) { return connectAs(path, 65534) }

// connectAs connects as nobody who is in one more group.
func connectAs(path string, gid uint32) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		const nobody = 65534
		groups := []uint32{nobody, gid}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
			err = errno
			return
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			err = errno
			return
		}
		c, err = net.Dial("unix", path)
	}()
	<-done
	return c, err
}

// A member of the group of readers gets the status and nothing else; without the group the socket is root's.
func TestReaders(t *testing.T) {
	needs.Root(t)
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const gid = 4711
	h := host.Real().Trusting(os.Geteuid())
	h.Group = filepath.Join(dir, "group")
	if err := errors.Join(os.WriteFile(h.Group, []byte("root:x:0:\nadm:x:4711:ann\n"), 0o644), os.Chmod(dir, 0o711)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "watch.sock")
	startOn(t, h, path, daemon{status: Status{PID: 42}, metrics: "m 1\n", refresh: func(context.Context, string) ([]Outcome, error) { t.Error("refreshed"); return nil, nil }})
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o660 || info.Sys().(*syscall.Stat_t).Gid != gid || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Fatalf("%v, %v", info, err)
	}
	if _, err := asNobody(path); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("another user: %v", err)
	}
	for request, want := range map[string]string{
		"GET /v1/status": `"pid":42`, "POST /v1/refresh": "403 Forbidden", "GET /metrics": "403 Forbidden",
	} {
		c, err := connectAs(path, gid)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, request+" HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
		answer, _ := io.ReadAll(c)
		_ = c.Close()
		if !strings.Contains(string(answer), want) || strings.Contains(string(answer), "m 1") {
			t.Errorf("%s: %s", request, answer)
		}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := asNobody(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /v1/status HTTP/1.0\r\n\r\n") // may be cut off before it
	if answer, _ := io.ReadAll(c); len(answer) > 0 {
		t.Errorf("whoever the mode lets in is answered: %q", answer)
	}
}

// pipes is a listener in memory, whose connections have virtual deadlines in a bubble.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.ended) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, its := net.Pipe()
	p.conns <- its
	return ours, nil
}

// Connections that say nothing keep nobody out for long, and do not pile up.
func TestIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
		client := &Client{http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}}
		ended := make(chan error)
		go func() {
			ended <- serve(ctx, limit(p, func(net.Conn) access { return all }), routes(daemon{}))
		}()
		begun := time.Now()
		for range maxConns - 1 {
			c, _ := p.dial(ctx, "", "")
			defer c.Close()
		}
		if _, err := client.Status(ctx); err != nil || time.Since(begun) != 0 {
			t.Errorf("beside the silent ones: %v after %s", err, time.Since(begun))
		}
		c, _ := p.dial(ctx, "", "")
		defer c.Close()
		// All places are taken now: this one is answered when the silent ones have been shown out.
		if _, err := client.Status(ctx); err != nil || time.Since(begun) != headerTimeout {
			t.Errorf("when all places were taken: %v after %s", err, time.Since(begun))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Nor do connections whose request announces a body that never comes, whatever the answer is.
func TestUnsentBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
		client := &Client{http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}}
		ended := make(chan error)
		go func() {
			ended <- serve(ctx, limit(p, func(net.Conn) access { return reads }), routes(daemon{}))
		}()
		begun := time.Now()
		for i := range maxConns {
			c, _ := p.dial(ctx, "", "")
			defer c.Close()
			go func() { _, _ = io.Copy(io.Discard, c) }()
			path := []string{"/v1/status", "/v1/refresh", "/metrics", "/other"}[i%4]
			if _, err := io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := client.Status(ctx); err != nil || time.Since(begun) != answerTimeout {
			t.Errorf("when all places were taken: %v after %s", err, time.Since(begun))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestNotRunning(t *testing.T) {
	if _, err := NewClient(socketPath(t)).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no folder: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewClient(socketPath(t)).Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// What answers need not be the daemon.
func TestStrangeAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var answer http.HandlerFunc
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) })}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	for name, a := range map[string]http.HandlerFunc{
		"not JSON": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"500":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(endless{}, maxAnswer+1<<20))
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "{")
		},
	} {
		answer = a
		if _, err := NewClient(path).Status(t.Context()); err == nil || errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewClient(path).Refresh(t.Context(), ""); err == nil {
			t.Errorf("%s: refreshed", name)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{' '}, len(p))), nil }

// A daemon that ends while it is asked is not running; that is no failure of its own.
func TestStatusOfDaemonThatEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = l.Close() // which removes the socket
		_ = c.Close()
	}()
	if _, err := NewClient(path).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}

// Metrics gives the counters in the text form of Prometheus. The errors are those of Status.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	body, err := c.ask(ctx, http.MethodGet, "/metrics")
	return body, err
}
