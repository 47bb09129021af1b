package keyring_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

// longTime, in seconds, is shown as 5h for half an hour.
const longTime = 5*3600 + 1800

func ringName(t *testing.T) string { return fmt.Sprintf("azftest-%d-%s", os.Getpid(), t.Name()) }

// openTestRing makes a keyring of the test's own in root's keyring.
func openTestRing(t *testing.T, perm uint32) keyring.Serial {
	t.Helper()
	user, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
	if err != nil {
		t.Fatal(err)
	}
	id, err := unix.AddKey("keyring", ringName(t), nil, unix.KEY_SPEC_USER_KEYRING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := unix.KeyctlInt(unix.KEYCTL_UNLINK, id, user, 0, 0); err != nil {
			t.Error(err)
		}
	})
	setPerm(t, id, perm)
	return keyring.Serial(id)
}

func setPerm(t *testing.T, id int, perm uint32) {
	t.Helper()
	if err := unix.KeyctlSetperm(id, perm); err != nil {
		t.Fatal(err)
	}
}

func wantCleared(t *testing.T, ring, keyType string, want bool) {
	t.Helper()
	if cleared, err := keyring.Forget(ring, keyType); err != nil || cleared != want {
		t.Fatalf("cleared: %t, %v; want %t", cleared, err, want)
	}
}

func wantRuns(t *testing.T, u upcall, want int) {
	t.Helper()
	if got := len(u.notes(t)); got != want {
		t.Fatalf("the handler ran %d times, want %d", got, want)
	}
}

func TestForgetMakesTheKernelAskAgain(t *testing.T) {
	u := handled(t, "reject")
	u.write(t, "reject", fmt.Sprint(int(unix.ENOKEY), " ", longTime))
	ring := openTestRing(t, 0x003f0000)
	wantCleared(t, ringName(t), "user", false)
	for range 2 { // the second is answered from memory
		if got := <-u.request("x", int(ring)); !errors.Is(got.err, unix.ENOKEY) {
			t.Fatalf("%q, %v", got.payload, got.err)
		}
		wantRuns(t, u, 1)
	}
	if k := rejected(t, u); k.Expiry != "5h" || k.UnderConstruction || !strings.HasSuffix(k.Description, ":x") {
		t.Errorf("the kernel remembers %+v", k)
	}
	wantCleared(t, ringName(t), "keyring", false)
	wantCleared(t, ringName(t)+"2", "user", false)
	wantCleared(t, ringName(t), "user", true)
	if got := <-u.request("x", int(ring)); !errors.Is(got.err, unix.ENOKEY) {
		t.Fatalf("%q, %v", got.payload, got.err)
	}
	wantRuns(t, u, 2)
}

// rejected finds the key that the handler rejected.
func rejected(t *testing.T, u upcall) keyring.Key {
	t.Helper()
	keys, err := keyring.Keys()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Negative && k.HasType("user") && strings.HasPrefix(k.Description, u.desc) {
			return k
		}
	}
	t.Fatal("the rejected key is not listed")
	return keyring.Key{}
}

func TestForgetLeavesARingWithoutFailuresAlone(t *testing.T) {
	u := handled(t, "reject")
	u.write(t, "reject", fmt.Sprint(int(unix.ENOKEY), " ", longTime))
	ring := openTestRing(t, 0x003f0000)
	other, err := unix.AddKey("keyring", ringName(t)+"-other", nil, int(ring))
	if err != nil {
		t.Fatal(err)
	}
	setPerm(t, other, 0x003f0000)
	if got := <-u.request("x", other); !errors.Is(got.err, unix.ENOKEY) {
		t.Fatalf("%q, %v", got.payload, got.err)
	}
	rejected(t, u)
	if _, err := unix.AddKey("user", ringName(t)+"-good", []byte("x"), int(ring)); err != nil {
		t.Fatal(err)
	}
	wantCleared(t, ringName(t), "user", false)
}

// A user can give a key a description with a newline, and so make a line that names any keyring.
func TestForgetIsNotFooledByAForgedLine(t *testing.T) {
	u := handled(t, "reject")
	u.write(t, "reject", fmt.Sprint(int(unix.ENOKEY), " ", longTime))
	victim := openTestRing(t, 0x003f0000)
	if got := <-u.request("x", int(victim)); !errors.Is(got.err, unix.ENOKEY) {
		t.Fatalf("%q, %v", got.payload, got.err)
	}
	const named = "azftest-forged"
	line := fmt.Sprintf("x\n%08x I--Q---     1 perm 3f010000     0     0 %-9s %s: 1", int(victim), "keyring", named)
	if _, err := unix.AddKey("user", line, []byte("x"), int(victim)); err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(keys, func(k keyring.Key) bool { return k.Serial == victim && strings.HasPrefix(k.Description, named) }) {
		t.Fatal("the forged line is not listed")
	}
	wantCleared(t, named, "user", false)
	rejected(t, u)
}

func TestForgetReportsARingItMayNotClear(t *testing.T) {
	u := handled(t, "reject")
	u.write(t, "reject", fmt.Sprint(int(unix.ENOKEY), " ", longTime))
	ring := openTestRing(t, 0x003f0000)
	if got := <-u.request("x", int(ring)); !errors.Is(got.err, unix.ENOKEY) {
		t.Fatalf("%q, %v", got.payload, got.err)
	}
	setPerm(t, int(ring), 0x003b0000) // without write
	if cleared, err := keyring.Forget(ringName(t), "user"); !errors.Is(err, unix.EACCES) || cleared {
		t.Fatalf("cleared: %t, %v", cleared, err)
	}
}

func TestForgetFailuresWithoutCIFS(t *testing.T) {
	keys, err := keyring.Keys()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.HasType("cifs.spnego") {
			t.Fatalf("this host has a key of the SMB client, %+v: run the tests where nothing mounts SMB shares", k)
		}
	}
	if cleared, err := keyring.ForgetFailures(); err != nil || cleared {
		t.Fatalf("cleared: %t, %v", cleared, err)
	}
}
