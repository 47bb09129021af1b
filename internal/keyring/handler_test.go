package keyring_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// handlerRole is what request-key runs: mode, folder, key.
func handlerRole(args []string) error {
	runtime.LockOSThread()
	n, err := strconv.ParseInt(args[2], 10, 32)
	if err != nil {
		return err
	}
	h := handler{key: keyring.Serial(n), dir: args[1]}
	mode, known := map[string]func() error{
		"answer": h.answer, "reject": h.reject, "stubborn": h.stubborn,
		"threads": h.threads, "ring": h.ring, "slow": h.slow,
	}[args[0]]
	if !known {
		return fmt.Errorf("no such mode: %s", args[0])
	}
	return mode()
}

type handler struct {
	key keyring.Serial
	dir string
}

// note tells the test something.
func (h handler) note(format string, a ...any) error {
	f, err := os.OpenFile(filepath.Join(h.dir, "notes"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, format+"\n", a...); err != nil {
		return err
	}
	return f.Close()
}

// answer describes the key and answers.
func (h handler) answer() error {
	d, err := keyring.Describe(h.key)
	if err != nil {
		return err
	}
	answered, err := keyring.Answered(h.key)
	if err != nil {
		return err
	}
	if err := h.note("%s %d %d %s %t", d.Type, d.UID, d.GID, d.Text, answered); err != nil {
		return err
	}
	return keyring.Instantiate(h.key, []byte("one, two\x00"))
}

// reject answers as the test has written: the error number and the seconds.
func (h handler) reject() error {
	if err := h.note("asked"); err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(h.dir, "reject"))
	if err != nil {
		return err
	}
	errno, seconds := 0, 0
	if _, err := fmt.Sscan(string(b), &errno, &seconds); err != nil {
		return err
	}
	return keyring.Reject(h.key, time.Duration(seconds)*time.Second, unix.Errno(errno))
}

// stubborn notes the outcome of answers that must fail, before and after a good one.
func (h handler) stubborn() error {
	for _, err := range []error{
		keyring.Instantiate(h.key, nil),
		keyring.Instantiate(h.key, []byte{}),
		keyring.Instantiate(h.key, make([]byte, 1<<20)),
		keyring.Instantiate(h.key+1, []byte("x")),
		keyring.Reject(h.key, 10*time.Second, unix.Errno(5000)),
		keyring.AssumeAuthority(h.key + 1),
		keyring.Instantiate(h.key, []byte("good")),
		keyring.Instantiate(h.key, []byte("again")),
		keyring.Reject(h.key, 10*time.Second, unix.ENOKEY),
	} {
		if err := h.note("%s", errnoName(err)); err != nil {
			return err
		}
	}
	// EKEYREVOKED until the kernel has collected the authority, then ENOKEY.
	return h.note("%t", keyring.AssumeAuthority(h.key) == nil)
}

// threads gives up the authority on this thread, takes it on another, and answers on both.
func (h handler) threads() error {
	if err := keyring.AssumeAuthority(0); err != nil {
		return err
	}
	assumed, answer, done := make(chan error), make(chan struct{}), make(chan error)
	go func() {
		runtime.LockOSThread()
		assumed <- keyring.AssumeAuthority(h.key)
		<-answer
		done <- keyring.Instantiate(h.key, []byte("from the thread with authority"))
	}()
	if err := <-assumed; err != nil {
		return err
	}
	if err := h.note("%s", errnoName(keyring.Instantiate(h.key, []byte("from the thread without")))); err != nil {
		return err
	}
	if err := h.note("%s", errnoName(keyring.Reject(h.key, 2*time.Second, unix.ENOKEY))); err != nil {
		return err
	}
	close(answer)
	return <-done
}

// ring answers with what the ring named by the test holds, and leaves something there.
func (h handler) ring() error {
	b, err := os.ReadFile(filepath.Join(h.dir, "ring"))
	if err != nil {
		return err
	}
	kind, name, _ := strings.Cut(string(b), " ")
	r, err := keyring.Rings()[kind]()
	if err != nil {
		return err
	}
	v, err := r.Get(name)
	if err != nil {
		return err
	}
	if err := r.Set(name, secret.FromString("from the handler"), time.Hour); err != nil {
		return err
	}
	return keyring.Instantiate(h.key, v.Reveal())
}

// slow tells the test the key and answers when the test hangs up.
func (h handler) slow() error {
	c, err := net.Dial("unix", filepath.Join(h.dir, "socket"))
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c, h.key); err != nil {
		return err
	}
	if _, err := io.ReadAll(c); err != nil {
		return err
	}
	return keyring.Instantiate(h.key, []byte("at last"))
}
