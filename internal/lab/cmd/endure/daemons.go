package main

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
)

// requestTime is how long a request may take that hangs: CURL_TOTAL_TIMEOUT.
const requestTime = 30 * time.Second

// saidBound is how much of the daemon's log is kept, in bytes.
const saidBound = 8 << 10

// expiring has a daemon keep the tickets of mounted shares while something fails for most of a ticket's life.
func (t *trial) expiring() error {
	if err := t.mounted(); err != nil {
		return err
	}
	d, err := startDaemon(t.binary)
	if err != nil {
		return err
	}
	if !until(giveUp, func() bool { return len(t.unexpired()) == len(t.accounts) }) {
		return fmt.Errorf("the daemon got no tickets, and nothing failed: %+v", t.unexpired())
	}
	time.Sleep(cellTickets / 5)
	return t.watch(d)
}

// start has the daemon begin while something fails, and there are no tickets.
func (t *trial) start() error {
	if err := t.mounted(); err != nil {
		return err
	}
	if err := t.begin(); err != nil {
		return err
	}
	d, err := startDaemon(t.binary)
	if err != nil {
		return err
	}
	return t.watch(d)
}

// watch lets the fault be, and looks at what the daemon does until it has recovered, and a while after.
func (t *trial) watch(d *daemon) error {
	if err := t.begin(); err != nil {
		return err
	}
	stop, gone := make(chan struct{}), make(chan time.Duration)
	go t.without(stop, gone)
	before, _ := t.asked()
	logged := d.logged()
	time.Sleep(faultTime)
	after, _ := t.asked()
	t.Log = float64(d.logged()-logged) / faultTime.Minutes()
	t.PerMinute = float64(after-before) / faultTime.Minutes() / float64(len(t.accounts))
	if _, err := d.status(); err != nil {
		return fmt.Errorf("the daemon does not say its status while the fault lasts: %w", err)
	}
	if err := t.heal(); err != nil {
		return err
	}
	ended := time.Now()
	if err := t.planned(d, ended); err != nil {
		return fmt.Errorf("the daemon does not say its status after the fault: %w", err)
	}
	if !until(giveUp, func() bool { return t.recovered(d) }) {
		t.problem("it did not recover")
	}
	t.Recovery = time.Since(ended).Seconds()
	close(stop)
	t.Without = (<-gone).Seconds()
	t.Requests, t.Tickets = t.asked()
	text, _ := os.ReadFile(daemonLog) // for whom a problem is told
	t.Said = string(text[max(0, len(text)-saidBound):])
	return t.finish(d)
}

// settle is how long attempts that began before the end of the fault may take to fail, unless they hang.
const settle = 3 * time.Second

// planned takes from the daemon's own plan why it may take longer: from the last one before attempts succeed.
func (t *trial) planned(d *daemon, ended time.Time) error {
	if t.lingers() {
		t.plan(requestTime.Seconds(), "a request that hangs is given up after 30 s (CURL_TOTAL_TIMEOUT), or halfway to the end of a ticket")
		return nil
	}
	latest, busy := time.Duration(0), true
	for busy && time.Since(ended) < settle {
		time.Sleep(50 * time.Millisecond)
		s, err := d.status()
		if err != nil {
			return err
		}
		busy = false
		for _, e := range s.Endpoints {
			if e.State != control.Fresh && e.NextRefresh.After(time.Now()) {
				latest = max(latest, e.NextRefresh.Sub(ended))
			} else if e.State != control.Fresh {
				busy = true
			}
		}
	}
	if latest > giveUp {
		t.plan(settle.Seconds(), "a Retry-After of an hour is kept for up to 5 minutes where there has been no ticket yet; the time is that after a SIGHUP, which tries at once")
		return d.cmd.Process.Signal(syscall.SIGHUP)
	}
	t.plan(latest.Seconds(), "the daemon's next attempt was planned so much later: the wait between attempts doubles, and is shorter when a ticket is about to expire or has expired")
	return nil
}

// recovered reports whether all accounts have tickets and nothing has failed since.
func (t *trial) recovered(d *daemon) bool {
	if len(t.unexpired()) < len(t.accounts) {
		return false
	}
	s, err := d.status()
	if err != nil || len(s.Endpoints) < len(t.accounts) {
		return false
	}
	for _, e := range s.Endpoints {
		if e.State != control.Fresh && e.State != control.Due {
			return false
		}
	}
	return true
}

// without measures the longest time that an account was without a ticket since it had one, until stop.
func (t *trial) without(stop <-chan struct{}, longest chan<- time.Duration) {
	last, most := map[string]time.Time{}, time.Duration(0)
	for {
		for h := range t.unexpired() {
			last[h] = time.Now()
		}
		for _, at := range last {
			most = max(most, time.Since(at))
		}
		select {
		case <-stop:
			if most < time.Second { // the times of tickets have seconds
				most = 0
			}
			longest <- most
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// finish weighs the daemon and holds it to the bounds.
func (t *trial) finish(d *daemon) (err error) {
	if !d.alive() {
		t.problem("the daemon has ended")
		return nil
	}
	if t.weight, err = d.weigh(); err != nil {
		return err
	}
	if t.Goroutines, err = d.goroutines(); err != nil {
		return err
	}
	for _, b := range []struct {
		what      string
		is, bound float64
	}{
		{"bytes of log a minute and account", t.Log / float64(len(t.accounts)), logBound},
		{"requests a minute and account", t.PerMinute, askBound},
		{"KiB of memory", float64(t.RSS), rssBound},
		{"descriptors", float64(t.Descriptors), openBound},
		{"goroutines", float64(t.Goroutines), goBound},
	} {
		if b.is > b.bound {
			t.problem("%.0f %s, bound %.0f", b.is, b.what, b.bound)
		}
	}
	return nil
}
