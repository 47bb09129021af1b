package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tryLimit is how long one mount, call or login may take, whatever happens: twice the limit of a request.
	tryLimit = 75 * time.Second
	calls    = 40
)

// try is one attempt of somebody who wants something now.
type try func() error

// repeat has somebody try every second while the fault lasts, and then until it succeeds. A try that began before does
// not keep the next from beginning. A try may take as long as tryLimit, no longer.
func (t *trial) repeat(once try) error {
	if err := t.begin(); err != nil {
		return err
	}
	began, good := time.Now(), make(chan time.Time, 1000)
	var all sync.WaitGroup
	var mu sync.Mutex
	attempt := func() {
		all.Go(func() {
			at := time.Now()
			err := once()
			if took := time.Since(at); took > tryLimit-time.Second {
				mu.Lock()
				t.problem("an attempt took %s", took.Round(time.Second))
				mu.Unlock()
			}
			if err == nil {
				good <- time.Now()
				return
			}
			mu.Lock()
			t.Said = err.Error()
			mu.Unlock()
		})
	}
	for range int(faultTime / time.Second) {
		attempt()
		time.Sleep(time.Second)
	}
	if err := t.heal(); err != nil {
		return err
	}
	ended := time.Now()
	t.Requests, _ = t.asked()
	t.Log = float64(logSize()) / time.Since(began).Minutes()
	for recovered := false; !recovered && time.Since(ended) < giveUp; {
		attempt()
		select {
		case at := <-good:
			if at.After(ended) {
				t.Recovery, recovered = at.Sub(ended).Seconds(), true
			}
		case <-time.After(time.Second):
		}
	}
	all.Wait()
	requests, tickets := t.asked()
	t.Requests, t.Tickets = requests, tickets
	if t.Recovery == 0 {
		t.Recovery = giveUp.Seconds()
		t.problem("it did not recover")
	}
	t.held()
	return nil
}

// held says when a call that began before the end of the fault may hold up those after it.
func (t *trial) held() {
	if t.Target != port445 && (t.lingers() || t.Fault == status5) {
		t.plan(15, "a call that hangs, or waits between its attempts, holds the lock that saves requests: others wait for it up to 15 s (a mount less than half of its `azfiles_timeout`, a login 1.5 s), then ask for themselves")
	}
}

// lingers reports whether a request that began before the end of the fault may go on after it. An answer of no name server counts
// as none, and the next question is asked after 5 s.
func (t *trial) lingers() bool {
	return t.Fault == hang || t.Fault == slow || t.Target == dns && (t.Fault == garbage || t.Fault == flapping)
}

// plan says why recovery may take so many seconds more.
func (t *trial) plan(seconds float64, why string) {
	if seconds <= 0 {
		return
	}
	t.Bound, t.Why = t.Bound+seconds, why
}

func logSize() (n int64) {
	if info, err := os.Stat(daemonLog); err == nil {
		n = info.Size()
	}
	return n
}

// failed is an error of a program that ended so.
func failed(status int, said string) error {
	if status == 0 {
		return nil
	}
	if i := strings.LastIndexByte(said, '\n'); i > 0 && len(said) > 300 {
		said = said[max(0, len(said)-300):]
	}
	return fmt.Errorf("exit status %d: %s", status, said)
}

// mount mounts a share again and again, as people do.
func (t *trial) mount() error {
	return t.repeat(func() error {
		status, said := t.program(tryLimit, "mount.azfiles", "//"+account(0)+"/share", "/run/mnt", "-o", "ro")
		return failed(status, said)
	})
}

// login has the kernel ask for logins, with no ticket in the cache and no daemon.
func (t *trial) login() error {
	n := 0
	var mu sync.Mutex
	return t.repeat(func() error {
		mu.Lock()
		n++
		number := n
		mu.Unlock()
		return knock(t.parent, number)
	})
}

// knock asks the process outside of the namespaces, where the kernel starts request-key, for a login in here.
func knock(parent string, n int) error {
	c, err := net.Dial("unix", parent)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(tryLimit)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "%d %d\n", os.Getpid(), n); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return fmt.Errorf("the kernel: %s", answer)
	}
	return nil
}

// answerKnocks asks the kernel for what processes in namespaces knock for, until the listener is closed.
func answerKnocks(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			var pid, n int
			if _, err := fmt.Fscanf(c, "%d %d\n", &pid, &n); err != nil {
				return
			}
			done := make(chan error)
			go func() {
				runtime.LockOSThread() // never unlocked: the thread's keyring ends with it
				description := fmt.Sprintf("ver=0x2;host=%s;ip4=127.0.0.1;sec=krb5;uid=0x0;creduid=0x0;user=root;pid=%#x;n=%d%s", account(0), pid, n, mark())
				id, err := unix.RequestKey("user", description, fmt.Sprint(pid), unix.KEY_SPEC_THREAD_KEYRING)
				if err == nil {
					_, _ = unix.KeyctlInt(unix.KEYCTL_INVALIDATE, id, 0, 0, 0)
				}
				done <- err
			}()
			if err := <-done; err != nil {
				_, _ = fmt.Fprintln(c, err)
				return
			}
			_, _ = fmt.Fprintln(c, "ok")
		}()
	}
}

// mark ends the descriptions of keys that this process asks for.
func mark() string { return fmt.Sprintf(";endure=%d", os.Getpid()) }

// addRule tells request-key of the handler, which it starts in the namespaces of the process that the request names,
// until remove is called.
func addRule(handler string) (remove func(), err error) {
	path := fmt.Sprintf("/etc/request-key.d/azfilesauth-endure-%d.conf", os.Getpid())
	remove = func() {
		_ = os.Remove(path + ".new")
		_ = os.Remove(path)
	}
	// Only complete files with this ending are rules.
	if err = os.WriteFile(path+".new", []byte("create user *"+mark()+" * /usr/bin/nsenter -t %c -m -n "+handler+" %k\n"), 0o644); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		remove()
	}
	return remove, err
}

// storm has 40 calls ask at once for one account's ticket, while the fault lasts and after it.
func (t *trial) storm() error {
	if err := t.begin(); err != nil {
		return err
	}
	during := make(chan error, 1)
	go func() { during <- t.together() }()
	time.Sleep(faultTime)
	if err := t.heal(); err != nil {
		return err
	}
	began := time.Now()
	t.fake.ResetRequests()
	err := t.together()
	t.Recovery = time.Since(began).Seconds()
	if err != nil {
		t.problem("after the fault: %v", err)
	}
	t.Requests, t.Tickets = t.asked()
	if err := <-during; err != nil {
		t.Said = err.Error()
		if strings.Contains(t.Said, "still running") {
			t.problem("%v", err)
		}
	}
	t.held()
	if t.Tickets > 5 && t.Why == "" {
		t.problem("%d exchanges for %d calls", t.Tickets, calls)
	}
	return nil
}

// together makes the calls and gives one of their errors.
func (t *trial) together() error {
	errs := make([]error, calls)
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			name, args := "azfilesauthmanager", []string{"set", "https://" + account(0), "--system"}
			if t.Target == entra { // which knows no service principal
				name, args = "azfilesauth", []string{"set", account(0)}
			}
			status, said := t.program(tryLimit, name, args...)
			errs[i] = failed(status, said)
		})
	}
	all.Wait()
	n := 0
	var last error
	for _, err := range errs {
		if err != nil {
			n, last = n+1, err
		}
	}
	if last != nil {
		return fmt.Errorf("%d of %d failed: %w", n, calls, last)
	}
	return nil
}
