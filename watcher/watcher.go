// Package watcher is the daemon that keeps the tickets of mounted shares fresh: azfilesauth watch, and
// azfilesrefresh, the name by which units and containers know it.
//
// It sleeps until the mount table or a credential cache changes, until the next ticket is due, or until
// somebody asks it by its socket. Then it looks at everything again, and Plan says what is to be done for
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
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
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
	Reopen func() // reopens the log file; nil does nothing

	Look         time.Duration // the longest time between two looks; zero is 10 min
	BeforeExpiry time.Duration // zero is what the configuration says

	tickets.Access
}

// Run is the daemon. It ends when ctx does, by SIGTERM or by SIGINT, and gives the exit status.
func Run(ctx context.Context, o Options) int {
	if os.Geteuid() != o.Host.UID {
		return failed(o.Name, fault.NotRoot.New(o.Name))
	}
	debug.SetGCPercent(restGC)
	debug.SetMemoryLimit(memoryLimit)
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	defer signal.Stop(hangups)
	// To be told of is not to be killed by: a reader of the log that goes away ends no daemon.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	m, err := realMachine(ctx, o.Host, hangups)
	if err != nil {
		return failed(o.Name, err)
	}
	defer m.alarm.close()
	w, err := newWatcher(ctx, o, m)
	if err != nil {
		return failed(o.Name, err)
	}
	address := w.cfg.Metrics.Listen // as it is at the start; run has the configuration for itself
	var servers sync.WaitGroup
	servers.Go(func() { w.serve(ctx) })
	servers.Go(func() { w.serveMetrics(ctx, address) })
	w.run(ctx)
	servers.Wait()
	return 0
}

func failed(name string, err error) int {
	f := fault.From(err)
	_, _ = fmt.Fprintln(os.Stderr, name+": "+f.Error())
	return int(f.Exit())
}
