package watcher

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
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
	"github.com/azfilesauth/azfilesauth/internal/control"
)

// bubble plays f on a machine in virtual time.
func bubble(t *testing.T, conf string, hosts int, f func(w *world)) {
	t.Helper()
	var names []string
	for i := range hosts {
		names = append(names, account(i))
	}
	a, dir := newAzure(t, names...), t.TempDir()
	check(os.Mkdir(filepath.Join(dir, "cc"), 0o755))
	synctest.Test(t, func(t *testing.T) { f(newWorld(t, a, dir, conf)) })
}

func account(i int) string { return fmt.Sprintf("acct%d.file.core.windows.net", i) }

func share(i int) string { return "//" + account(i) + "/share" }

// settle gives time for what follows at once.
func settle() {
	time.Sleep(2 * merge)
	synctest.Wait()
}

const system = "default_identity: system\n"

func TestLoopActsOnTheFirstEventAtOnceAndMergesTheRest(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.start()
		settle()
		looks := w.looks.Load()
		w.mount(share(0), "/mnt/0")
		if n := w.looks.Load() - looks; n != 1 {
			t.Fatalf("%d looks at the moment of the first event", n)
		}
		begun := time.Now()
		for i := range 1000 { // in 4 s
			w.mount(share(0), fmt.Sprint("/mnt/", i+1))
			time.Sleep(2 * time.Millisecond)
			w.unmount(fmt.Sprint("/mnt/", i+1))
			time.Sleep(2 * time.Millisecond)
		}
		w.mount(share(0), "/mnt/last")
		settle()
		most := int32(time.Since(begun)/merge) + 2
		if n := w.looks.Load() - looks; n > most || n < most/2 {
			t.Errorf("%d looks in %s, want about %d", n, time.Since(begun), most)
		}
		e := w.Status().Endpoints
		if len(e) != 1 || len(e[0].Mounts) != 2 || w.exchanges("") != 1 {
			t.Errorf("%+v after %d exchanges", e, w.exchanges(""))
		}
		w.stop()
	})
}

func TestLoopSleepsWhenNothingHappens(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.mount(share(0), "/mnt/0")
		w.start()
		settle()
		looks, goroutines := w.looks.Load(), runtime.NumGoroutine()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n := w.looks.Load() - looks; n != 3 {
			t.Errorf("%d looks in half an hour", n)
		}
		if n := runtime.NumGoroutine(); n > goroutines { // those of an earlier test can end meanwhile
			t.Errorf("%d goroutines, then %d", goroutines, n)
		}
		w.stop()
	})
}

func TestLoopOneTokenForAllAndBoundedWorkers(t *testing.T) {
	for _, keep := range []string{"keyring", "off"} { // neither has a keyring here
		bubble(t, system+"token_cache: "+keep+"\nrefresh: {concurrency: 3}\n", 30, func(w *world) {
			var at, peak atomic.Int32
			w.enter = func() { peak.Store(max(peak.Load(), at.Add(1))) }
			w.leave = func() { at.Add(-1) }
			for i := range 30 {
				w.mount(share(i), fmt.Sprint("/mnt/", i))
			}
			w.start()
			settle()
			for _, e := range w.Status().Endpoints {
				if e.State != control.Fresh {
					t.Errorf("%s is %s", e.Host, e.State)
				}
			}
			tokens := len(w.azure.Requests()) - w.exchanges("")
			if tokens != 1 || w.exchanges("") != 30 || peak.Load() > 3 {
				t.Errorf("%s: %d tokens, %d exchanges, %d at once", keep, tokens, w.exchanges(""), peak.Load())
			}
			w.stop()
		})
	}
}

func TestLoopSecondInstanceWaits(t *testing.T) {
	bubble(t, system, 2, func(w *world) {
		w.mount(share(0), "/mnt/0")
		w.start()
		settle()
		w.transcript()
		second := newWorld(t, w.azure, w.dir, system)
		second.mount(share(1), "/mnt/1")
		second.start()
		time.Sleep(time.Minute)
		synctest.Wait()
		machine, _ := os.Hostname()
		holder := fmt.Sprintf("holder=process %d on %s", os.Getpid(), machine)
		log := second.transcript()
		if strings.Count(log, "\n") != 2 || !strings.Contains(log, "waiting: the cache has a watcher already") || !strings.Contains(log, holder) {
			t.Errorf("the second one:\n%s", log)
		}
		if s := second.Status(); s.Active || s.HolderPID != os.Getpid() || w.exchanges(account(1)) != 0 {
			t.Errorf("the second one is active: %+v, %d exchanges", s, w.exchanges(account(1)))
		}
		if !w.Status().Active {
			t.Error("the first one is not active")
		}
		w.stop()
		time.Sleep(2 * holderWait)
		synctest.Wait()
		if s := second.Status(); !s.Active || s.Endpoints[0].State != control.Fresh {
			t.Errorf("the second one after the first one's end: %+v", s)
		}
		second.stop()
	})
}

func TestLoopEndsWhileAzureHangs(t *testing.T) {
	bubble(t, system, 9, func(w *world) {
		for i := range 9 {
			w.mount(share(i), fmt.Sprint("/mnt/", i))
			w.trouble[account(i)] = "hang"
		}
		w.start()
		settle()
		refreshed := make(chan error)
		go func() {
			_, err := w.Refresh(context.Background(), "")
			refreshed <- err
		}()
		synctest.Wait()
		begun := time.Now()
		w.stop()
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		if err := <-refreshed; err == nil {
			t.Error("a refresh that was cut off succeeded")
		}
		if s := w.Status(); s.PID != 0 {
			t.Errorf("a status after the end: %+v", s)
		}
	})
}

func TestLoopTellsSystemd(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.mount(share(0), "/mnt/0")
		var mu sync.Mutex
		var told []string
		asked := -1
		w.tell = func(state string) {
			mu.Lock()
			defer mu.Unlock()
			if told = append(told, state); state == ready && asked < 0 {
				asked = len(w.azure.Requests())
			}
		}
		w.start()
		settle()
		w.hangups <- unix.SIGHUP
		settle()
		time.Sleep(time.Hour)
		w.stop()
		if asked != 0 {
			t.Errorf("%d requests before it was ready", asked)
		}
		var kinds []string
		for _, s := range told {
			kind, _, _ := strings.Cut(s, "=")
			kinds = append(kinds, kind)
		}
		want := "READY STATUS STATUS RELOADING READY STOPPING"
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("told %s, want %s: %q", got, want, told)
		}
		if !slices.Contains(told, "STATUS=1 mounted, 1 fresh, 0 failing, 0 not ours") {
			t.Errorf("%q", told)
		}
		if !strings.Contains(strings.Join(told, "\n"), "RELOADING=1\nMONOTONIC_USEC=") {
			t.Errorf("%q", told)
		}
	})
}

func TestLoopIsAliveForTheWatchdog(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		var pings atomic.Int32
		w.alive = 15 * time.Second
		w.tell = func(state string) {
			if state == "WATCHDOG=1" {
				pings.Add(1)
			}
		}
		w.start()
		time.Sleep(time.Minute + time.Second)
		w.stop()
		if pings.Load() != 4 {
			t.Errorf("%d pings in a minute", pings.Load())
		}
	})
}

func TestLoopLateRefreshForgetsTheKernelsFailures(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.mount(share(0), "/mnt/0")
		w.start()
		settle() // there was none
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if w.forgotten.Load() != 1 || w.exchanges("") != 2 {
			t.Errorf("forgotten %d times after a missing ticket and one that was in time; %d exchanges", w.forgotten.Load(), w.exchanges(""))
		}
		w.azure.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 500})
		time.Sleep(2 * time.Hour)
		w.azure.ClearOrders()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if w.forgotten.Load() != 2 {
			t.Errorf("forgotten %d times after one that was late", w.forgotten.Load())
		}
		w.stop()
	})
}

// TestLoopForcedAtEachLook is upstream's way to force refreshes.
func TestLoopForcedAtEachLook(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.tuned = tunables{Look: 5 * time.Second, BeforeExpiry: 24 * time.Hour}
		w.mount(share(0), "/mnt/0")
		w.start()
		time.Sleep(time.Minute + time.Second)
		if n := w.exchanges(""); n != 13 {
			t.Errorf("%d tickets in a minute", n)
		}
		w.stop()
	})
}

// TestLoopConfigurationAppears: what was missing at the start is read when it is there, and what is wrong
// with it is said once.
func TestLoopConfigurationAppears(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.start()
		check(w.do(context.Background(), func() { h := w.host(); h.Config = w.path("nowhere"); w.cfg = must(config.Read(h)) }))
		w.configure("refresh: {at: nonsense}\n")
		for range 3 {
			w.tableChanged()
			time.Sleep(2 * time.Second) // the transcript has what is said twice in a second once
		}
		if log := w.transcript(); strings.Count(log, "the configuration stays as it was") != 1 {
			t.Errorf("it logged\n%s", log)
		}
		w.configure(system)
		w.mount(share(0), "/mnt/0")
		settle()
		if e := w.Status().Endpoints; len(e) != 1 || e[0].State != control.Fresh {
			t.Errorf("%+v", e)
		}
		w.stop()
	})
}

func TestLoopKeepsConnectionsOverAReload(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.start()
		before := w.manager
		w.configure(system + "refresh: {at: 0.5}\n")
		w.hangups <- unix.SIGHUP
		settle()
		if w.manager == before || w.cfg.Refresh.At != 0.5 {
			t.Errorf("at %v", w.cfg.Refresh.At)
		}
		w.stop()
	})
}

func TestLoopTriesAgainWhenTheClockIsSet(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.mount(share(0), "/mnt/0")
		w.azure.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 403})
		w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		w.azure.ClearOrders()
		before := w.exchanges("")
		w.step(time.Second) // the time service puts it right
		settle()
		if n := w.exchanges("") - before; n != 1 || w.Status().Endpoints[0].State != control.Fresh {
			t.Errorf("%d attempts", n)
		}
		w.stop()
	})
}

func TestLoopFailureOfAnIdentityIsOneForAll(t *testing.T) {
	bubble(t, system+"refresh: {concurrency: 2}\n", 30, func(w *world) {
		for i := range 30 {
			w.mount(share(i), fmt.Sprint("/mnt/", i))
		}
		w.azure.Order(azurefake.Order{Target: azurefake.TargetIMDS, Status: 400})
		w.start()
		settle()
		if n := len(w.azure.Requests()); n == 0 || n > 4 {
			t.Errorf("30 endpoints asked the identity service %d times", n)
		}
		for _, e := range w.Status().Endpoints {
			if e.State != control.Failing || e.LastFault == nil {
				t.Errorf("%+v", e)
			}
		}
		w.stop()
	})
}

// TestThousandMountsLeaveNothing mounts and unmounts a thousand shares of a few accounts; when their tickets have expired,
// nothing is left of them.
func TestThousandMountsLeaveNothing(t *testing.T) {
	const accounts = 4
	bubble(t, system, accounts, func(w *world) {
		w.start()
		settle()
		goroutines := runtime.NumGoroutine()
		for i := range 1000 {
			target := fmt.Sprint("/mnt/", i)
			w.mount(share(i%accounts), target)
			settle()
			w.unmount(target)
			settle()
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		list := must(w.manager.List(0))
		if n := len(list.Tickets) + len(list.Further); n > 0 {
			t.Errorf("%d tickets", n)
		}
		if n := len(w.memos) + len(w.left) + len(w.tickets) + len(w.busy) + len(w.mounts) + len(w.same); n > 0 {
			t.Errorf("%d entries of what is not mounted: %v %v %v", n, w.memos, w.left, w.tickets)
		}
		// The count is that of the whole process, whose runtime starts some of its own when memory is scarce; what is forgotten
		// at a mount or for an account is more.
		if n := runtime.NumGoroutine(); n >= goroutines+accounts {
			t.Errorf("%d goroutines, %d before", n, goroutines)
		}
		w.stop()
	})
}

// TestTicketThatFstabExpectsStays, since a mount by mount.cifs comes back by its record.
func TestTicketThatFstabExpectsStays(t *testing.T) {
	bubble(t, system, 2, func(w *world) {
		check(os.WriteFile(w.path("fstab"), []byte(share(0)+" /mnt/0 cifs sec=krb5,noauto,x-systemd.automount\n"+share(1)+" /mnt/1 azfiles noauto\n"), 0o600))
		w.mount(share(0), "/mnt/0")
		w.mount(share(1), "/mnt/1")
		w.start()
		settle()
		w.unmount("/mnt/0")
		w.unmount("/mnt/1")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		list := must(w.manager.List(0))
		if len(list.Tickets) != 1 || list.Tickets[0].Name() != "cifs/"+account(0) {
			t.Errorf("%d tickets", len(list.Tickets))
		}
		w.stop()
	})
}

// The mount table's watch ends with the context: a daemon that stops does not tell that changes are noticed late.
func TestStopIsNoLateNotice(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	closed := make(chan struct{})
	close(closed)
	var log bytes.Buffer
	w := &watcher{Options: Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, machine: machine{remounted: closed, alarm: &timer{}}}
	w.events = events{quiet: time.NewTimer(time.Hour)}
	for range 100 { // select takes either
		if w.turn(ctx, nil) || log.Len() > 0 {
			t.Fatalf("it goes on, or tells: %s", log.String())
		}
	}
}

// TestDiskThatHangs: where the file of the metrics cannot be written for hours, tickets are renewed, and what is written
// then is the latest.
func TestDiskThatHangs(t *testing.T) {
	bubble(t, system+"\nmetrics: {textfile: $WORK/azf.prom}\n", 1, func(w *world) {
		hold := make(chan struct{})
		w.disk = func() { <-hold }
		w.mount(share(0), "/mnt/0")
		w.start()
		time.Sleep(3 * time.Hour)
		settle()
		if n := w.exchanges(""); n < 3 {
			t.Errorf("%d exchanges in 3 hours", n)
		}
		if e := w.Status().Endpoints; len(e) != 1 || e[0].State != control.Fresh {
			t.Errorf("%+v", e)
		}
		close(hold)
		settle()
		text, err := os.ReadFile(w.path("azf.prom"))
		want := fmt.Sprintf(`result="ok",fault=""} %d`, w.exchanges(""))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v; %s lacks %s", err, text, want)
		}
		w.stop()
	})
}
