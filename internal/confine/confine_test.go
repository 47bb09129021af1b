package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

const nobody = 65534

var other = &syscall.Credential{Uid: nobody, Gid: nobody}

// attack is what a program of the user's does; it tells of what it has reached.
const attack = "CONFINE_TEST_ATTACK"

func TestMain(m *testing.M) {
	if how := os.Getenv(handler); how != "" {
		handle(how, os.Args[1])
		return
	}
	switch os.Getenv(attack) {
	case "":
		os.Exit(m.Run())
	case "key":
		attackKey()
	case "tty":
		attackTerminal()
	case "keys":
		attackKeys()
	case "inside":
		inside()
	}
}

// run runs this binary's attack as another user.
func run(t *testing.T, what string) string {
	t.Helper()
	var out, text bytes.Buffer
	p := Program{Path: reachable(t), Env: []string{attack + "=" + what}, User: other}
	if err := p.Run(t.Context(), &out, &text); err != nil {
		t.Fatalf("%v: %s", err, text.String())
	}
	return out.String()
}

// reachable is a copy of this binary where everybody can run it.
func reachable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "attack")
	content, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = errors.Join(os.WriteFile(name, content, 0o755), os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// attackTerminal types into the terminal of whoever started it.
func attackTerminal() {
	typed := false
	for fd := range 10 {
		for _, c := range []byte("id\n") {
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
			typed = typed || errno == 0
		}
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err == nil {
		tty.Close()
	}
	fmt.Printf("typed %v, terminal %v\n", typed, err == nil)
}

// attackKeys looks for keys of the caller's.
func attackKeys() {
	var found []string
	if id, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", "confine-test", 0); err == nil {
		found = append(found, fmt.Sprint("key ", id))
	}
	if id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_REQKEY_AUTH_KEY, false); err == nil {
		found = append(found, fmt.Sprint("authority ", id))
	}
	fmt.Println(strings.Join(found, ","))
}

func TestNoTerminal(t *testing.T) {
	needs.Root(t)
	script := needs.Program(t, "script", "bsdutils") // gives a program a terminal
	// Without the keeper the attack has the terminal that script made.
	exe := reachable(t)
	plain, err := exec.Command(script, "-qec", attack+"=tty "+exe, "/dev/null").Output()
	if err != nil || !strings.Contains(string(plain), "terminal true") {
		t.Fatalf("%v: the attack does not work on its own: %q", err, plain)
	}
	cmd := exec.Command(script, "-qec", exe+" -test.run=^TestInTerminal$", "/dev/null")
	cmd.Env = append(os.Environ(), "CONFINE_TEST_TARGET="+exe)
	got, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(got), "typed false, terminal false") {
		t.Errorf("%v: %q", err, got)
	}
}

// TestInTerminal is the second part of TestNoTerminal.
func TestInTerminal(t *testing.T) {
	exe := os.Getenv("CONFINE_TEST_TARGET")
	if exe == "" {
		return
	}
	var out bytes.Buffer
	if err := (Program{Path: exe, Env: []string{attack + "=tty"}, User: other}).Run(t.Context(), &out, &out); err != nil {
		t.Fatal(err)
	}
	fmt.Print(out.String())
}

func TestNoKeysOfTheCaller(t *testing.T) {
	needs.Root(t)
	runtime.LockOSThread() // with the thread go its keyring and its authority
	if _, err := unix.KeyctlJoinSessionKeyring("confine-test-session"); err != nil {
		t.Skip("needs keyrings: ", err)
	}
	key, err := unix.AddKey("user", "confine-test", []byte("s3cr3t"), unix.KEY_SPEC_SESSION_KEYRING)
	if err == nil {
		err = unix.KeyctlSetperm(key, 0x3f3f3f3f) // whoever has it may do everything
	}
	if err != nil {
		t.Fatal(err)
	}
	plain := exec.Command(reachable(t))
	plain.Env, plain.SysProcAttr = []string{attack + "=keys"}, &syscall.SysProcAttr{Credential: other}
	if got, err := plain.Output(); err != nil || !strings.Contains(string(got), "key ") {
		t.Fatalf("%v: the attack does not work on its own: %q", err, got)
	}
	if got := run(t, "keys"); got != "\n" {
		t.Errorf("found %q", got)
	}
}

// inside tells what the kernel says of the program.
func inside() {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		for _, name := range []string{"Uid:", "Gid:", "Groups:", "NoNewPrivs:", "CapEff:", "CapPrm:"} {
			if strings.HasPrefix(line, name) {
				fmt.Println(strings.Join(strings.Fields(line), " "))
			}
		}
	}
	sid, _ := unix.Getsid(0)
	dir, _ := os.Getwd()
	fmt.Println("leads", sid == os.Getpid(), dir, os.Args[1:], os.Environ())
	for fd := range 64 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			name, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
			kind, _, _ := strings.Cut(name, ":")
			fmt.Println("fd", fd, kind)
		}
	}
	_, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", os.Getppid()))
	fmt.Println("keeper", errors.Is(err, os.ErrPermission))
}

func TestInside(t *testing.T) {
	needs.Root(t)
	secret, err := unix.Open("/etc/shadow", unix.O_RDONLY, 0) // without CLOEXEC, as a shell leaves it
	if err != nil {
		t.Skip("needs /etc/shadow: ", err)
	}
	defer unix.Close(secret)
	got := run(t, "inside")
	for _, want := range []string{
		"Uid: 65534 65534 65534 65534", "Gid: 65534 65534 65534 65534", "Groups:\n", "NoNewPrivs: 1", "CapEff: 0000000000000000",
		"leads true / [] [" + attack + "=inside]", "fd 0 /dev/null", "fd 1 pipe", "fd 2 pipe", "keeper true",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if strings.Contains(got, "shadow") {
		t.Error("it has the caller's file open")
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestNothingIsLeft: a grandchild that has made itself a session of its own ends with the program, with
// the caller's patience, and with the caller.
func TestNothingIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		cancel bool
	}{
		"well":      {"setsid sleep 600 & echo $!", false},
		"cancelled": {"setsid sleep 600 & echo $!; sleep 600", true},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		out := make(told, 1)
		if !c.cancel {
			cancel = func() {}
		}
		done := make(chan error, 1)
		go func() {
			done <- Program{Path: "/bin/sh", Args: []string{"-c", c.script}, Env: []string{"PATH=/usr/bin:/bin"}}.Run(ctx, out, os.Stderr)
		}()
		pid, err := strconv.Atoi(strings.TrimSpace(<-out))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; (err != nil) != c.cancel {
			t.Errorf("%s: %v", name, err)
		}
		if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
			_ = unix.Kill(pid, unix.SIGKILL)
			t.Errorf("%s: process %d lives on: %v", name, pid, err)
		}
	}
}

// told takes what is written, as one text.
type told chan string

func (w told) Write(p []byte) (int, error) { w <- string(p); return len(p), nil }

func TestStatus(t *testing.T) {
	sh := func(script string) (string, error) {
		var out bytes.Buffer
		err := Program{Path: "/bin/sh", Args: []string{"-c", script}}.Run(t.Context(), &out, &out)
		return out.String(), err
	}
	for script, want := range map[string]string{"exit 0": "<nil>", "exit 3": "exit status 3", "kill -9 $$": "signal: killed", "kill -15 $$": "signal: terminated"} {
		if _, err := sh(script); fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", script, err, want)
		}
	}
	var out bytes.Buffer
	err := Program{Path: "/no/such/program"}.Run(t.Context(), &out, &out)
	if err == nil || !strings.Contains(out.String(), "no such file") {
		t.Errorf("%v: %s", err, out.String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := (Program{Path: "/bin/sleep", Args: []string{"600"}}).Run(ctx, &out, &out); err == nil {
		t.Error("a program that was ended has ended well")
	}
}
