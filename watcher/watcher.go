// Package watcher is the daemon that keeps the tickets of mounted shares fresh: azfilesauth watch, and
// azfilesrefresh, the name by which units and containers know it.
//
// It sleeps until the mount table or a credential cache changes, until the next ticket is due, or until
// somebody asks it by its socket. Then it looks at everything anew, and Plan says what is to be done for
// which endpoint and when. What it knows is in the mount table and in the caches; of its own it has only
// the failures since it was started.
//
// Invariants: no mount point is ever touched, since one whose server is gone blocks for minutes; a ticket
// is refreshed as who obtained it or not at all; an old ticket stays until a new one is in its place, and
// when a mount goes away; one endpoint's failure is no other's; one goroutine owns all state, and nothing
// runs while nothing happens; a line is logged when something changes and never again before it changes.
package watcher

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const (
	// longestSleep bounds the time between two looks: events can get lost, and some mount namespaces
	// tell of none.
	longestSleep = 10 * time.Minute
	// restGC is the garbage collector's share while the daemon sleeps, memoryLimit where it begins to
	// work harder, in bytes.
	restGC      = 100
	memoryLimit = 80 << 20
)

// Options are the daemon's surroundings.
type Options struct {
	Host    host.Host // its Config, Mounts, Run and Now
	Name    string    // the program, for messages
	Version string
	Socket  string // where others reach it; "" is nowhere

	Log    *slog.Logger
	Reopen func() // opens the log file anew; nil does nothing

	Look         time.Duration // the longest time between two looks; zero is 10 min
	BeforeExpiry time.Duration // zero is what the configuration says

	// Transport reaches Entra and the storage accounts, IMDS the machine's identity service; nil means
	// what the configuration says.
	Transport, IMDS http.RoundTripper
	// OpenRing gives the keyring in which access tokens are kept; nil keeps them in memory alone.
	OpenRing func() (keyring.Ring, error)
	// ForgetFailures makes the kernel forget its failed requests for tickets; nil does not.
	ForgetFailures func() (bool, error)
}

// machine is what the watcher hears and sees of the machine.
type machine struct {
	alarm      alarm
	mounted    func(endpoint.Resolver) ([]mounts.Mount, error)
	remounted  <-chan struct{} // the mount table has changed
	watchCache func(ctx context.Context, path string) (<-chan struct{}, error)
	changes    <-chan cause // of what can repair something
	late       error        // why some of those are not told of
	hangups    <-chan os.Signal
	notify     func(state string)
	alive      time.Duration // how often systemd wants to hear; zero is never
	seed       string
	upcalls    func() map[string]uint64 // the kernel's requests by result, see package metrics
}

// Run is the daemon. It ends when ctx does, by SIGTERM or by SIGINT, and gives the exit status.
func Run(ctx context.Context, o Options) int {
	if os.Geteuid() != o.Host.UID {
		return failed(fault.NotRoot.New(o.Name))
	}
	debug.SetGCPercent(restGC)
	debug.SetMemoryLimit(memoryLimit)
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	defer signal.Stop(hangups)
	// To be told of is not to be killed by: a reader of the log that goes away ends no daemon, nor does a file
	// that may not grow.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE, unix.SIGXFSZ)
	m, err := real(ctx, o.Host, hangups)
	if err != nil {
		return failed(err)
	}
	defer m.alarm.close()
	w, err := newWatcher(ctx, o, m)
	if err != nil {
		return failed(err)
	}
	served, exposed := w.serve(ctx), w.serveMetrics(ctx)
	w.run(ctx)
	<-served
	<-exposed
	return 0
}

func failed(err error) int {
	f := fault.From(err)
	_, _ = fmt.Fprintln(os.Stderr, f.Error())
	return int(f.Exit())
}

// real is this machine.
func real(ctx context.Context, h host.Host, hangups <-chan os.Signal) (machine, error) {
	clock, err := newTimer()
	if err != nil {
		return machine{}, err
	}
	watch := mounts.Watch
	if !strings.HasPrefix(h.Mounts, "/proc/") {
		watch = ccache.Watch // an ordinary file tells of its changes by inotify, the kernel's tables do not
	}
	remounted, err := watch(ctx, h.Mounts)
	if err != nil {
		clock.close()
		return machine{}, noticedLate(h.Mounts, err)
	}
	changes, late := surroundings(ctx, h)
	return machine{
		alarm:      clock,
		mounted:    func(r endpoint.Resolver) ([]mounts.Mount, error) { return mounts.ListFrom(h.Mounts, r) },
		remounted:  remounted,
		watchCache: ccache.Watch,
		changes:    changes,
		late:       late,
		hangups:    hangups,
		notify:     notify,
		alive:      watchdog(),
		seed:       machineID(),
		upcalls:    func() map[string]uint64 { return metrics.Upcalls(h) },
	}, nil
}

// machineID differs from machine to machine; in a container, which may have none, its name does as well.
func machineID() string {
	if id, err := os.ReadFile("/etc/machine-id"); err == nil && len(id) > 0 {
		return string(id)
	}
	name, _ := os.Hostname() // without either, the hosts' names still spread
	return name
}

// adopt makes cfg the configuration in effect, unless it cannot be.
func (w *watcher) adopt(cfg *config.Config) (err error) {
	if w.manager == nil {
		h := w.Host
		h.Now = w.now
		w.manager, err = tickets.New(tickets.Options{
			Host: h, Config: cfg, Transport: w.Transport, IMDS: w.IMDS, OpenRing: w.OpenRing,
			Mounted:  func() ([]mounts.Mount, error) { return *w.live.Load(), nil },
			Attempts: 1, // the plan is what tries again
		})
	} else if next, failure := w.manager.With(cfg); failure != nil {
		err = failure
	} else {
		w.manager = next
	}
	if err != nil {
		return err
	}
	w.cfg = cfg
	for _, problem := range cfg.Warnings {
		w.Log.Warn("the configuration: "+problem, "file", cfg.Path)
	}
	return nil
}
