package keyring_test

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

func TestAnswerReachesTheCaller(t *testing.T) {
	u := handled(t, "answer")
	got := <-u.request("host=a;b;;c", 0)
	if got.err != nil || got.payload != "one, two\x00" {
		t.Fatalf("the caller got %q, %v", got.payload, got.err)
	}
	if want := []string{"user 0 0 " + u.desc + "host=a;b;;c false"}; !slices.Equal(u.notes(t), want) {
		t.Fatalf("the handler saw %q, want %q", u.notes(t), want)
	}
}

func TestRejectionReachesTheCaller(t *testing.T) {
	for _, errno := range []unix.Errno{
		unix.ENOKEY, unix.EKEYREJECTED, unix.EKEYEXPIRED, unix.EKEYREVOKED, unix.EACCES, unix.ETIMEDOUT,
	} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			u := handled(t, "reject")
			u.write(t, "reject", fmt.Sprint(int(errno), " ", longTime))
			if got := <-u.request("x", 0); !errors.Is(got.err, errno) {
				t.Fatalf("the caller got %q, %v", got.payload, got.err)
			}
			if got := u.notes(t); len(got) != 1 {
				t.Fatalf("the handler ran %d times", len(got))
			}
		})
	}
}

func TestAnswersThatFail(t *testing.T) {
	u := handled(t, "stubborn")
	if got := <-u.request("x", 0); got.err != nil || got.payload != "good" {
		t.Fatalf("the caller got %q, %v", got.payload, got.err)
	}
	want := []string{
		"EINVAL", "EINVAL", "EINVAL", "EPERM", "EINVAL", "ENOKEY", "ok", // before and with the answer
		"EPERM", "EPERM", "false", // after it
	}
	if got := u.notes(t); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestRejectRefusesATimeThatWouldBeLost(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 0, time.Second, 2*time.Second - 1, 2500 * time.Millisecond} {
		if err := keyring.Reject(1, d, unix.ENOKEY); !errors.Is(err, keyring.ErrRejectTime) {
			t.Errorf("%s: %v", d, err)
		}
	}
	if err := keyring.Reject(1, keyring.MinReject, unix.ENOKEY); !errors.Is(err, unix.EPERM) {
		t.Errorf("%s, without authority: %v", keyring.MinReject, err)
	}
}

func TestAuthorityBelongsToOneThread(t *testing.T) {
	u := handled(t, "threads")
	if got := <-u.request("x", 0); got.err != nil || got.payload != "from the thread with authority" {
		t.Fatalf("the caller got %q, %v", got.payload, got.err)
	}
	if got, want := u.notes(t), []string{"EPERM", "EPERM"}; !slices.Equal(got, want) {
		t.Fatalf("the other thread got %q, want %q", got, want)
	}
}

func TestKeyUnderConstruction(t *testing.T) {
	u := handled(t, "slow")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(u.dir, "socket")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ring := openTestRing(t, 0x003f0000)
	done := u.request("x", int(ring))
	if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var key keyring.Serial
	if _, err := fmt.Fscan(c, &key); err != nil {
		t.Fatal(err)
	}
	if answered, err := keyring.Answered(key); err != nil || answered {
		t.Errorf("before the answer: %t, %v", answered, err)
	}
	if err := keyring.Instantiate(key, []byte("stranger")); !errors.Is(err, unix.EPERM) {
		t.Errorf("a process without authority: %v", err)
	}
	if err := keyring.AssumeAuthority(key); !errors.Is(err, unix.ENOKEY) {
		t.Errorf("a process without authority assumes it: %v", err)
	}
	c.Close()
	if got := <-done; got.err != nil || got.payload != "at last" {
		t.Fatalf("the caller got %q, %v", got.payload, got.err)
	}
	if answered, err := keyring.Answered(key); err != nil || !answered {
		t.Errorf("after the answer: %t, %v", answered, err)
	}
	if _, err := keyring.Answered(0x7fffffff); !errors.Is(err, unix.ENOKEY) {
		t.Errorf("a key that does not exist: %v", err)
	}
}

func TestRingServesAHandler(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		u := handled(t, "ring")
		kind := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
		u.write(t, "ring", kind+" "+name)
		set(t, r, name, "from the mount", time.Hour)
		if got := <-u.request("x", 0); got.err != nil || got.payload != "from the mount" {
			t.Fatalf("the caller got %q, %v", got.payload, got.err)
		}
		wantValue(t, r, name, "from the handler")
	})
}
