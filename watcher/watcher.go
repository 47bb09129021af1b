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
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const (
	// merge is how long further events are gathered after one that was acted on at once.
	merge = 100 * time.Millisecond
	// longestSleep bounds the time between two looks: events can get lost, and some mount namespaces
	// tell of none.
	longestSleep = 10 * time.Minute
	// holderWait is how often a second instance asks whether the first one still has the cache, and the
	// socket.
	holderWait = 2 * time.Second
	// stopLimit bounds the wait for exchanges under way at the end.
	stopLimit = 4 * time.Second
	// The garbage collector saves memory while the daemon sleeps, and time while manyJobs run.
	manyJobs = 8
	restGC   = 100
	burstGC  = 200
	// runFolder is where the upcall counts.
	runFolder = "/run/azfilesauth"
	// memoryLimit is where the garbage collector begins to work harder, in bytes.
	memoryLimit = 80 << 20
)

// Options are the daemon's surroundings.
type Options struct {
	Name       string // the program, for messages
	Version    string
	ConfigPath string
	Mountinfo  string // the mount table to follow
	Socket     string // where others reach it; "" is nowhere

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
	now        func() time.Time
	alarm      alarm
	mounted    func(endpoint.Resolver) ([]mounts.Mount, error)
	remounted  <-chan struct{} // the mount table has changed
	watchCache func(ctx context.Context, path string) (<-chan struct{}, error)
	hangups    <-chan os.Signal
	notify     func(state string)
	alive      time.Duration // how often systemd wants to hear; zero is never
	seed       string
	upcalls    func() map[string]uint64 // the kernel's requests by result, see package metrics
}

// watcher is the daemon. What is not said to be shared belongs to the goroutine of run.
type watcher struct {
	Options
	machine
	cfg     *config.Config
	manager *tickets.Manager
	road    road
	memory  *memory
	counts  *metrics.Set
	started time.Time

	calls   chan func()   // to be run by run
	results chan result   // of the workers
	answers chan *job     // of the workers: its account has answered
	ended   chan struct{} // run has
	caches  map[string]context.CancelFunc
	changed chan struct{} // a cache has

	quiet    *time.Timer // runs for merge after a look
	quieting bool
	again    bool // something happened meanwhile

	table   []mounts.Mount
	live    atomic.Pointer[[]mounts.Mount] // table, shared with the workers
	mounts  map[Key][]mounts.Mount
	paths   map[int]string // of the caches in use, by uid
	tickets map[Key]Ticket
	signs   map[Key]string // what the identity depends on, to notice a change
	owners  map[Key]string // the identity's line, as long as the endpoint is mounted
	history map[Key]Attempt
	plan    []Decision
	next    time.Time
	told    map[Key]string // what was logged last
	blind   string         // why the mount table cannot be read
	status  string         // told to systemd
	exposed []byte         // the metrics, as they were written last

	unlock   func() // gives up being the one watcher of the cache
	lockPath string
	lockless string // why there is no lock
	holder   ccache.Holder
	waiting  bool // for the holder's end

	jobs    context.Context // of the workers
	queue   []*job
	busy    map[Key]*job // queued or running
	asking  int          // jobs that have no answer yet
	running int          // jobs that have no result yet
	burst   bool         // there have been many
	shared  *sameFault   // shared with the workers
}

// Run is the daemon. It ends when ctx does, by SIGTERM or by SIGINT, and gives the exit status.
func Run(ctx context.Context, o Options) int {
	if os.Geteuid() != 0 {
		return failed(fault.New(fault.NotRoot, fault.V{"program": o.Name}))
	}
	debug.SetGCPercent(restGC)
	debug.SetMemoryLimit(memoryLimit)
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	defer signal.Stop(hangups)
	m, err := real(ctx, o, hangups)
	if err != nil {
		return failed(fault.Wrap(fault.Internal, err, nil))
	}
	defer m.alarm.close()
	w, err := newWatcher(ctx, o, m)
	if err != nil {
		return failed(err)
	}
	served := w.serve(ctx)
	w.run(ctx)
	<-served
	return 0
}

func failed(err error) int {
	f := fault.From(err)
	_, _ = fmt.Fprintln(os.Stderr, f.Error())
	return int(f.Exit())
}

// real is this machine.
func real(ctx context.Context, o Options, hangups <-chan os.Signal) (machine, error) {
	ring, err := newTimer()
	if err != nil {
		return machine{}, err
	}
	watch := mounts.Watch
	if !strings.HasPrefix(o.Mountinfo, "/proc/") {
		watch = ccache.Watch // an ordinary file tells of its changes by inotify, the kernel's tables do not
	}
	remounted, err := watch(ctx, o.Mountinfo)
	if err != nil {
		ring.close()
		return machine{}, err
	}
	return machine{
		now:        func() time.Time { return time.Now().Round(0) }, // of the wall clock alone
		alarm:      ring,
		mounted:    func(r endpoint.Resolver) ([]mounts.Mount, error) { return mounts.ListFrom(o.Mountinfo, r) },
		remounted:  remounted,
		watchCache: ccache.Watch,
		hangups:    hangups,
		notify:     notify,
		alive:      watchdog(),
		seed:       machineID(),
		upcalls:    func() map[string]uint64 { return metrics.Upcalls(runFolder) },
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

func newWatcher(ctx context.Context, o Options, m machine) (*watcher, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Look == 0 {
		o.Look = longestSleep
	}
	w := &watcher{
		Options: o, machine: m, started: m.now(), counts: metrics.New(), memory: newMemory(m.now),
		calls: make(chan func()), results: make(chan result), answers: make(chan *job), ended: make(chan struct{}),
		caches: map[string]context.CancelFunc{}, changed: make(chan struct{}, 1),
		quiet: time.NewTimer(time.Hour),
		signs: map[Key]string{}, owners: map[Key]string{}, history: map[Key]Attempt{}, told: map[Key]string{},
		jobs: ctx, busy: map[Key]*job{}, shared: newSameFault(),
	}
	w.quiet.Stop()
	w.live.Store(new([]mounts.Mount))
	cfg, err := config.Load(o.ConfigPath)
	if err != nil {
		return nil, err
	}
	return w, w.adopt(cfg)
}

// adopt makes cfg the configuration in effect, unless it cannot be.
func (w *watcher) adopt(cfg *config.Config) error {
	r, err := w.roads(cfg)
	if err != nil {
		return err
	}
	o := tickets.Options{
		Config: cfg, Transport: observed{r.azure, w.answers}, IMDS: r.imds, Now: w.now,
		Mounted:  func() ([]mounts.Mount, error) { return append([]mounts.Mount(nil), *w.live.Load()...), nil },
		Attempts: 1, // the plan is what tries again
	}
	manager, err := tickets.New(o)
	if err != nil {
		return err
	}
	kernel := w.OpenRing
	if !cfg.KeepTokens() {
		kernel = nil
	}
	manager.OpenRing = w.memory.open(kernel) // nobody but this process sees its memory, so it may always be used
	if w.road != r {
		w.road.closeIdle() // nobody will use them any more
	}
	w.cfg, w.manager, w.road = cfg, manager, r
	for _, problem := range cfg.Warnings() {
		w.Log.Warn("the configuration: "+problem, "file", cfg.Path())
	}
	return nil
}

// serve answers on the socket until ctx ends. Without one the daemon does all the rest. As long as
// another one has it, as a rule the holder of the cache, serve asks for it again.
func (w *watcher) serve(ctx context.Context) (done <-chan struct{}) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for told := false; w.Socket != "" && ctx.Err() == nil; told = true {
			err := control.Serve(ctx, w.Socket, w)
			if err == nil {
				return
			}
			if !told {
				w.Log.Warn("nobody can ask for the status: "+err.Error(), "socket", w.Socket)
			}
			if !errors.Is(err, control.ErrInUse) {
				return
			}
			select {
			case <-time.After(holderWait):
			case <-ctx.Done():
			}
		}
	}()
	return ended
}
