package keyring_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// ringRole is another process that uses a ring: kind, "get", "set" or "remove", name, value. It prints
// the value, "ok" or the error number.
func ringRole(args []string) error {
	kind, op, name := args[0], args[1], args[2]
	r, err := keyring.Rings()[kind]()
	if err != nil {
		return printErrno(err)
	}
	answer := "ok"
	switch op {
	case "get":
		var v secret.Value
		v, err = r.Get(name)
		answer = v.RevealString()
	case "set":
		err = r.Set(name, secret.FromString(args[3]), time.Hour)
	case "remove":
		err = r.Remove(name)
	}
	if err != nil {
		return printErrno(err)
	}
	fmt.Println(answer)
	return nil
}

func printErrno(err error) error {
	fmt.Println(errnoName(err))
	return nil
}

func errnoName(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := errors.AsType[unix.Errno](err); ok {
		return unix.ErrnoName(e)
	}
	return err.Error()
}

// become turns this process into the role args[0], so that all its threads have what the calling
// thread has.
func become(args []string) error {
	if err := os.Setenv(roleEnv, args[0]); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", append([]string{"self"}, args[1:]...), os.Environ())
}

// sessionRole joins a session keyring of its own, as a login or a systemd unit has, and goes on in the
// role that its arguments name.
func sessionRole(args []string) error {
	runtime.LockOSThread()
	if _, err := unix.KeyctlJoinSessionKeyring(fmt.Sprintf("azftest-%d", os.Getpid())); err != nil {
		return err
	}
	return become(args)
}

func TestRingOutlivesProcessAndSession(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		kind := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
		if got := act(t, actor("session", "ring", kind, "set", name, "from a session")); got != "ok" {
			t.Fatal(got)
		}
		wantValue(t, r, name, "from a session")
		set(t, r, name, "from outside", time.Hour)
		for other := range keyring.Rings() {
			if got := act(t, actor("session", "ring", other, "get", name)); got != "from outside" {
				t.Errorf("%s in another session: %s", other, got)
			}
		}
		if got := act(t, actor("session", "ring", kind, "remove", name)); got != "ok" {
			t.Fatal(got)
		}
		wantNone(t, r, name)
	})
}

// filterRole forbids the key system calls, as a container's seccomp filter does, with the error number
// args[0], and goes on in the role that follows.
func filterRole(args []string) error {
	errno, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	const load, jumpEqual, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load}, // the system call's number comes first in struct seccomp_data
		{Code: jumpEqual, K: unix.SYS_ADD_KEY, Jt: 3},
		{Code: jumpEqual, K: unix.SYS_REQUEST_KEY, Jt: 2},
		{Code: jumpEqual, K: unix.SYS_KEYCTL, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return err
	}
	return become(args[1:])
}

func TestRingWithoutTheKernelsHelpFailsPlainly(t *testing.T) {
	for kind := range keyring.Rings() {
		for _, errno := range []unix.Errno{unix.ENOSYS, unix.EPERM} {
			got := act(t, actor("filter", strconv.Itoa(int(errno)), "ring", kind, "get", entryName(t)))
			if got != unix.ErrnoName(errno) {
				t.Errorf("%s: %s, want %v", kind, got, unix.ErrnoName(errno))
			}
		}
	}
}

// In a user namespace root is a common user to the quota (/proc/sys/kernel/keys/maxbytes, 20000).
func TestRingReportsAFullQuota(t *testing.T) {
	limit, err := os.ReadFile("/proc/sys/kernel/keys/maxbytes")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(limit))); err != nil || n > 30000 {
		t.Fatalf("this kernel allows a user %d bytes (%v): set kernel.keys.maxbytes to 20000", n, err)
	}
	base := 100000 + os.Getpid()
	for kind := range keyring.Rings() {
		for size, want := range map[int]string{100: "ok", 30000: "EDQUOT"} {
			cmd := actor("ring", kind, "set", entryName(t), strings.Repeat("x", size))
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  unix.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: base, Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: base, Size: 1}},
				Credential:  &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true},
			}
			if got := act(t, cmd); got != want {
				t.Errorf("%s: %d bytes: %s, want %s", kind, size, got, want)
			}
		}
	}
}

func TestOpenRingNeedsRoot(t *testing.T) {
	cmd := actor("ring", "chosen", "get", entryName(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if got := act(t, cmd); got != "EPERM" {
		t.Fatal(got)
	}
}

// possessorRole is a process of another user that possesses root's keyring, as one started by sudo or
// su from root's session may: ring serial, entry serial, plain serial, name. It tries to read the entry
// and the plain key, and plants a key under the entry's name.
func possessorRole(args []string) error {
	runtime.LockOSThread()
	var id [3]int
	for i := range id {
		n, err := strconv.Atoi(args[i])
		if err != nil {
			return err
		}
		id[i] = n
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_LINK, id[0], unix.KEY_SPEC_SESSION_KEYRING, 0, 0); err != nil {
		return err
	}
	if err := unix.Setresuid(65534, 65534, 65534); err != nil {
		return err
	}
	_, entry := unix.KeyctlBuffer(unix.KEYCTL_READ, id[1], make([]byte, 64), 0)
	_, plain := unix.KeyctlBuffer(unix.KEYCTL_READ, id[2], make([]byte, 64), 0)
	own, err := unix.AddKey("user", keyring.Prefix+args[3], []byte("planted"), unix.KEY_SPEC_THREAD_KEYRING)
	if err != nil {
		return err
	}
	_, planted := unix.KeyctlInt(unix.KEYCTL_LINK, own, id[0], 0, 0)
	fmt.Println(errnoName(entry), errnoName(plain), errnoName(planted))
	return nil
}

func TestRingIsSafeFromAnotherUserWhoPossessesIt(t *testing.T) {
	eachRing(t, func(t *testing.T, r keyring.Ring, name string) {
		user, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := unix.AddKey("user", "azftest-plain:"+name, []byte("plain"), user)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := unix.KeyctlInt(unix.KEYCTL_UNLINK, plain, user, 0, 0); err != nil {
				t.Error(err)
			}
		})
		set(t, r, name, "value", time.Hour)
		entry := entrySerial(t, name)
		// The plain key shows that the other user does possess what is in root's keyring.
		got := act(t, actor("session", "possessor", fmt.Sprint(user), fmt.Sprint(entry), fmt.Sprint(plain), name))
		if got != "EACCES ok ok" {
			t.Fatalf("reading the entry, reading another key, planting: %s", got)
		}
		wantNone(t, r, name)
		set(t, r, name, "new", time.Hour)
		wantValue(t, r, name, "new")
	})
}
