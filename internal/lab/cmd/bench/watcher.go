package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

const (
	insideWatcher = "watcher" // the value of inside in the process that measures the daemon
	accounts      = 500
	idleMounts    = 10
	idleTime      = time.Minute
	mountTable    = "/run/mountinfo"
	daemonLog     = "/run/azfilesrefresh.err"
	daemonWait    = 2 * time.Minute
)

// enterWatcher starts this program again, in namespaces of its own, to measure the daemon.
func enterWatcher(ctx context.Context, dir, binary string) error {
	again := exec.CommandContext(ctx, "/proc/self/exe", "-only", only, binary)
	again.Dir = dir
	again.Env = append(os.Environ(), inside+"="+insideWatcher)
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := again.Run(); err != nil {
		return fmt.Errorf("the daemon, in the namespaces: %w", err)
	}
	return nil
}

// watched is a daemon on a machine with many accounts.
type watched struct {
	ctx    context.Context
	binary string
	fake   *azurefake.Fake
	hosts  []string
	store  *ccache.Store
	daemon *exec.Cmd
}

// measureWatcher runs in the namespaces.
func measureWatcher(ctx context.Context, binary string, _ int) error {
	w, err := newWatched(ctx, binary)
	if err != nil {
		return err
	}
	defer w.fake.Close()
	parts := []func() error{w.parse, w.idle, w.wake, w.appear}
	if !wanted("daemon") {
		parts = nil
	}
	parts = append(parts, w.warmUp)
	if wanted("daemon") {
		parts = append(parts, func() error { return w.all(0, "under 0.7 s") }, func() error { return w.all(100*time.Millisecond, "under 8 s") })
	}
	if wanted("boot") {
		parts = append(parts, w.boot)
	}
	fmt.Println("machine, before the daemon: " + load())
	for _, part := range parts {
		if err := errors.Join(part(), w.stop()); err != nil {
			text, _ := os.ReadFile(daemonLog)
			return fmt.Errorf("%w; the daemon's last words: %s", err, text[max(0, len(text)-2000):])
		}
	}
	return nil
}

// newWatched makes the stage once more, for many accounts.
func newWatched(ctx context.Context, binary string) (*watched, error) {
	first, err := stage()
	if err != nil {
		return nil, err
	}
	first.Close()
	w := &watched{ctx: ctx, binary: binary}
	for i := range accounts {
		w.hosts = append(w.hosts, fmt.Sprintf("bench%d.file.core.windows.net", i))
	}
	w.fake, err = azurefake.Start(azurefake.Options{
		Hosts: w.hosts, StorageAddr: "127.0.0.1:443", IMDSAddr: "169.254.169.254:80",
		Identities: []azurefake.ManagedIdentity{{ClientID: bootClient, ObjectID: bootClient}},
	})
	if err != nil {
		return nil, err
	}
	certs, err := os.ReadFile(bundle)
	if err != nil {
		return nil, err
	}
	names := "127.0.0.1 localhost\n"
	for _, h := range w.hosts {
		names += "127.0.0.1 " + h + "\n"
	}
	for name, text := range map[string]string{
		"/run/hosts": names, "/run/bundle": string(certs) + string(w.fake.CA()),
		// The kernel's keyring is the machine's, not these namespaces'.
		configFile: "KRB5_CC_NAME: " + cacheFile + "\nUSER_UID: 0\ntoken_cache: off\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if err := w.mount(0); err != nil {
		return nil, err
	}
	w.store, err = ccache.Open(machine.Real(), cacheFile, 0)
	return w, err
}

// mount makes a mount table with the first n accounts and a hundred other lines.
func (w *watched) mount(n int) error { return replace(mountTable, w.table(n, 100)) }

func (w *watched) table(n, others int) string {
	var b strings.Builder
	for i := range others {
		fmt.Fprintf(&b, "%d 1 0:%d / /var/lib/containers/%d rw,relatime shared:%d - overlay overlay rw,lowerdir=/var/lib/containers/lower/%d:/l,upperdir=/u\n", i, i, i, i, i)
	}
	for i, h := range w.hosts[:n] {
		fmt.Fprintf(&b, "%d 1 0:%d / /mnt/%d rw,relatime shared:1 - cifs //%s/share rw,vers=3.1.1,sec=krb5,cruid=0,cache=strict,username=root,uid=0,noforceuid,gid=0,noforcegid,addr=127.0.0.1,soft\n", others+i, others+i, i, h)
	}
	return b.String()
}

// replace puts a file in place by a rename, so that it is never seen half.
func replace(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// tickets fills the cache with tickets of n accounts that end in left, out of an hour.
func (w *watched) tickets(n int, left time.Duration) error {
	now := time.Now().Truncate(time.Second)
	begin := now.Add(left - time.Hour)
	rec := ccache.Record{Identity: identity.Identity{Kind: identity.System}.String(), ObtainedAt: begin, Refreshable: true}
	return w.store.Update(w.ctx, func(c *ccache.Cache) error {
		c.RemoveAll() // a cache that is gone for a moment would be taken for one that somebody fights for
		for _, h := range w.hosts[:n] {
			c.Put(credential(h, begin), rec)
		}
		return nil
	})
}

// start begins the daemon and waits until it has looked for the first time.
func (w *watched) start() error {
	log, err := os.Create(daemonLog)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	w.fake.ResetRequests()
	w.daemon = exec.Command(w.binary)
	w.daemon.Args = []string{"azfilesrefresh", "--mountinfo", mountTable}
	w.daemon.Stderr = log
	w.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.daemon.Start(); err != nil {
		return err
	}
	if err := w.until(func() bool { text, _ := os.ReadFile(daemonLog); return strings.Contains(string(text), "started") }); err != nil {
		return err
	}
	return rest(w.ctx, 500*time.Millisecond) // it must not be merging events any more
}

func (w *watched) stop() error {
	if w.daemon == nil {
		return nil
	}
	defer func() { w.daemon = nil }()
	return errors.Join(w.daemon.Process.Signal(syscall.SIGTERM), w.daemon.Wait())
}

func (w *watched) until(done func() bool) error {
	for end := time.Now().Add(daemonWait); !done(); {
		if time.Now().After(end) {
			return errors.New("it did not happen in time")
		}
		if err := rest(w.ctx, 200*time.Microsecond); err != nil {
			return err
		}
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// parse reads a table of 10,000 lines.
func (w *watched) parse() error {
	text := w.table(accounts, 10_000-accounts)
	var s series
	for range 50 {
		start := time.Now()
		found, err := mounts.Parse(strings.NewReader(text), endpoint.Resolver{})
		if err != nil || len(found) != accounts {
			return fmt.Errorf("%d mounts: %w", len(found), err)
		}
		s.wall = append(s.wall, time.Since(start))
	}
	line("a mount table of 10,000 lines, 500 of them shares", s, "under 10 ms")
	return nil
}

// idle counts what the daemon does when nothing happens.
func (w *watched) idle() error {
	if err := errors.Join(w.tickets(idleMounts, time.Hour), w.mount(idleMounts), w.start(), rest(w.ctx, 10*time.Second)); err != nil {
		return err
	}
	before, err := switches(w.daemon.Process.Pid)
	if err != nil {
		return err
	}
	if err := rest(w.ctx, idleTime); err != nil {
		return err
	}
	after, err := switches(w.daemon.Process.Pid)
	if err != nil {
		return err
	}
	kib, err := number(fmt.Sprintf("/proc/%d/status", w.daemon.Process.Pid), `VmRSS:\s+(\d+)`)
	if err != nil {
		return err
	}
	line(fmt.Sprintf("idle with %d mounts for %s", idleMounts, idleTime), fmt.Sprintf("%d voluntary switches", after-before), "at most 5")
	line("its memory", fmt.Sprintf("%.1f MiB", float64(kib)/1024), "under 20 MiB")
	if n := len(w.fake.Requests()); n != 0 {
		return fmt.Errorf("%d requests while idle", n)
	}
	return nil
}

// switches sums over all threads.
func switches(pid int) (sum int, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, t := range tasks {
		n, problem := number(t, `\nvoluntary_ctxt_switches:\s+(\d+)`)
		sum, err = sum+n, errors.Join(err, problem)
	}
	return sum, err
}

func number(path, pattern string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%s: no %s", path, pattern)
	}
	return strconv.Atoi(string(m[1]))
}

// wake measures from a change of the mount table to the request that it leads to.
func (w *watched) wake() error {
	var s series
	for i := range 20 {
		if err := errors.Join(w.tickets(1, time.Hour), w.mount(0), w.start()); err != nil {
			return err
		}
		_ = os.Remove(cacheFile) // the record goes too, and the daemon knows nobody
		config := fmt.Sprintf("KRB5_CC_NAME: %s\nUSER_UID: 0\ntoken_cache: off\ndefault_identity: system\n# %d\n", cacheFile, i)
		if err := errors.Join(os.WriteFile(configFile, []byte(config), 0o600), w.daemon.Process.Signal(syscall.SIGHUP), rest(w.ctx, 300*time.Millisecond)); err != nil {
			return err
		}
		start := time.Now()
		if err := w.mount(1); err != nil {
			return err
		}
		if err := w.fake.WaitRequests(w.ctx, azurefake.TargetIMDS, 1); err != nil {
			return err
		}
		s.wall = append(s.wall, w.fake.Requests()[0].Time.Sub(start))
		if err := w.stop(); err != nil {
			return err
		}
	}
	line("mount table changed, until the first request arrives", s, "under 5 ms")
	return nil
}

// appear measures from a ticket that has ended to the new one.
func (w *watched) appear() error {
	var s series
	if err := errors.Join(w.tickets(1, time.Hour), w.mount(1), w.start()); err != nil {
		return err
	}
	for range 20 {
		start := time.Now()
		if err := errors.Join(w.tickets(1, -time.Minute), w.fresh(1)); err != nil {
			return err
		}
		s.wall = append(s.wall, time.Since(start))
		if err := rest(w.ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
	line("an ended ticket appears, until it is refreshed", s, "under 200 ms")
	return nil
}

// fresh waits until the tickets of the first n accounts have half an hour left.
func (w *watched) fresh(n int) error {
	return w.until(func() bool {
		snap, err := w.store.Load()
		if err != nil || snap.Cache == nil {
			return false
		}
		good := 0
		for _, t := range snap.Cache.Tickets() {
			if time.Until(t.EndTime) > 30*time.Minute {
				good++
			}
		}
		if good < n && n > 1 {
			_ = rest(w.ctx, 20*time.Millisecond) // to look costs the daemon's time
		}
		return good >= n
	})
}

// warmUp has the fake derive the key of every account, which takes it longer than all the rest and which
// no real account does when it is asked.
func (w *watched) warmUp() error {
	_, err := w.refreshAll(0)
	return errors.Join(err, w.stop())
}

// all measures the refresh of all accounts at once, with a latency of their answers.
func (w *watched) all(latency time.Duration, bound string) error {
	took, err := w.refreshAll(latency)
	if err != nil {
		return err
	}
	kib, err := number(fmt.Sprintf("/proc/%d/status", w.daemon.Process.Pid), `VmHWM:\s+(\d+)`)
	daemon := w.daemon
	err = errors.Join(err, w.stop())
	cpu := daemon.ProcessState.UserTime() + daemon.ProcessState.SystemTime()
	line(fmt.Sprintf("%d accounts refreshed, %s latency, 1 token request", accounts, latency),
		fmt.Sprintf("%.2f s, %.2f s cpu, peak %.1f MiB", took.Seconds(), cpu.Seconds(), float64(kib)/1024), bound)
	return err
}

// refreshAll has a new daemon refresh all accounts, by one token.
func (w *watched) refreshAll(latency time.Duration) (took time.Duration, err error) {
	w.fake.ClearOrders()
	if latency > 0 {
		w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Delay: latency})
	}
	if err := errors.Join(w.tickets(accounts, 10*time.Minute), w.mount(0), w.start()); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := errors.Join(w.mount(accounts), w.fresh(accounts)); err != nil {
		return 0, err
	}
	took = time.Since(start)
	tokens, exchanges := w.count()
	if tokens != 1 || exchanges != accounts {
		return 0, fmt.Errorf("%d token requests and %d exchanges", tokens, exchanges)
	}
	return took, nil
}
