package keyring_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// An upcall makes the kernel run /sbin/request-key for keys of type "user" that begin with desc, and
// that run this binary as their handler.
type upcall struct {
	desc string // the start of the descriptions that the handler serves
	dir  string // what the test and the handler tell each other
}

// handled installs a rule of request-key.conf(5) for one test. The kernel starts /sbin/request-key
// outside all namespaces, so it is the host's folder that counts; the rule cannot match another's keys.
func handled(t *testing.T, mode string) upcall {
	t.Helper()
	needs.RequestKey(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	u := upcall{desc: fmt.Sprintf("azftest:%d:%s:", os.Getpid(), filepath.Base(t.Name())), dir: t.TempDir()}
	script := filepath.Join(u.dir, "handler")
	text := fmt.Sprintf("#!/bin/sh\n%s=handler %s exec %s %s %s \"$1\" 2>>%s/errors\n", roleEnv, noExitSleep, exe, mode, u.dir, u.dir)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	remove, err := needs.WriteRule("keyring", fmt.Sprintf("create user %s* * %s %%k\n", u.desc, script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(filepath.Join(u.dir, "errors")); t.Failed() {
			t.Logf("the handler said: %q, %v", b, err)
		}
	})
	return u
}

// write leaves something for the handler.
func (u upcall) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(u.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// notes are the handler's, in the order of their making.
func (u upcall) notes(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(u.dir, "notes"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

type answer struct {
	payload string
	err     error
}

// request asks the kernel for the key that begins with u.desc and ends in rest, and reads it. ring is
// where the key is linked; with 0 it is a thread keyring, which ends with the request.
func (u upcall) request(rest string, ring int) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread and its keyring end here
		if ring == 0 {
			ring = unix.KEY_SPEC_THREAD_KEYRING
		}
		id, err := needs.AskKey(u.desc+rest, ring)
		if err != nil {
			done <- answer{err: err}
			return
		}
		buf := make([]byte, 1<<16)
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buf, 0)
		done <- answer{string(buf[:max(n, 0)]), err}
	}()
	return done
}
