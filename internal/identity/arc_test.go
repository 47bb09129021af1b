package identity

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/waiting"
)

var connected = Identity{Kind: Arc}

// arcBench is a machine with the agent of Azure Arc.
func arcBench(t *testing.T, o azurefake.Options) (*azurefake.Fake, Options) {
	t.Helper()
	o.Arc, o.ArcKeyFolder = true, filepath.Join(t.TempDir(), "tokens")
	fake, opt := bench(t, o)
	opt.arc.dir = o.ArcKeyFolder
	opt.Host = host.Real().Trusting(os.Geteuid())
	return fake, opt
}

func TestArc(t *testing.T) {
	fake, o := arcBench(t, azurefake.Options{})
	seen := make(map[string]bool)
	ask := func(id Identity, resource string) {
		t.Helper()
		fake.ResetRequests()
		token, err := id.Token(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		claims, _ := ClaimsOf(token.Value)
		if claims.ObjectID != azurefake.SystemObjectID || claims.Audience != resource || !claims.Expiry.Equal(token.ExpiresOn) {
			t.Errorf("%s: %+v, ends %v", id, claims, token.ExpiresOn)
		}
		r := fake.Requests()
		if len(r) != 2 || r[0].Target != azurefake.TargetArc || r[1].Query.Get("resource") != resource || r[1].Proxied {
			t.Errorf("%s: %+v", id, r)
		}
		seen[token.Value.RevealString()] = true
	}
	ask(connected, azurefake.StorageAudience)
	ask(connected, azurefake.StorageAudience)
	ask(Identity{Kind: Arc, Resource: "https://storage.example"}, "https://storage.example")
	// The machine's own identity is the agent's where the agent is.
	o.arc.program = filepath.Join(t.TempDir(), "himds")
	write(t, o.arc.program, "", 0o700)
	ask(machine, azurefake.StorageAudience)
	o.arc.program += ".none"
	fake.ResetRequests()
	if _, err := machine.Token(t.Context(), o); err != nil || fake.Requests()[0].Target != azurefake.TargetIMDS {
		t.Errorf("%v %+v", err, fake.Requests())
	}
	if len(seen) != 4 {
		t.Errorf("%d different tokens out of 4", len(seen))
	}
	if left, _ := filepath.Glob(filepath.Join(o.arc.dir, "*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestIsArc(t *testing.T) {
	for address, want := range map[string]bool{
		"http://localhost:40342/metadata/identity/oauth2/token": true,
		"http://127.0.0.1:40342":                                true,
		"http://[::1]:40342/x":                                  true,
		"http://10.0.0.4:40342/metadata/identity/oauth2/token":  false,
		"http://localhost.evil.example:40342/":                  false,
		"http://localhost:40343/":                               false,
		"http://169.254.169.254/metadata/identity/oauth2/token": false,
		"localhost:40342":                                       false,
		"":                                                      false,
		"http://%":                                              false,
	} {
		if got := IsArc(address); got != want {
			t.Errorf("%q: %v", address, got)
		}
	}
}

func TestArcRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		order    azurefake.Order
		want     fault.Named
		requests int
		part     string
	}{
		"no identity":  {azurefake.Order{}, fault.ArcRefused, 2, "400 invalid_request: Identity not found"},
		"forbidden":    {azurefake.Order{Status: 403, Message: "Not you"}, fault.ArcRefused, 2, "403 invalid_request: Not you"},
		"not found":    {azurefake.Order{Status: 404}, fault.ArcRefused, 2, "404"},
		"unauthorized": {azurefake.Order{Status: 401}, fault.ArcRefused, 2, "401"},
		"redirect":     {azurefake.Order{Redirect: "http://127.0.0.1:40342/x"}, fault.ArcRefused, 2, "302"},
		"throttled":    {azurefake.Order{Status: 429, Message: "Too many"}, fault.ArcUnreachable, 8, "429 invalid_request: Too many"},
		"failing":      {azurefake.Order{Status: 500}, fault.ArcUnreachable, 8, "500"},
		"dropped":      {azurefake.Order{Drop: true}, fault.ArcUnreachable, 4, "EOF"},
		"HTML":         {azurefake.Order{Garbage: azurefake.GarbageJSON}, fault.TokenInvalid, 2, "Azure Arc"},
		"empty":        {azurefake.Order{Garbage: azurefake.GarbageEmpty}, fault.TokenInvalid, 2, "not JSON"},
		"truncated":    {azurefake.Order{Garbage: azurefake.GarbageTruncatedJSON}, fault.TokenInvalid, 2, "not JSON"},
		"huge":         {azurefake.Order{Garbage: azurefake.GarbageHuge}, fault.TokenInvalid, 2, "not JSON"},
		"no token":     {azurefake.Order{Body: new(`{"expires_on":"99999999999"}`)}, fault.TokenInvalid, 2, "not JSON"},
		"evil token":   {azurefake.Order{Body: new(`{"access_token":"a\r\nb"}`)}, fault.TokenInvalid, 2, "one word"},
	} {
		fake, o := arcBench(t, azurefake.Options{NoSystem: name == "no identity"})
		if name != "no identity" {
			c.order.Target = azurefake.TargetArc
			fake.Order(c.order)
		}
		f := refuses(t, connected, o, c.want, c.part)
		if n := len(fake.Requests()); n != c.requests || f.Retryable() != (c.want == fault.Named(fault.ArcUnreachable)) {
			t.Errorf("%s: %d requests, retryable %v", name, n, f.Retryable())
		}
	}
}

func TestArcRecovers(t *testing.T) {
	for _, order := range []azurefake.Order{{Status: 429}, {Status: 500}, {Status: 503}, {Drop: true}} {
		fake, o := arcBench(t, azurefake.Options{})
		order.Target, order.Times = azurefake.TargetArc, 2
		fake.Order(order)
		if _, err := connected.Token(t.Context(), o); err != nil || len(fake.Requests()) != 4 {
			t.Errorf("%+v: %v after %d requests", order, err, len(fake.Requests()))
		}
	}
	fake, o := arcBench(t, azurefake.Options{})
	fake.Order(azurefake.Order{Target: azurefake.TargetArc, Spaces: true})
	if token, err := connected.Token(t.Context(), o); err != nil || time.Until(token.ExpiresOn) < time.Hour {
		t.Errorf("%v, ends %v", err, token.ExpiresOn)
	}
}

func TestArcRetryAfterAndHang(t *testing.T) {
	fake, o := arcBench(t, azurefake.Options{})
	fake.Order(azurefake.Order{Target: azurefake.TargetArc, Status: 429, RetryAfter: "40", Times: 1})
	token, err := connected.Token(withTimeout(t, 30*time.Second), o)
	if f := failed(t, token, err, fault.ArcUnreachable); f.RetryAfter != 40*time.Second {
		t.Error(f.RetryAfter)
	}
	fake.Order(azurefake.Order{Target: azurefake.TargetArc, Hang: true})
	ctx := withTimeout(t, 300*time.Millisecond)
	for range 2 { // at the second time ctx has ended before
		token, err = connected.Token(ctx, o)
		failed(t, token, err, fault.ArcUnreachable)
	}
	fake.ResetRequests()
	cancelled, cancel := context.WithCancel(t.Context())
	go func() {
		_ = fake.WaitRequests(t.Context(), azurefake.TargetArc, 2)
		cancel()
	}()
	token, err = connected.Token(cancelled, o)
	failed(t, token, err, fault.Interrupted)
}

func TestNoArc(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	o := Options{retryDelay: time.Microsecond, arc: arcPlaces{program: "/nonexistent"}, IMDS: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "127.0.0.1:40342" {
			t.Errorf("connects to %s", addr)
		}
		return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	}}}
	refuses(t, connected, o, fault.ArcUnreachable, syscall.ECONNREFUSED.Error(), "fix: connect this machine to Azure Arc (its agent, package azcmagent, is not installed), or use another identity", "; then: systemctl status himdsd")
	o.arc.program = "/bin/sh"
	refuses(t, connected, o, fault.ArcUnreachable, "fix: systemctl status himdsd")
	refuses(t, connected, Options{}, fault.Internal)
}

// TestArcChallenges has something else listen in the agent's place: it learns nothing of files that
// are not the agent's.
func TestArcChallenges(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "tokens")
	for _, f := range []string{folder, filepath.Join(folder, "sub"), filepath.Join(folder, "dir.key")} {
		if err := os.Mkdir(f, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"outside.key": secretText, "tokens/good.key": "g00d\n", "tokens/key": secretText, "tokens/sub/a.key": secretText,
		"tokens/long.key": strings.Repeat("x", 4097), "tokens/empty.key": "", "tokens/lines.key": "s3cr3t\ntwo", "tokens/most.key": strings.Repeat("x", 4096),
	} {
		write(t, filepath.Join(dir, name), text, 0o600)
	}
	if err := os.Symlink(filepath.Join(dir, "outside.key"), filepath.Join(folder, "link.key")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(folder, "fifo.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for challenge, c := range map[string]struct {
		want fault.Named
		part string
	}{
		"Basic realm=" + folder + "/good.key":            {nil, ""},
		`Basic realm="` + folder + `/good.key"`:          {nil, ""},
		"Basic realm=" + folder + "/most.key":            {nil, ""},
		"":                                               {fault.ArcRefused, "no key file"},
		"Basic":                                          {fault.ArcRefused, "no key file"},
		"Basic realm=":                                   {fault.ArcRefused, "no key file"},
		"Digest realm=" + folder + "/good.key":           {fault.ArcRefused, "no key file"},
		"Basic realm=" + dir + "/outside.key":            {fault.ArcRefused, "no key file"},
		"Basic realm=" + folder + "/../outside.key":      {fault.ArcRefused, "no key file"},
		"Basic realm=" + folder + "/sub/../good.key":     {fault.ArcRefused, "no key file"},
		"Basic realm=" + folder + "/sub/a.key":           {fault.ArcRefused, "no key file"},
		"Basic realm=" + folder + "//good.key":           {fault.ArcRefused, "no key file"},
		"Basic realm=" + folder + "/key":                 {fault.ArcRefused, "no key file"},
		"Basic realm=tokens/good.key":                    {fault.ArcRefused, "no key file"},
		"Basic realm=/etc/shadow":                        {fault.ArcRefused, "no key file"},
		"Basic realm=" + folder + "/none.key":            {fault.ArcKey, "no such file"},
		"Basic realm=" + folder + "/link.key":            {fault.ArcKey, "not a regular file"},
		"Basic realm=" + folder + "/fifo.key":            {fault.ArcKey, "not a regular file"},
		"Basic realm=" + folder + "/dir.key":             {fault.ArcKey, "not a regular file"},
		"Basic realm=" + folder + "/long.key":            {fault.ArcKey, "longer than 4096"},
		"Basic realm=" + folder + "/empty.key":           {fault.ArcKey, "empty"},
		"Basic realm=" + folder + "/lines.key":           {fault.ArcKey, "one word"},
		"Basic realm=" + folder + "/\x1b[2J.key":         {fault.ArcKey, "no such file"},
		"Basic realm=" + folder + "/good.key, Basic x=y": {fault.ArcRefused, "no key file"},
	} {
		asked := 0
		o := Options{arc: arcPlaces{dir: folder}, IMDS: roundTrip(func(r *http.Request) (*http.Response, error) {
			if asked++; asked == 1 {
				resp := answer(401, "")
				resp.Header.Set("WWW-Authenticate", challenge)
				return resp, nil
			}
			// It repeats the key.
			return answer(403, r.Header.Get("Authorization")), nil
		})}
		if c.want == nil {
			f := refuses(t, connected, o, fault.ArcRefused, "403 Forbidden, it says: Basic REDACTED")
			noSecret(t, f, "g00d", "xxxxxx")
			continue
		}
		f := refuses(t, connected, o, c.want, c.part)
		noSecret(t, f, secretText, "s3cr3t", "two", "\x1b")
		if asked != 1 {
			t.Errorf("%q: %d requests", challenge, asked)
		}
	}
	// A token without a challenge is not the agent's.
	o := Options{IMDS: roundTrip(func(*http.Request) (*http.Response, error) {
		return answer(200, `{"access_token":"eyJforged","expires_on":"99999999999"}`), nil
	})}
	noSecret(t, refuses(t, connected, o, fault.ArcRefused, "without asking for its key"), "eyJforged")
}

// TestNobodyElseIsTheAgent: while the agent is down any user can listen on its port, and could ask for the
// secret of a key file.
func TestNobodyElseIsTheAgent(t *testing.T) {
	_, o := arcBench(t, azurefake.Options{})
	needs.Root(t)
	o.Host = host.Real().Trusting(0)
	if _, err := connected.Token(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 8))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	go func() { // another user, as far as sockets go
		runtime.LockOSThread() // and never unlocked: the thread ends with it
		_, _ = unix.SetfsuidRetUid(annUID)
		for {
			if _, _, err := unix.Accept(fd); err != nil {
				return
			}
		}
	}()
	port := strconv.Itoa(at.(*unix.SockaddrInet4).Port)
	o.IMDS = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}}
	refuses(t, connected, o, fault.ArcRefused, "uid 64123 listens in its place")
	o.IMDS = waiting.Transport(o.IMDS, func(string) {}) // as package tickets gives it
	refuses(t, connected, o, fault.ArcRefused, "uid 64123 listens in its place")
}
