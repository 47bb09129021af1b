package watcher

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

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
	upcalls    func() map[string]metrics.Upcall     // the kernel's requests by result, see package metrics
	replace    func(path string, text []byte) error // a file that others read
}

// textfileMode lets everybody read the metrics.
const textfileMode = 0o644

// realMachine is this machine.
func realMachine(ctx context.Context, h host.Host, hangups <-chan os.Signal) (machine, error) {
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
		upcalls:    func() map[string]metrics.Upcall { return metrics.Upcalls(h) },
		replace:    func(path string, text []byte) error { return h.Replace(path, h.Own(textfileMode), host.Content(text)) },
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

// What systemd is told (sd_notify(3)).
const (
	ready    = daemon.SdNotifyReady
	stopping = daemon.SdNotifyStopping
	alive    = daemon.SdNotifyWatchdog
)

// notify tells systemd, if it was systemd that started us.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

// reloading names the moment, as units of Type=notify-reload want it.
func reloading() string { return daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec() }

// watchdog is half of the time after which systemd takes us for dead, zero when it does not watch.
func watchdog() time.Duration {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return every / 2
}
