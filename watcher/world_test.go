package watcher

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const clientID = "11111111-2222-3333-4444-555555555555"

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

// own is this machine as the caller sees it.
func own() host.Host { return host.Real().Trusting(os.Geteuid()) }

// world is a machine in virtual time and the Azure beyond it.
type world struct {
	t       *testing.T
	azure   *azure
	dir     string // of the configuration and the cache
	begun   time.Time
	ahead   time.Duration // of the machine's clock
	deaf    bool          // events get lost
	replay  *replay       // in the place of Azure, and nothing is written down
	trouble map[string]string
	mountID int
	tuned   tunables

	mu        sync.Mutex
	table     []string
	lines     []entry
	ring      chan ring
	timer     *time.Timer
	stepped   atomic.Bool // the clock was set, and set is to tell
	remounted chan struct{}
	followed  []chan struct{}
	changed   chan cause
	hangups   chan os.Signal
	looks     atomic.Int32 // at the mount table
	tell      func(string) // what systemd is told
	alive     time.Duration

	enter, leave func() // around each request
	disk         func() // before each write of the metrics
	forgotten    atomic.Int32

	*watcher
	stop func()
}

// entry is a line of the transcript.
type entry struct {
	at   time.Duration
	text string
}

// newWorld must be called in a bubble; the rest of its arguments are from outside.
func newWorld(t *testing.T, a *azure, dir, conf string) *world {
	w := &world{
		t: t, azure: a, dir: dir, begun: time.Now(), trouble: map[string]string{}, mountID: 30,
		tell: func(string) {}, enter: func() {}, leave: func() {}, disk: func() {},
		ring: make(chan ring, 1), changed: make(chan cause, 1), remounted: make(chan struct{}, 1), hangups: make(chan os.Signal, 1),
	}
	w.timer = time.AfterFunc(time.Hour, func() { w.toll(ring{}) })
	w.timer.Stop()
	w.configure(conf)
	return w
}

func (w *world) configure(text string) {
	check(os.WriteFile(w.path("config.yaml"), []byte("KRB5_CC_NAME: "+w.path("cc/krb5cc_%{uid}")+"\nUSER_UID: 0\n"+strings.ReplaceAll(text, "$WORK", w.dir)), 0o600))
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) host() host.Host {
	h := own()
	h.Config, h.Mounts, h.Fstab, h.Now = w.path("config.yaml"), "/mountinfo", w.path("fstab"), w.wall
	return h
}

func (w *world) options() Options {
	return Options{
		Host: w.host(), Name: "test", Version: "2.0.0",
		Log: slog.New(&transcriber{w}), Look: w.tuned.Look, BeforeExpiry: w.tuned.BeforeExpiry,
		Access: tickets.Access{
			Transport: w, IMDS: w,
			ForgetFailures: func() (bool, error) { w.forgotten.Add(1); w.write("kernel: forgets"); return true, nil },
		},
	}
}

func (w *world) machine() machine {
	return machine{
		alarm: w, mounted: w.list, remounted: w.remounted, hangups: w.hangups, changes: w.changed,
		watchCache: w.follow, notify: w.tell, alive: w.alive, seed: "seed",
		upcalls: func() map[string]metrics.Upcall { return map[string]metrics.Upcall{"answered": {Count: 3}} },
		replace: func(path string, text []byte) error {
			w.disk()
			return w.host().Replace(path, own().Own(textfileMode), host.Content(text))
		},
	}
}

// start begins the daemon; the world's stop ends it.
func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.watcher = must(newWatcher(ctx, w.options(), w.machine()))
	go w.run(ctx)
	synctest.Wait()
	w.stop = func() {
		cancel()
		<-w.events.ended
		synctest.Wait()
	}
}

func (w *world) wall() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead).Round(0)
}

// set, rings and close are for alarm.
func (w *world) set(at time.Time) (stepped bool) {
	w.timer.Reset(max(at.Sub(w.wall()), 0))
	return w.stepped.Swap(false)
}

func (w *world) rings() <-chan ring { return w.ring }
func (w *world) close()             {}

func (w *world) toll(r ring) {
	select {
	case w.ring <- r:
	default:
	}
}

// step sets the machine's clock.
func (w *world) step(by time.Duration) {
	w.mu.Lock()
	w.ahead += by
	w.mu.Unlock()
	w.toll(ring{stepped: true})
	synctest.Wait()
}

func (w *world) list(r endpoint.Resolver) ([]mounts.Mount, error) {
	w.looks.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	return mounts.Parse(strings.NewReader(strings.Join(w.table, "\n")), r)
}

func (w *world) follow(ctx context.Context, _ string) (<-chan struct{}, error) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.followed = append(w.followed, c)
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.followed = slices.DeleteFunc(w.followed, func(o chan struct{}) bool { return o == c })
		close(c)
	})
	return c, nil
}

// cacheChanged is what inotify tells.
func (w *world) cacheChanged() {
	if w.deaf {
		return
	}
	w.mu.Lock()
	for _, c := range w.followed {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	w.mu.Unlock()
	synctest.Wait()
}

// mount adds a line to the mount table.
func (w *world) mount(source, target string, options ...string) {
	w.mu.Lock()
	w.mountID++
	super := append([]string{"rw", "vers=3.1.1"}, options...)
	if len(options) == 0 || !strings.HasPrefix(options[0], "sec=") {
		super = append([]string{"rw", "sec=krb5", "cruid=0"}, options...)
	}
	w.table = append(w.table, fmt.Sprintf("%d 1 0:%d / %s rw,relatime - cifs %s %s", w.mountID, w.mountID, target, source, strings.Join(super, ",")))
	w.mu.Unlock()
	w.tableChanged()
}

func (w *world) unmount(target string) {
	w.mu.Lock()
	w.table = slices.DeleteFunc(w.table, func(l string) bool { return strings.Contains(l, " / "+target+" ") })
	w.mu.Unlock()
	w.tableChanged()
}

// tableChanged is what the kernel tells.
func (w *world) tableChanged() {
	if w.deaf {
		return
	}
	select {
	case w.remounted <- struct{}{}:
	default:
	}
	if w.watcher != nil {
		synctest.Wait()
	}
}

// RoundTrip is for http.RoundTripper. What a server cannot do is done here: to hang in virtual time, to
// have no name or no trust.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.enter()
	defer w.leave()
	host := r.URL.Hostname()
	switch w.trouble[host] {
	case "hang":
		<-r.Context().Done()
		w.write("azure: " + host + " was asked and hangs")
		return nil, r.Context().Err()
	case "dns":
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	case "tls":
		return nil, x509.UnknownAuthorityError{}
	case "down":
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: unix.ECONNREFUSED}
	}
	if w.replay != nil {
		return w.replay.answer(r, w.wall(), w.azure.ask)
	}
	response, err := w.azure.ask(r)
	if err != nil {
		w.write(fmt.Sprintf("azure: %s was asked: %v", host, err))
		return nil, err
	}
	who := w.azure.who(host, response.StatusCode)
	w.write(fmt.Sprintf("azure: %s was asked as %s: %d", host, who, response.StatusCode))
	return response, nil
}

func (w *world) write(text string) {
	if w.replay != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, entry{time.Since(w.begun), text})
}

// transcript takes the lines since it was last called. Those of one second are sorted and each is there
// once, because workers run beside each other.
func (w *world) transcript() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.lines {
		w.lines[i].at = w.lines[i].at.Round(time.Second)
	}
	slices.SortStableFunc(w.lines, func(a, b entry) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return strings.Compare(a.text, b.text)
	})
	var out strings.Builder
	for _, l := range slices.Compact(w.lines) {
		fmt.Fprintf(&out, "%s %s\n", l.at, l.text)
	}
	w.lines = nil
	return out.String()
}

// exchanges counts the tickets that the host was asked for.
func (w *world) exchanges(host string) (n int) {
	for _, r := range w.azure.Requests() {
		if r.Target == azurefake.TargetStorage && (host == "" || r.Host == host) {
			n++
		}
	}
	return n
}

// other is another process that stores a ticket.
// A token is one that was handed to it.
func (w *world) other(host, who, token string, cruid int) error {
	cfg := must(config.Read(w.host()))
	quiet := &world{azure: w.azure, trouble: map[string]string{}, begun: w.begun, enter: w.enter, leave: w.leave}
	m := must(tickets.New(tickets.Options{
		Host: w.options().Host, Config: cfg, Access: tickets.Access{Transport: quiet, IMDS: quiet},
		Mounted: func() ([]mounts.Mount, error) { return nil, nil },
	}))
	e := must(cfg.Resolver.Resolve(host))
	_, err := m.Ensure(w.t.Context(), tickets.Request{
		Endpoint: e, Identity: must(identity.Parse(who)), CRUID: cruid, Fresh: tickets.Always, Replace: true,
		Token: secret.FromString(token), Keep: true,
	})
	w.cacheChanged()
	return err
}

var random = regexp.MustCompile(`request id \w+|krb5cc_0\.[0-9a-f]{16}|\.azf\.prom\.\d+`)

// plain leaves out what differs from run to run.
func (w *world) plain(text string) string {
	text = strings.NewReplacer(w.dir, "$WORK", fmt.Sprintf("owner uid %d,", os.Geteuid()), "owner uid 0,").Replace(text)
	return random.ReplaceAllString(text, "...")
}

// transcriber logs to the transcript; times are since the beginning, by the machine's clock.
type transcriber struct{ *world }

func (h *transcriber) Enabled(context.Context, slog.Level) bool { return true }

func (h *transcriber) Handle(_ context.Context, r slog.Record) error {
	text := fmt.Sprintf("%s: %s", strings.ToLower(r.Level.String()), r.Message)
	r.Attrs(func(a slog.Attr) bool {
		v := a.Value.Any()
		if at, ok := v.(time.Time); ok {
			v = at.Sub(h.begun).Round(time.Second)
		}
		text += fmt.Sprintf(" %s=%v", a.Key, v)
		return true
	})
	h.write(h.plain(text))
	return nil
}

func (h *transcriber) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *transcriber) WithGroup(string) slog.Handler      { return h }
