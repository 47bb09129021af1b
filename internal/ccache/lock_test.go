package ccache_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestLocks(t *testing.T) {
	for name, dir := range map[string]string{"root's folder": folder(t), "shared folder": shared(t)} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(dir, "cc"))
			unlock, err := s.LockEndpoint(t.Context(), host)
			must(t, err)
			_, err = s.LockEndpoint(soon(t), "ACCT.file.core.windows.net")
			wantFault(t, err, fault.LockTimeout, ".lock")
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = s.LockEndpoint(cancelled, host)
			wantFault(t, err, fault.Interrupted)
			// Accounts, identities and the cache itself never wait for each other.
			for _, lock := range []func() (func(), error){
				func() (func(), error) { return s.LockEndpoint(soon(t), other) },
				func() (func(), error) { return s.LockIdentity(soon(t), host) },
			} {
				free, err := lock()
				must(t, err)
				defer free()
			}
			put(t, s, ticket(host, realm, 1))
			unlock()
			unlock() // once more does no harm
			again, err := s.LockEndpoint(soon(t), host)
			must(t, err)
			again()
			free, err := s.LockIdentity(t.Context(), "system")
			must(t, err)
			_, err = s.LockIdentity(soon(t), "system")
			wantFault(t, err, fault.LockTimeout)
			free()
		})
	}
}

func TestUpdateWaitsForTheOther(t *testing.T) {
	s := open(t, filepath.Join(folder(t), "cc"))
	must(t, s.Update(t.Context(), func(c *ccache.Cache) error {
		c.Put(ticket(host, realm, 1), record)
		err := s.Update(soon(t), func(*ccache.Cache) error { t.Error("two at once"); return nil })
		wantFault(t, err, fault.LockTimeout)
		wide, cancel := fault.WithTimeout(t.Context(), 10*time.Millisecond, fault.BoundFlag)
		defer cancel()
		err = s.Update(wide, func(*ccache.Cache) error { return nil })
		if fix := fault.From(err).Fix(); !strings.HasSuffix(fix, "a longer --timeout may help") {
			t.Errorf("%v: %s", err, fix)
		}
		return nil
	}))
	wantLabels(t, load(t, s), spn+"@"+realm+" 1")
}

func TestGoroutinesExcludeEachOther(t *testing.T) {
	s := open(t, filepath.Join(folder(t), "cc"))
	var inside, entered atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 5 {
				unlock, err := s.LockEndpoint(t.Context(), host)
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				entered.Add(1)
				inside.Add(-1)
				unlock()
			}
		})
	}
	wg.Wait()
	if entered.Load() != 16*5 {
		t.Errorf("%d entered", entered.Load())
	}
}

func TestLockOfAKilledProcessEnds(t *testing.T) {
	dir := folder(t)
	path, run := filepath.Join(dir, "cc"), filepath.Join(dir, "run")
	s, err := openIn(run, path, owner)
	must(t, err)
	p := start(t, "hold", path, run, host)
	if !p.lines.Scan() {
		t.Fatal("the other process does not get the lock")
	}
	_, err = s.LockEndpoint(soon(t), host)
	wantFault(t, err, fault.LockTimeout, filepath.Join(dir, ".cc.lock"))
	must(t, p.Process.Kill())
	unlock, err := s.LockEndpoint(t.Context(), host)
	must(t, err)
	unlock()
}

func TestHostileLockFiles(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, path string){
		"link":   func(t *testing.T, path string) { must(t, os.Symlink(path+".target", path)) },
		"folder": func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) },
		"pipe":   func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o600)) },
		"another user's": func(t *testing.T, path string) {
			must(t, os.WriteFile(path, nil, 0o600))
			give(t, path, mallory, mallory)
		},
	} {
		dir := folder(t)
		plant(t, filepath.Join(dir, ".cc.lock"))
		s := open(t, filepath.Join(dir, "cc"))
		_, err := s.LockEndpoint(t.Context(), host)
		wantFault(t, err, fault.CCacheIO, ".cc.lock")
		wantFault(t, s.Update(t.Context(), nil), fault.CCacheIO, ".cc.lock")
		if got := names(t, dir); len(got) != 1 {
			t.Errorf("%s: the folder holds %v", name, got)
		}
	}
}

// Who can open the lock file can hold the lock for ever.
func TestLockFileIsClosedToOthers(t *testing.T) {
	dir := folder(t)
	lock := filepath.Join(dir, ".cc.lock")
	for _, prepare := range []func(){func() {}, func() { must(t, os.Chmod(lock, 0o666)) }} {
		prepare()
		unlock, err := open(t, filepath.Join(dir, "cc")).LockIdentity(t.Context(), "system")
		must(t, err)
		unlock()
		if uid, _, mode, _ := stat(t, lock); uid != me || mode != 0o600 {
			t.Errorf("uid %d, %v", uid, mode)
		}
	}
}

// Many goroutines and two other processes begin at once, without a cache. Nobody loses a ticket.
func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	const routines, rounds = 8, 5
	for name, dir := range map[string]string{"root's folder": folder(t), "shared folder": shared(t)} {
		t.Run(name, func(t *testing.T) {
			path, run := filepath.Join(dir, "cc"), filepath.Join(folder(t), "run")
			s, err := openIn(run, path, owner)
			must(t, err)
			processes := []*process{
				start(t, "put", path, run, "first", "20"), start(t, "put", path, run, "second", "20"),
			}
			var wg sync.WaitGroup
			for r := range routines {
				wg.Go(func() {
					for n := range rounds {
						cred := ticket(fmt.Sprintf("r%dn%d.test", r, n), realm, 1)
						err := s.Update(t.Context(), func(c *ccache.Cache) error { c.Put(cred, record); return nil })
						if err != nil {
							t.Error(err)
						}
						if _, err := s.Load(); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			for _, p := range processes {
				var puts int
				for p.lines.Scan() {
					puts++
				}
				if must(t, p.Wait()); puts != 20 {
					t.Errorf("a process did %d updates of 20", puts)
				}
			}
			if got, want := len(load(t, s).Tickets()), routines*rounds+2*20; got != want {
				t.Errorf("%d tickets, want %d", got, want)
			}
		})
	}
}

func TestKilledBetweenReadingAndWriting(t *testing.T) {
	dir := folder(t)
	path, run := filepath.Join(dir, "cc"), filepath.Join(dir, "run")
	s, err := openIn(run, path, owner)
	must(t, err)
	put(t, s, ticket(host, realm, 1))
	p := start(t, "die", path, run)
	if err := p.Wait(); err == nil {
		t.Fatal("the helper lives")
	}
	wantLabels(t, load(t, s), spn+"@"+realm+" 1")
	put(t, s, ticket(host, realm, 2))
	wantLabels(t, load(t, s), spn+"@"+realm+" 2")
}

// A writer is killed again and again at moments of no choice. What it had reported is there, the
// cache is whole, the lock is free and nothing is left behind.
func TestKilledAtAnyTime(t *testing.T) {
	dir := folder(t)
	path, run := filepath.Join(dir, "cc"), filepath.Join(dir, "run")
	s, err := openIn(run, path, owner)
	must(t, err)
	for round := range 15 {
		prefix := fmt.Sprintf("round%dn", round)
		p := start(t, "put", path, run, prefix, "0")
		var last int
		for range 1 + round {
			if !p.lines.Scan() {
				t.Fatal("the helper ended")
			}
			_, _ = fmt.Sscan(p.lines.Text(), &last)
		}
		must(t, p.Process.Kill())
		c := load(t, s)
		for n := range last + 1 {
			if _, ok := c.Ticket(fmt.Sprintf("cifs/%s%d.file.core.windows.net", prefix, n)); !ok {
				t.Fatalf("round %d: ticket %d of %d is lost", round, n, last)
			}
		}
	}
	put(t, s, ticket(host, realm, 1))
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("the folder holds %v", got)
	}
}
