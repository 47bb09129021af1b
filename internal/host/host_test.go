package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// machine is one whose files are in a new directory and belong to the caller.
func machine(t *testing.T) (h host.Host, in func(string) string) {
	t.Helper()
	root := t.TempDir()
	must(t, os.Chmod(root, 0o755))
	return host.Beneath(root).Trusting(os.Geteuid()), func(path string) string { return filepath.Join(root, path) }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPath(t *testing.T) {
	h, in := machine(t)
	must(t, errors.Join(os.MkdirAll(in("a/b"), 0o755), os.Symlink("/a/b", in("abs")), os.Symlink("../../../..", in("a/up")),
		os.Symlink("b", in("a/rel")), os.Symlink("loop", in("loop")), os.Symlink("none/x", in("dangling"))))
	for path, want := range map[string]string{
		"/abs/x": "/a/b/x", "/a/rel": "/a/b", "/a/up/etc": "/etc", "/../../x": "/x", "/dangling": "/none/x", "/no/such": "/no/such", "/": "/",
	} {
		if got := h.Path(path); got != filepath.Clean(in(want)) {
			t.Errorf("%s: %s", path, got)
		}
	}
	for path, want := range map[string]string{"/abs/rel": "/abs/rel", "/a/rel": "/a/b"} { // beneath what is left nothing is looked at
		if got := h.Canonical(path, func(path string) bool { return path == "/abs" }); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := h.Entry("/abs"); got != in("abs") {
		t.Errorf("the last link was followed: %s", got)
	}
	if got := h.Path("/loop/x"); got != "" {
		t.Errorf("a loop: %q", got)
	}
	if got := host.Real().Path("/proc/self/../self"); got != "/proc/self" {
		t.Errorf("on this machine: %s", got)
	}
}

func TestOpenDir(t *testing.T) {
	h, in := machine(t)
	must(t, errors.Join(os.MkdirAll(in("good/below"), 0o755), os.Mkdir(in("open"), 0o700), os.Chmod(in("open"), 0o777), os.Mkdir(in("open/below"), 0o755),
		os.Mkdir(in("shared"), 0o700), os.Chmod(in("shared"), 0o777|fs.ModeSticky), os.Mkdir(in("run"), 0o755), os.WriteFile(in("file"), nil, 0o600),
		os.Symlink("/good", in("link")), os.Symlink("/good", in("shared/link")), os.Symlink("../..", in("good/up")), os.Symlink("loop", in("loop"))))
	for path, problem := range map[string]string{
		"/good/below": "", "/link/below": "", "/good/up/good": "", "/shared": "", "/": "",
		"/open": "others than root can write", "/open/below": "others than root can write", "/file": "not a directory",
		"/shared/link": "link that others", "/loop": "too many links", "/none": "/none does not exist", "/run/azfilesauth": "does not exist",
	} {
		d, err := h.OpenDir(path)
		if err == nil {
			d.Close()
		}
		if problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
			t.Errorf("%s: %v", path, err)
		}
		if e := (*host.DirError)(nil); err != nil && !errors.As(err, &e) {
			t.Errorf("%s: a %T", path, err)
		}
	}
}

func TestOwnDir(t *testing.T) {
	h, in := machine(t)
	must(t, os.Mkdir(in("run"), 0o755))
	for _, umask := range []int{0, 0o077} {
		old := unix.Umask(umask)
		d, err := h.OwnDir(h.Run + "/notes")
		unix.Umask(old)
		must(t, err)
		d.Close()
		for path, want := range map[string]fs.FileMode{h.Run: 0o711, h.Run + "/notes": 0o700} {
			if info, err := os.Stat(in(path)); err != nil || info.Mode().Perm() != want {
				t.Errorf("umask %o: %s: %v, %v", umask, path, info.Mode(), err)
			}
		}
		must(t, os.RemoveAll(in(h.Run)))
	}
	d, err := h.OwnDir(h.Run + "/notes")
	must(t, err)
	d.Close()
	for _, mode := range []fs.FileMode{0o711, 0o770, 0o777 | fs.ModeSticky} {
		must(t, os.Chmod(in(h.Run+"/notes"), mode))
		if _, err := h.OwnDir(h.Run + "/notes"); err == nil {
			t.Errorf("a directory with mode %v is taken for our own", mode)
		}
	}
}

func TestOpen(t *testing.T) {
	h, in := machine(t)
	must(t, errors.Join(os.WriteFile(in("secret"), []byte("x"), 0o600), os.WriteFile(in("plain"), []byte("xyz"), 0o644),
		os.WriteFile(in("open"), nil, 0o600), os.Chmod(in("open"), 0o664), os.Symlink("/plain", in("link")), unix.Mkfifo(in("fifo"), 0o600)))
	for _, test := range []struct {
		path  string
		rules host.Rules
		says  string
	}{
		{"/secret", host.NoLink | host.Private, ""},
		{"/plain", host.Owned, ""},
		{"/link", host.Owned, ""},
		{"/open", 0, ""},
		{"/plain", host.Private, "0644"},
		{"/open", host.Owned, "0664"},
		{"/link", host.NoLink, "regular"},
		{"/fifo", 0, "regular"},
		{"/", 0, "regular"},
		{"/none", 0, "no such"},
	} {
		_, _, err := h.ReadFile(test.path, 3, test.rules)
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v", test.path, err)
		}
	}
	if _, _, err := h.ReadFile("/plain", 2, 0); !errors.Is(err, host.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	var exposed *host.Exposed
	if _, _, err := h.Trusting(os.Geteuid()+1).ReadFile("/plain", 9, host.Owned); os.Geteuid() != 0 && (!errors.As(err, &exposed) || !exposed.Foreign) {
		t.Errorf("a stranger's file: %v", err)
	}
}

func TestReplace(t *testing.T) {
	h, in := machine(t)
	must(t, errors.Join(os.WriteFile(in("victim"), []byte("old"), 0o600), os.Symlink("victim", in("f"))))
	failed := errors.New("no")
	err := h.Replace("/f", h.Own(0o640), func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return failed })
	if !errors.Is(err, failed) {
		t.Error(err)
	}
	if target, _ := os.Readlink(in("f")); target != "victim" {
		t.Error("the old one is gone")
	}
	old := unix.Umask(0o077)
	must(t, h.Replace("/f", h.Own(0o640), host.Content([]byte("new"))))
	unix.Umask(old)
	info, err := os.Lstat(in("f"))
	must(t, err)
	if content, _ := os.ReadFile(in("f")); string(content) != "new" || info.Mode() != 0o640 {
		t.Errorf("%q, %v", content, info.Mode())
	}
	if content, _ := os.ReadFile(in("victim")); string(content) != "old" {
		t.Error("a link was followed")
	}
	kept := h.Own(0o600)
	kept.New = true
	if err := h.Replace("/f", kept, host.Content(nil)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("one that is there: %v", err)
	}
	must(t, h.Replace("/g", kept, host.Content([]byte("g"))))
	entries, _ := os.ReadDir(in("/"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"f", "g", "victim"}; !slices.Equal(names, want) {
		t.Errorf("left behind: %v", names)
	}
}

// A relative path would be taken as beneath the root of the machine.
func TestRelativePathsAreRefused(t *testing.T) {
	h, in := machine(t)
	must(t, os.Mkdir(in("etc"), 0o755))
	for _, path := range []string{"f", "etc/f", "../f", ""} {
		if err := h.Replace(path, h.Own(0o600), host.Content(nil)); err == nil || !strings.Contains(err.Error(), "absolute path") {
			t.Errorf("%q: %v", path, err)
		}
		if _, err := h.OpenDir(path); err == nil {
			t.Errorf("%q was opened", path)
		}
	}
}

func TestSweep(t *testing.T) {
	h, in := machine(t)
	for _, name := range []string{".f.0123456789abcdef.tmp", ".f.x.0123456789abcdef.tmp", ".f.0123.tmp", "f"} {
		must(t, os.WriteFile(in(name), nil, 0o600))
	}
	d, err := h.OpenDir("/")
	must(t, err)
	defer d.Close()
	d.Sweep("f", func(*unix.Stat_t) bool { return false })
	d.Sweep("f", func(*unix.Stat_t) bool { return true })
	names, err := d.Names()
	slices.Sort(names)
	if want := []string{".f.0123.tmp", ".f.x.0123456789abcdef.tmp", "f"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%v, %v", names, err)
	}
}

// In a directory that somebody has filled, each write would otherwise list all of it.
func TestSweepIsBounded(t *testing.T) {
	h, in := machine(t)
	for i := range 5000 {
		must(t, os.WriteFile(in(fmt.Sprintf(".f.%016x.tmp", i)), nil, 0o600))
	}
	d, err := h.OpenDir("/")
	must(t, err)
	defer d.Close()
	looks := 0
	d.Sweep("f", func(*unix.Stat_t) bool { looks++; return false })
	if looks == 0 || looks > 4096 {
		t.Errorf("%d files were looked at", looks)
	}
}

func TestLock(t *testing.T) {
	h, in := machine(t)
	d, err := h.OpenDir("/")
	must(t, err)
	defer d.Close()
	unlock, err := d.Lock(t.Context(), "lock", host.Sole)
	must(t, err)
	tried, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.Lock(tried, "lock", host.Sole)
	var locked *host.Locked
	if !errors.As(err, &locked) || locked.Holder.PID != os.Getpid() || !errors.Is(err, context.Canceled) {
		t.Errorf("a second one: %v", err)
	}
	other, err := d.Lock(tried, "lock", 7)
	must(t, err)
	other()
	unlock()
	unlock, err = d.Lock(tried, "lock", host.Sole)
	must(t, err)
	unlock()
	must(t, os.Chmod(in("lock"), 0o666))
	unlock, err = d.Lock(tried, "lock", 1)
	must(t, err)
	unlock()
	if info, _ := os.Stat(in("lock")); info.Mode() != 0o600 {
		t.Errorf("others can hold the lock: %v", info.Mode())
	}
	must(t, errors.Join(os.Symlink("lock", in("link")), unix.Mkfifo(in("fifo"), 0o600)))
	for _, name := range []string{"link", "fifo"} {
		if _, err := d.Lock(t.Context(), name, 0); err == nil {
			t.Errorf("%s is a lock", name)
		}
	}
}

// A file system that has no locks must not look like a lock that somebody holds, also not to who never waits.
func TestLockThatCannotBeHadIsNotHeld(t *testing.T) {
	h, in := machine(t)
	d, err := h.AnyDir("/")
	must(t, err)
	defer d.Close()
	const impossible = -1 // fcntl(2): EINVAL
	_, err = d.Lock(host.NoWait(), "lock", impossible)
	if _, held := errors.AsType[*host.Locked](err); held || !errors.Is(err, unix.EINVAL) {
		t.Errorf("%s: %v", in("lock"), err)
	}
}

func TestOpenLog(t *testing.T) {
	h, in := machine(t)
	must(t, errors.Join(os.Symlink("log", in("link")), os.Mkdir(in("dir"), 0o755), unix.Mkfifo(in("fifo"), 0o600)))
	for range 2 {
		f, err := h.OpenLog("/log", 0o640)
		must(t, err)
		_, _ = io.WriteString(f, "x")
		must(t, f.Close())
	}
	if content, _ := os.ReadFile(in("log")); string(content) != "xx" {
		t.Errorf("%q", content)
	}
	for _, name := range []string{"/link", "/dir", "/fifo"} {
		if _, err := h.OpenLog(name, 0o640); err == nil {
			t.Errorf("%s is a log", name)
		}
	}
}

func TestLookupUser(t *testing.T) {
	h, in := machine(t)
	if _, err := h.LookupUser("root"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	must(t, errors.Join(os.Mkdir(in("etc"), 0o755), os.WriteFile(in("etc/passwd"), []byte("+\nroot:x:0:0::/root:/bin/sh\nann:x:1001:77:A:/home/ann:/bin/sh\nbad:x:-1:0:::\n"), 0o644)))
	ann := host.User{Name: "ann", UID: 1001, GID: 77, Home: "/home/ann", Shell: "/bin/sh"}
	for _, want := range []string{"ann", "1001"} {
		if u, err := h.LookupUser(want); u != ann || err != nil {
			t.Errorf("%s: %+v, %v", want, u, err)
		}
	}
	for _, want := range []string{"bob", "bad", "", "77"} {
		if u, err := h.LookupUser(want); !errors.Is(err, host.ErrNoUser) {
			t.Errorf("%s: %+v, %v", want, u, err)
		}
	}
}

func TestRun(t *testing.T) {
	t.Setenv("AZURE_CLIENT_SECRET", "x")
	h := host.Real()
	path, err := h.Program("env")
	must(t, err)
	out, err := h.Exec(t.Context(), path)
	if want := strings.Join(host.Environ(), "\n") + "\n"; err != nil || out != want {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := h.Program("no-such-program"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if out, err := h.Exec(t.Context(), "/bin/sh", "-c", "yes | head -c 200000"); err != nil || len(out) != host.MaxOutput {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

// TestUsersOfADirectory: whoever getent knows is a user; the file comes first, and nobody is asked twice.
func TestUsersOfADirectory(t *testing.T) {
	asked := 0
	h := host.Real()
	h.Passwd, h.Group, h.Programs = filepath.Join(t.TempDir(), "passwd"), filepath.Join(t.TempDir(), "group"), []string{t.TempDir()}
	must(t, errors.Join(
		os.WriteFile(h.Passwd, []byte("ann:x:1001:77:A:/home/ann:/bin/sh\n"), 0o644),
		os.WriteFile(h.Group, []byte("ann:x:77:\nwheel:x:10:ann,far\n"), 0o644),
		os.WriteFile(filepath.Join(h.Programs[0], "getent"), nil, 0o755)))
	h.Exec = func(_ context.Context, _ string, args ...string) (string, error) {
		asked++
		switch strings.Join(args, " ") {
		case "passwd far", "passwd 1507005289", "passwd Far", "passwd far@corp.example", `passwd CORP\far`, "passwd +1507005289", "passwd 7":
			return "far:*:1507005289:1507000513:Far:/home/far:/bin/bash\n", nil
		case "passwd other":
			return "else:*:5:x::/:/bin/sh\n", nil
		case "initgroups far":
			return "far                  1507000513 20\n", nil
		}
		return "", errors.New("exit status 2")
	}
	far := host.User{Name: "far", UID: 1507005289, GID: 1507000513, Home: "/home/far", Shell: "/bin/bash"}
	ann := host.User{Name: "ann", UID: 1001, GID: 77, Home: "/home/ann", Shell: "/bin/sh"}
	for want, user := range map[string]host.User{
		"ann": ann, "1001": ann, "far": far, "1507005289": far, "Far": far, "far@corp.example": far, `CORP\far`: far,
	} {
		if got, err := h.LookupUser(want); err != nil || got != user {
			t.Errorf("%s: %+v, %v", want, got, err)
		}
	}
	if asked != 5 {
		t.Errorf("getent was asked %d times", asked)
	}
	for _, want := range []string{"other", "none", "-h", "", "+1507005289", "7"} {
		if got, err := h.LookupUser(want); !errors.Is(err, host.ErrNoUser) {
			t.Errorf("%q: %+v, %v", want, got, err)
		}
	}
	for user, want := range map[host.User]string{far: "[1507000513 10 20]", {Name: "ann", GID: 77}: "[77 10]"} {
		if got, err := h.Groups(user); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v, want %s", user.Name, got, err, want)
		}
	}
}

// TestLargeGroup: a line of group(5) can be longer than bufio.Scanner takes by itself.
func TestLargeGroup(t *testing.T) {
	h, in := machine(t)
	members := strings.Repeat("a-member,", 20_000) + "ann"
	must(t, errors.Join(os.Mkdir(in("etc"), 0o755), os.WriteFile(in("etc/passwd"), []byte("ann:x:1001:77::/home/ann:/bin/sh\n"), 0o644),
		os.WriteFile(in("etc/group"), []byte("staff:x:500:"+members+"\nann:x:77:\nadm:x:4:\n"), 0o644)))
	if got, err := h.Groups(host.User{Name: "ann", GID: 77}); err != nil || fmt.Sprint(got) != "[77 500]" {
		t.Errorf("groups: %v, %v", got, err)
	}
	if gid, found := h.GroupID("adm"); gid != 4 || !found {
		t.Errorf("the group behind it: %d, %v", gid, found)
	}
	if gid, alone := h.OwnGroup(1001); gid != 77 || !alone {
		t.Errorf("a group of her own: %d, %v", gid, alone)
	}
}

// TestStoppedHolderIsTold stops a process that holds a lock, and lets another one take its id's place.
func TestStoppedHolderIsTold(t *testing.T) {
	sleeper := exec.Command("sleep", "60")
	must(t, sleeper.Start())
	defer func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }()
	pid := sleeper.Process.Pid
	name, err := os.Hostname()
	must(t, err)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	var start uint64
	_, err = fmt.Sscan(strings.Fields(string(stat))[21], &start) // its name has no space
	must(t, err)
	h := host.Holder{PID: pid, Machine: name, Start: start}
	if text := h.String(); strings.Contains(text, "stopped") {
		t.Errorf("it runs: %s", text)
	}
	must(t, sleeper.Process.Signal(syscall.SIGSTOP))
	var info unix.Siginfo
	must(t, unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOWAIT, nil))
	if text := h.String(); !strings.Contains(text, fmt.Sprintf("process %d on %s, which is stopped (kill -CONT %d", pid, name, pid)) {
		t.Errorf("it is stopped: %s", text)
	}
	for _, other := range []host.Holder{{PID: pid, Machine: name, Start: start + 1}, {PID: pid, Machine: name + "x", Start: start}, {PID: pid, Machine: name}} {
		if text := other.String(); strings.Contains(text, "stopped") {
			t.Errorf("another process: %s", text)
		}
	}
}
