package confine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// handler is what request-key runs in these tests, and how it runs the attack: plain, as any child of its, or confined.
const handler = "CONFINE_TEST_HANDLER"

// attackKey tries to answer and reject the key that request-key has handed to whoever started this; it tells what
// it could do.
func attackKey() {
	runtime.LockOSThread()
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Println(err)
		return
	}
	payload := []byte("stolen")
	did := func(what string, errno syscall.Errno) {
		if errno == 0 {
			fmt.Print(what, " ")
		}
	}
	call := func(cmd int, args ...uintptr) syscall.Errno {
		args = append(args, 0, 0, 0, 0)
		_, _, errno := unix.Syscall6(unix.SYS_KEYCTL, uintptr(cmd), args[0], args[1], args[2], args[3], 0)
		return errno
	}
	id := uintptr(n)
	did("authority", call(unix.KEYCTL_ASSUME_AUTHORITY, id))
	buffer := make([]byte, 64)
	did("callout", call(unix.KEYCTL_READ, uintptr(0xfffffff9), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)))) // KEY_SPEC_REQKEY_AUTH_KEY
	did("instantiated", call(unix.KEYCTL_INSTANTIATE, id, uintptr(unsafe.Pointer(&payload[0])), uintptr(len(payload))))
	did("negated", call(unix.KEYCTL_NEGATE, id, 1))
	did("rejected", call(unix.KEYCTL_REJECT, id, 1, uintptr(unix.ENOKEY)))
	// Nothing that looks the key itself up, as KEYCTL_READ does: that waits until somebody has answered.
	runtime.KeepAlive(payload)
}

// handle runs the attack and then answers the key itself, as far as it still can.
func handle(how, key string) {
	runtime.LockOSThread()
	program := os.Getenv("CONFINE_TEST_TARGET")
	env := []string{attack + "=key"}
	var out bytes.Buffer
	var err error
	if how == "plain" {
		cmd := exec.Command(program, key)
		cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &out
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: other}
		err = cmd.Run()
	} else {
		err = Program{Path: program, Args: []string{key}, Env: env, User: other}.Run(context.Background(), &out, &out)
	}
	fmt.Printf("%v did: %s\n", err, out.String())
	n, _ := strconv.Atoi(key)
	payload := []byte("the handler's")
	_, _, _ = unix.Syscall6(unix.SYS_KEYCTL, unix.KEYCTL_INSTANTIATE, uintptr(n), uintptr(unsafe.Pointer(&payload[0])), uintptr(len(payload)), 0, 0)
}

// TestNoAuthorityOverTheKernelsKey: what a handler of request-key runs for a user cannot answer in its place, nor look at
// what it was asked.
func TestNoAuthorityOverTheKernelsKey(t *testing.T) {
	needs.RequestKey(t)
	target := reachable(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ how, did, payload string }{
		{"plain", "instantiated", "stolen"}, // the attack works on its own
		{"confined", "", "the handler's"},
	} {
		dir := t.TempDir()
		told := filepath.Join(dir, "told")
		script := filepath.Join(dir, "handler")
		text := fmt.Sprintf("#!/bin/sh\n%s=%s CONFINE_TEST_TARGET=%s exec %s $1 >%s 2>&1\n", handler, c.how, target, self, told)
		if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		description := fmt.Sprintf("azfconfine:%d:%s", os.Getpid(), c.how)
		remove, err := needs.WriteRule("confine", "create user "+description+" * "+script+" %k\n")
		if err != nil {
			t.Fatal(err)
		}
		payload, err := requested(description)
		if gone := remove(); gone != nil {
			t.Error(gone)
		}
		words, _ := os.ReadFile(told)
		_, did, _ := strings.Cut(strings.TrimSpace(string(words)), "did:")
		if err != nil || payload != c.payload || !strings.Contains(did, c.did) || c.did == "" && did != "" {
			t.Errorf("%s: the key holds %q (%v); %s", c.how, payload, err, words)
		}
	}
}

// requested asks the kernel for a key and reads it.
func requested(description string) (string, error) {
	type answer struct {
		payload string
		err     error
	}
	done := make(chan answer)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread's keyring goes with it
		id, err := needs.AskKey(description, unix.KEY_SPEC_THREAD_KEYRING)
		if err != nil {
			done <- answer{err: err}
			return
		}
		buffer := make([]byte, 64)
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buffer, 0)
		done <- answer{string(buffer[:max(n, 0)]), err}
	}()
	a := <-done
	return a.payload, a.err
}
