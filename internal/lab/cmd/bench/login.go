package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// What descriptions end in says which rule is followed.
const (
	markOurs   = "ours"
	markTheirs = "theirs"
	markPeak   = "peak"

	markWeighOurs   = "weighours"
	markWeighTheirs = "weightheirs"
)

// mark ends the descriptions of this process.
func mark(suffix string) string { return fmt.Sprintf(";bench=%d.%s", os.Getpid(), suffix) }

// addRules tells request-key of the handlers, until remove is called.
func addRules(dir string) (remove func(), err error) {
	rule := func(suffix, command string) string {
		return "create user *" + mark(suffix) + " * " + command + "\n"
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	text := rule(markOurs, in("handler")+" %k") +
		rule(markTheirs, cifsUpcall+" -E -k "+in("krb5.conf")+" %k") +
		rule(markWeighOurs, fmt.Sprintf("%s %s %d %s azfiles.upcall %%k", in("scale"), in(markWeighOurs), weighed, in("handler"))) +
		rule(markWeighTheirs, fmt.Sprintf("%s %s %d %s cifs.upcall -E -k %s %%k", in("scale"), in(markWeighTheirs), weighed, cifsUpcall, in("krb5.conf"))) +
		rule(markPeak, in("peak")+" "+in(peakFile)+" "+in("handler")+" azfiles.upcall %k")
	path := fmt.Sprintf("/etc/request-key.d/azfilesauth-bench-%d.conf", os.Getpid())
	remove = func() {
		_ = os.Remove(path + ".new")
		_ = os.Remove(path)
	}
	// Only complete files with this ending are rules.
	if err = os.WriteFile(path+".new", []byte(text), 0o644); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		remove()
	}
	return remove, err
}

// login has the kernel obtain one key, whose description ends in a mark, and adds what that took.
func (s *series) login(ctx context.Context, suffix string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	type reply struct {
		took time.Duration
		err  error
	}
	done := make(chan reply)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread's keyring ends with it
		took, err := requestKey(description() + suffix)
		done <- reply{took, err}
	}()
	r := <-done
	if r.err != nil {
		return fmt.Errorf("login, %s: %w", suffix, r.err)
	}
	s.wall = append(s.wall, r.took)
	return nil
}

// loginPeak asks for a few keys whose handler's peak memory is written to file.
func (s *series) loginPeak(ctx context.Context, file string) error {
	var alone series // that of the program between counts for nothing
	for range peaks {
		if err := alone.login(ctx, mark(markPeak)); err != nil {
			return err
		}
		if err := s.readPeak(file); err != nil {
			return err
		}
	}
	return nil
}

// description is what the kernel says of a login for this process, as fs/smb/client/cifs_spnego.c
// writes it. cifs.upcall enters the namespaces of the process that it names.
func description() string {
	return fmt.Sprintf("ver=0x2;host=%s;ip4=10.0.0.1;sec=krb5;uid=0x0;creduid=0x0;user=root;pid=%#x", host, os.Getpid())
}

// requestKey obtains a key and makes it invalid, so that the kernel asks again the next time.
func requestKey(description string) (took time.Duration, err error) {
	began := time.Now()
	id, err := unix.RequestKey("user", description, "bench", unix.KEY_SPEC_THREAD_KEYRING)
	took = time.Since(began)
	if err != nil {
		return 0, err
	}
	head := make([]byte, 16)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, head, 0)
	if err == nil && n <= len(head) {
		err = errors.New("the answer is empty")
	}
	_, invalid := unix.KeyctlInt(unix.KEYCTL_INVALIDATE, id, 0, 0, 0)
	return took, errors.Join(err, invalid)
}
