package needs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// RequestKey needs the kernel to run this machine's request-key(8) with the rules that the test sees.
// In a container it does not: the kernel starts the program outside all namespaces, and a test would
// wait for an answer that nobody gives.
func RequestKey(t testing.TB) {
	t.Helper()
	if err := requestKey(); err != nil {
		missing(t, err.Error())
	}
}

// answerTime bounds the probe; request-key answers in milliseconds where it is asked at all.
const answerTime = 10 * time.Second

// rejectArgs are those of keyctl(1) in a rule that rejects. When the seconds have passed before request-key has ended, as one
// may on a busy machine, the kernel tells ENOKEY instead.
const rejectArgs = " reject %k 60 rejected %S\n"

// requestKey asks for a key that only a rule written here rejects in that way, once for each process.
var requestKey = sync.OnceValue(func() error {
	if err := root(); err != nil {
		return fmt.Errorf("%w, to write a rule of request-key", err)
	}
	keyctl := find("keyctl")
	if keyctl == "" || find("request-key") == "" {
		return errors.New("needs the program request-key (apt-get install keyutils)")
	}
	description := fmt.Sprintf("azfneeds:%d", os.Getpid())
	remove, err := WriteRule("needs", "create user "+description+" * "+keyctl+rejectArgs)
	if err != nil {
		return fmt.Errorf("needs to write a rule of request-key: %w", err)
	}
	answer := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread's keyring goes with it
		_, err := AskKey(description, unix.KEY_SPEC_THREAD_KEYRING)
		answer <- errors.Join(err, remove())
	}()
	select {
	case err := <-answer:
		if errors.Is(err, unix.EKEYREJECTED) {
			return nil
		}
		return fmt.Errorf("needs request-key in the first mount namespace: the kernel did not ask ours (%w)", err)
	case <-time.After(answerTime):
		return fmt.Errorf("needs request-key in the first mount namespace: no answer within %s", answerTime)
	}
})

// rules is where request-key(8) looks for rules. It gives up on a request when one that it has seen there is gone before it has
// opened it (keyutils 1.6.3), so that tests of other packages, which come and go, would fail a request of this one: a lock
// on the directory keeps rules as they are during each request.
const rules = "/etc/request-key.d"

// WriteRule gives this machine a rule of request-key.conf(5) until remove is called. The name tells it from the others
// of this process.
func WriteRule(name, line string) (remove func() error, err error) {
	path := fmt.Sprintf("%s/azfilesauth-test-%s-%d.conf", rules, name, os.Getpid())
	err = locked(unix.LOCK_EX, func() error { return os.WriteFile(path, []byte(line), 0o644) })
	return func() error { return locked(unix.LOCK_EX, func() error { return os.Remove(path) }) }, err
}

// AskKey has the kernel obtain a key of type user and link it into a keyring, as request_key(2) does. The thread should end with
// the goroutine, see runtime.LockOSThread, where its keyring is meant.
func AskKey(description string, ring int) (id int, err error) {
	err = locked(unix.LOCK_SH, func() error {
		id, err = unix.RequestKey("user", description, "callout", ring)
		return err
	})
	return id, err
}

// lockTime bounds the wait for others' requests and rules. One that is never answered must not keep all tests from theirs.
const lockTime = time.Minute

// locked does it with the lock, or without where another holds that for longer than lockTime.
func locked(how int, do func() error) error {
	dir, err := os.Open(rules)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // which unlocks it
	held := make(chan struct{})
	go func() {
		defer close(held)
		for errors.Is(unix.Flock(int(dir.Fd()), how), unix.EINTR) {
		}
	}()
	select { // who waits in the kernel has it between two requests, however soon they follow each other
	case <-held:
	case <-time.After(lockTime):
	}
	return do()
}
