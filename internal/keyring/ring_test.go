package keyring_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// entryName is a name that no other test and no other process uses.
func entryName(t *testing.T) string {
	return fmt.Sprintf("test-%d-%s", os.Getpid(), t.Name())
}

// eachRing runs test with every implementation and removes its entry afterwards.
func eachRing(t *testing.T, test func(t *testing.T, r keyring.Ring, name string)) {
	needs.Root(t)
	for kind, open := range keyring.Rings() {
		t.Run(kind, func(t *testing.T) {
			r, err := open()
			if err != nil {
				t.Fatal(err)
			}
			name := entryName(t)
			t.Cleanup(func() {
				if err := r.Remove(name); err != nil {
					t.Error(err)
				}
			})
			test(t, r, name)
		})
	}
}

func set(t *testing.T, r keyring.Ring, name, value string, ttl time.Duration) {
	t.Helper()
	if err := r.Set(name, secret.FromString(value), ttl); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, r keyring.Ring, name, want string) {
	t.Helper()
	if v, err := r.Get(name); err != nil || v.RevealString() != want {
		t.Fatalf("got %d bytes, %v; want %d", v.Len(), err, len(want))
	}
}

func wantNone(t *testing.T, r keyring.Ring, name string) {
	t.Helper()
	if v, err := r.Get(name); !errors.Is(err, keyring.ErrNotFound) || !v.Empty() {
		t.Fatalf("got %d bytes, %v; want none", v.Len(), err)
	}
}

// entrySerial finds the entry as the kernel keeps it.
func entrySerial(t *testing.T, name string) keyring.Serial {
	t.Helper()
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", keyring.Prefix+name, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keyring.Serial(id)
}

func listed(t *testing.T, key keyring.Serial) keyring.Key {
	t.Helper()
	keys, err := keyring.Keys()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Serial == key {
			return k
		}
	}
	t.Fatalf("key %d is not listed", key)
	return keyring.Key{}
}

func TestRingKeepsReplacesAndRemoves(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		wantNone(t, r, name)
		set(t, r, name, "first", time.Hour)
		wantValue(t, r, name, "first")
		wantNone(t, r, name+"2")
		set(t, r, name, "the second, which is longer", time.Hour)
		wantValue(t, r, name, "the second, which is longer")
		set(t, r, name, "3", time.Hour)
		wantValue(t, r, name, "3")
		if err := r.Remove(name); err != nil {
			t.Fatal(err)
		}
		wantNone(t, r, name)
		if err := r.Remove(name); err != nil {
			t.Fatalf("removing what is not there: %v", err)
		}
	})
}

func TestRingTakesAnyBytesUpToTheLimit(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		for _, n := range []int{1, 511, 512, 513, 2000, keyring.MaxValue} {
			value := string(bytes.Repeat([]byte{0, ';', '\n', 0xff}, n/4+1)[:n])
			set(t, r, name, value, time.Hour)
			wantValue(t, r, name, value)
		}
	})
}

func TestRingRefuses(t *testing.T) {
	cases := map[string]struct {
		value, suffix string
		ttl           time.Duration
	}{
		"nothing":     {"", "", time.Hour},
		"too much":    {strings.Repeat("x", keyring.MaxValue+1), "", time.Hour},
		"no time":     {"x", "", 0},
		"past":        {"x", "", -time.Hour},
		"part second": {"x", "", time.Second - 1},
		"long name":   {"x", strings.Repeat("n", 4096), time.Hour},
		"zero byte":   {"x", "\x00", time.Hour},
	}
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		for what, c := range cases {
			if err := r.Set(name+c.suffix, secret.FromString(c.value), c.ttl); err == nil {
				t.Errorf("%s: accepted", what)
			}
			if v, err := r.Get(name + c.suffix); err == nil {
				t.Errorf("%s: %d bytes were stored", what, v.Len())
			}
		}
	})
}

func TestRingForgetsInTime(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		for _, c := range []struct {
			ttl  time.Duration
			unit string
		}{{90 * time.Minute, "h"}, {59 * time.Second, "s"}, {1 << 32 * time.Second, "w"}, {math.MaxInt64, "w"}} {
			set(t, r, name, "value", c.ttl)
			if k := listed(t, entrySerial(t, name)); !strings.HasSuffix(k.Expiry, c.unit) {
				t.Errorf("an entry for %s expires in %s", c.ttl, k.Expiry)
			}
		}
		// The kernel's clock counts whole seconds, so this one may end at once: only its end is looked at.
		set(t, r, name, "value", 1900*time.Millisecond)
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			_, err := r.Get(name)
			if errors.Is(err, keyring.ErrNotFound) {
				break
			}
			if err != nil || time.Since(began) > patience {
				t.Fatalf("after %s: %v", time.Since(began), err)
			}
		}
		set(t, r, name, "new", time.Hour)
		wantValue(t, r, name, "new")
	})
}

func TestRingTreatsARevokedEntryAsNone(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		set(t, r, name, "value", time.Hour)
		if _, err := unix.KeyctlInt(unix.KEYCTL_REVOKE, int(entrySerial(t, name)), 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		wantNone(t, r, name)
		set(t, r, name, "new", time.Hour)
		wantValue(t, r, name, "new")
	})
}

func TestRingEntryIsTheOwnersAlone(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		set(t, r, name, "value", time.Hour)
		d, err := keyring.Describe(entrySerial(t, name))
		want := keyring.Description{Type: "user", Perm: 0x003f0000, Text: "azfilesauth:" + name}
		if err != nil || d != want {
			t.Fatalf("got %+v, %v; want %+v", d, err, want)
		}
	})
}

func TestRingLeavesNothingInTheThreadKeyring(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		set(t, r, name, "value", time.Hour)
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, unix.KEY_SPEC_THREAD_KEYRING, make([]byte, 64), 0)
		if err != nil || n != 0 {
			t.Fatalf("%d bytes of keys, %v", n, err)
		}
	})
}

// Set stages on the keyring of its thread: were it to change threads, most of these would fail.
func TestRingServesManyAtOnce(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		set(t, r, name, strings.Repeat("0", 1000), time.Hour)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				value := strings.Repeat(fmt.Sprint(i), 1000)
				for range 50 {
					if err := r.Set(name, secret.FromString(value), time.Hour); err != nil {
						t.Error(err)
					}
					v, err := r.Get(name)
					// A Get between whose steps an entry is replaced may miss it, but never mix two.
					if err != nil && !errors.Is(err, keyring.ErrNotFound) {
						t.Error(err)
					}
					if b := v.Reveal(); err == nil && (len(b) != 1000 || len(bytes.Trim(b, string(b[:1]))) != 0) {
						t.Errorf("a mixed entry of %d bytes", len(b))
					}
				}
			})
		}
		all.Wait()
	})
}
