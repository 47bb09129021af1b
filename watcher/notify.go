package watcher

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

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
