package watcher

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// tokensAsked counts the requests to the identity service.
func (w *world) tokensAsked() int { return len(w.azure.Requests()) - w.exchanges("") }

// TestEndpointsOfAnIdentityAskLikeOne, even when they are mounted at different times; and the first that gets
// through lets all the others try.
func TestEndpointsOfAnIdentityAskLikeOne(t *testing.T) {
	bubble(t, system+"token_cache: off\n", 30, func(w *world) {
		w.start()
		w.azure.Order(azurefake.Order{Target: azurefake.TargetIMDS, Status: 500})
		before := w.tokensAsked()
		for i := range 30 { // each at its own time
			w.mount(share(i), fmt.Sprint("/mnt/", i))
			time.Sleep(10 * time.Second)
		}
		time.Sleep(30 * time.Minute)
		settle()
		n := w.tokensAsked() - before
		for _, e := range w.Status().Endpoints {
			if e.State == control.Failing && e.LastFault == nil {
				t.Errorf("%+v", e)
			}
		}
		if n == 0 || n > 10+70 { // the waits that double, and then half a minute or more
			t.Errorf("30 endpoints asked %d times in 35 minutes", n)
		}
		w.azure.ClearOrders()
		time.Sleep(maxLateWait)
		settle()
		for _, e := range w.Status().Endpoints {
			if e.State != control.Fresh {
				t.Errorf("%s is %s a minute after the end of the failure", e.Host, e.State)
			}
		}
		w.stop()
	})
}

// TestBackoffsDoNotGrow with the identities of volumes that came, failed and went.
func TestBackoffsDoNotGrow(t *testing.T) {
	b, at := backoffs{}, time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	steady := func() (a Attempt) {
		a, _ = b.fail(result{job: &job{Key: Key{Host: "a.file.core.windows.net"}}, at: at}, fault.EndpointDown.New("a"))
		return a
	}
	for n := range 1000 {
		at = at.Add(maxWait)
		err := &tickets.TokenError{Identity: fmt.Sprint("workload ", n), At: at, Err: fault.TokenFile.New("/token", "it is gone", "")}
		if a, shared := b.fail(result{job: &job{}, at: at, err: err}, fault.From(err)); !shared || a.Failures != 1 {
			t.Fatalf("%+v", a)
		}
		if a := steady(); a.Failures != n+1 {
			t.Fatalf("what goes on failing has failed %d times, not %d", a.Failures, n+1)
		}
	}
	if len(b) > 15 {
		t.Errorf("%d failures are remembered", len(b))
	}
}

// TestWhoFightsIsNotFed: the cache is deleted every 10 ms.
func TestWhoFightsIsNotFed(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.mount(share(0), "/mnt/0")
		w.start()
		settle()
		for range 10 * 60 * 100 {
			if os.Remove(w.path("cc/krb5cc_0")) == nil {
				w.cacheChanged()
			}
			time.Sleep(10 * time.Millisecond)
		}
		e := w.Status().Endpoints[0]
		if n := w.exchanges(""); n > maxFights+11 || n < 10 {
			t.Errorf("%d exchanges in 10 minutes", n)
		}
		if e.State != control.Failing || e.LastFault == nil || e.LastFault.ID != string(fault.CCacheFought.ID) {
			t.Errorf("%+v, %+v", e, e.LastFault)
		}
		time.Sleep(3 * time.Minute)
		settle()
		if e := w.Status().Endpoints[0]; e.State != control.Fresh || e.Failures != 0 {
			t.Errorf("after the fight: %+v", e)
		}
		w.stop()
	})
}

// TestWhatIsRepairedIsNoticed in seconds, whatever the other side asked for.
func TestWhatIsRepairedIsNoticed(t *testing.T) {
	for name, repair := range map[string]func(w *world){
		"a person reloads": func(w *world) { w.hangups <- unix.SIGHUP },
		"a route":          func(w *world) { w.changed <- network },
		"a file":           func(w *world) { w.changed <- configuration },
		"the clock":        func(w *world) { w.step(time.Second) },
		"the clock, while the alarm is set": func(w *world) {
			w.stepped.Store(true)
			w.mount(share(0), "/mnt/1") // which forgives nothing of the network
		},
	} {
		bubble(t, system, 1, func(w *world) {
			w.mount(share(0), "/mnt/0")
			w.trouble[account(0)] = "dns"
			w.start()
			time.Sleep(time.Hour)
			synctest.Wait()
			delete(w.trouble, account(0))
			repair(w)
			settle()
			if e := w.Status().Endpoints[0]; e.State != control.Fresh {
				t.Errorf("%s: %s", name, e.State)
			}
			w.stop()
		})
	}
}

// TestNetworkForgivesNoMissingRole: what does not depend on a cause is left alone.
func TestNetworkForgivesNoMissingRole(t *testing.T) {
	bubble(t, system, 1, func(w *world) {
		w.mount(share(0), "/mnt/0")
		w.azure.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 403})
		w.start()
		time.Sleep(time.Hour)
		before := w.exchanges("")
		for range 10 {
			w.changed <- network
			w.cacheChanged()
			settle()
		}
		if n := w.exchanges("") - before; n > 1 {
			t.Errorf("%d attempts", n)
		}
		w.stop()
	})
}

func TestWatchingNamesTheProcess(t *testing.T) {
	dir := t.TempDir()
	if who := watching(dir); who != "" {
		t.Errorf("nobody does: %s", who)
	}
	if who := watching(filepath.Join(dir, "missing")); who != "" {
		t.Errorf("there is nothing: %s", who)
	}
	const shared = "/dev/shm" // its inode has the number that the root of /proc has
	for _, other := range []string{dir, shared} {
		file, err := os.CreateTemp(other, "azfilesauth-test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(file.Name()) })
		tail := exec.CommandContext(t.Context(), "tail", "-F", file.Name()) // which watches the directory
		if err := tail.Start(); err != nil {
			t.Skip("needs tail: ", err)
		}
		t.Cleanup(func() { _ = tail.Wait() })
		its := fmt.Sprintf("tail (process %d)", tail.Process.Pid)
		for began := time.Now(); !strings.Contains(watching(other), its); time.Sleep(10 * time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatalf("%s: %q", its, watching(other))
			}
		}
		if who := watching("/proc"); strings.Contains(who, its) {
			t.Errorf("%s watches %s: %s", its, other, who)
		}
	}
}

func TestNoticedLate(t *testing.T) {
	if err := noticedLate("/x", fmt.Errorf("watching: %w", syscall.EMFILE)); !fault.Is(err, fault.Inotify) {
		t.Errorf("no instance: %v", err)
	}
	if err := noticedLate("/x", syscall.ENOSPC); !fault.Is(err, fault.Inotify) || !strings.Contains(err.Error(), "sysctl") {
		t.Errorf("no watch: %v", err)
	}
	if err := noticedLate("/x", syscall.EACCES); !errors.Is(err, syscall.EACCES) || fault.Is(err, fault.Inotify) {
		t.Errorf("another reason: %v", err)
	}
	for _, errno := range []syscall.Errno{unix.EROFS, unix.ENOSPC} {
		if err := unserved("/run/azfilesauth/s", errno); !fault.Is(err, fault.RunDir) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

// TestResolversThatMove: another service takes them over, whose file is elsewhere.
func TestResolversThatMove(t *testing.T) {
	root := t.TempDir()
	in := func(name string) string { return filepath.Join(root, name) }
	for _, dir := range []string{"etc", "run/one", "run/other"} {
		check(os.MkdirAll(in(dir), 0o755))
	}
	check(os.WriteFile(in("run/one/resolv.conf"), nil, 0o644))
	check(os.WriteFile(in("run/other/resolv.conf"), nil, 0o644))
	check(os.Symlink("../run/one/resolv.conf", in("etc/resolv.conf")))
	changes, err := surroundings(t.Context(), host.Beneath(root))
	check(err)
	check(os.Symlink("../run/other/resolv.conf", in("etc/next")))
	check(os.Rename(in("etc/next"), in("etc/resolv.conf"))) // one event
	check(os.Chmod(in("run/one/resolv.conf"), 0o600))
	for _, what := range []string{"the link", "the file that it led to"} {
		select {
		case c := <-changes:
			if c != network {
				t.Errorf("%s: %d", what, c)
			}
		case <-time.After(patience):
			t.Fatalf("%s was not told of", what)
		}
	}
	check(os.WriteFile(in("run/other/resolv.conf"), []byte("nameserver 192.0.2.1\n"), 0o644))
	select {
	case <-changes:
	case <-time.After(patience):
		t.Error("the file that it leads to now was not told of")
	}
}

// TestHostsOfTheMachine: who has no name server for private endpoints has them in /etc/hosts.
func TestHostsOfTheMachine(t *testing.T) {
	root := t.TempDir()
	check(os.Mkdir(filepath.Join(root, "etc"), 0o755))
	changes, err := surroundings(t.Context(), host.Beneath(root))
	check(err)
	check(os.WriteFile(filepath.Join(root, "etc/hosts"), []byte("192.0.2.1 "+account(1)+"\n"), 0o644))
	select {
	case c := <-changes:
		if c != network {
			t.Error(c)
		}
	case <-time.After(patience):
		t.Error("it was not told of")
	}
}

// TestSurroundings: files of the configuration are told of once they are quiet, and so are those of a directory in its place.
func TestSurroundings(t *testing.T) {
	h := own()
	dir := filepath.Join(t.TempDir(), "azfilesauth")
	check(os.Mkdir(dir, 0o755))
	h.Config = filepath.Join(dir, "config.yaml")
	changes, err := surroundings(t.Context(), h)
	check(err)
	next := func(what string) {
		t.Helper()
		select {
		case c := <-changes:
			if c != configuration {
				t.Errorf("%s: %d", what, c)
			}
		case <-time.After(patience):
			t.Fatalf("%s was not told of", what)
		}
	}
	check(os.WriteFile(h.Config, nil, 0o600))
	next("the file")
	layers := filepath.Join(dir, "config.d")
	check(os.Mkdir(layers, 0o755))
	next("the directory of layers")
	check(os.WriteFile(filepath.Join(layers, "50-x.yaml"), nil, 0o600))
	next("a layer")
	check(os.Rename(dir, dir+".old")) // as tools do that put a whole directory in place
	check(os.MkdirAll(layers, 0o755))
	next("another directory")
	check(os.WriteFile(filepath.Join(layers, "50-x.yaml"), nil, 0o600))
	next("a layer in it")
	check(os.WriteFile(h.Config, nil, 0o600))
	next("the file in it")
}

func TestIsDefaultRoute(t *testing.T) {
	message := func(kind uint16, bits byte) []byte {
		b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg)
		b[0], b[4], b[5], b[16], b[17] = byte(len(b)), byte(kind), byte(kind>>8), unix.AF_INET, bits
		return b
	}
	for _, c := range []struct {
		b    []byte
		want bool
	}{
		{message(unix.RTM_NEWROUTE, 0), true},
		{message(unix.RTM_DELROUTE, 0), true},
		{message(unix.RTM_NEWROUTE, 24), false},
		{message(unix.RTM_NEWADDR, 0), false},
		{append(message(unix.RTM_NEWROUTE, 24), message(unix.RTM_DELROUTE, 0)...), true},
		{nil, false},
		{[]byte("x"), false},
	} {
		if got := isDefaultRoute(c.b); got != c.want {
			t.Errorf("%x: %v", c.b, got)
		}
	}
}
