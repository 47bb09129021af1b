package identity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// Ids that no user of the machine has.
const (
	annUID, annGID, annGroup = 64123, 64124, 64125
)

// desk is a machine on which ann has a home and az is installed.
type desk struct {
	home, bin string
	options   Options
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	needs.Root(t) // to give ann her home
	d := &desk{home: filepath.Join(t.TempDir(), "ann"), bin: t.TempDir()}
	for _, dir := range []string{filepath.Dir(d.home), d.bin} {
		// The folder that holds a test's temporary dirs is root's alone.
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o711), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(d.home, 0o700), os.Chown(d.home, annUID, annGID)); err != nil {
		t.Fatal(err)
	}
	d.passwd(t, fmt.Sprintf("ann:x:%d:%d::%s:/bin/sh\n", annUID, annGID, d.home))
	return d
}

// passwd makes the users of the machine.
func (d *desk) passwd(t *testing.T, text string) {
	t.Helper()
	h := host.Real()
	h.Passwd, h.Group = filepath.Join(t.TempDir(), "passwd"), filepath.Join(t.TempDir(), "group")
	write(t, h.Passwd, text, 0o644)
	write(t, h.Group, fmt.Sprintf("ann:x:%d:\nothers:x:%d:bob,ann\n", annGID, annGroup), 0o644)
	d.options = Options{azDirs: []string{d.bin}, Host: h}
}

// az installs a program of the test's own.
func (d *desk) az(t *testing.T, script string) {
	t.Helper()
	write(t, filepath.Join(d.bin, "az"), "#!/bin/sh\n"+script, 0o755)
}

// file is what stands in a file of ann's.
func (d *desk) file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.home, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var ann = Identity{Kind: CLI, User: "ann"}

func TestAzureCLI(t *testing.T) {
	fake, err := azurefake.Start(azurefake.Options{Control: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	d := newDesk(t)
	if err := fake.InstallAz(d.bin); err != nil {
		t.Fatal(err)
	}
	refuses(t, ann, d.options, fault.CLIFailed, "the user ann", "Please run 'az login'", "su - ann -c 'az login'")
	if err := fake.LoginAz(d.home); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for range 2 {
		token, err := ann.Token(t.Context(), d.options)
		if err != nil {
			t.Fatal(err)
		}
		claims, _ := ClaimsOf(token.Value)
		if claims.ObjectID != azurefake.UserObjectID || !claims.Expiry.Equal(token.ExpiresOn) || token.Hint != "" {
			t.Errorf("%+v, ends %v, hint %q", claims, token.ExpiresOn, token.Hint)
		}
		seen[token.Value.RevealString()] = true
	}
	if r := fake.Requests(); len(seen) != 2 || len(r) != 2 || r[0].Target != azurefake.TargetAz || r[0].Query.Get("resource") != azurefake.StorageAudience {
		t.Errorf("%d tokens, %+v", len(seen), r)
	}
	other := ann
	other.Resource = "https://storage.nowhere.test"
	refuses(t, other, d.options, fault.CLIFailed, "AADSTS500011", "https://storage.nowhere.test")
	fake.Order(azurefake.Order{Target: azurefake.TargetAz, Code: "AADSTS700082", Message: "The refresh token has expired due to inactivity."})
	refuses(t, ann, d.options, fault.CLIFailed, "AADSTS700082: The refresh token has expired", "exit status 1")
	for _, garbage := range []string{azurefake.GarbageJSON, azurefake.GarbageEmpty, azurefake.GarbageTruncatedJSON} {
		fake.ClearOrders()
		fake.Order(azurefake.Order{Target: azurefake.TargetAz, Garbage: garbage})
		noSecret(t, refuses(t, ann, d.options, fault.TokenInvalid, "az"), "eyJ")
	}
	fake.ClearOrders()
	fake.Order(azurefake.Order{Target: azurefake.TargetAz, Lifetime: -time.Hour})
	noSecret(t, refuses(t, ann, d.options, fault.TokenExpired, "from az"), "eyJ")
}

// TestWhoRunsAz looks at the process that is az.
func TestWhoRunsAz(t *testing.T) {
	t.Setenv("AZURE_CONFIG_DIR", "/nowhere")
	t.Setenv("HTTPS_PROXY", "http://me:password@proxy.test")
	t.Setenv("HOME", "/root")
	d := newDesk(t)
	d.az(t, `umask 077
{ id -u; id -g; id -G; pwd; echo "$*"; cat; } > ~/seen
env | sort > ~/env
echo '{"accessToken": "opaque", "expires_on": 4102444800, "more": [1]}'
echo 'WARNING: something' >&2
`)
	token, err := ann.Token(t.Context(), d.options)
	if err != nil || token.Value.RevealString() != "opaque" || !token.ExpiresOn.Equal(time.Unix(4102444800, 0)) {
		t.Fatalf("%v, ends %v", err, token.ExpiresOn)
	}
	want := fmt.Sprintf("%d\n%d\n%d %d\n/\naccount get-access-token --resource https://storage.azure.com --output json\n", annUID, annGID, annGID, annGroup)
	if got := d.file(t, "seen"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	env := strings.Fields(d.file(t, "env"))
	for _, kv := range []string{"HOME=" + d.home, "USER=ann", "LOGNAME=ann", "PATH=" + azPath, "LANG=C.UTF-8"} {
		if !slices.Contains(env, kv) {
			t.Errorf("%s is not in %q", kv, env)
		}
	}
	for _, kv := range env {
		if strings.HasPrefix(kv, "AZURE_CONFIG") || strings.Contains(kv, "PROXY") {
			t.Errorf("%s is inherited", kv)
		}
	}
	info, err := os.Stat(filepath.Join(d.home, "seen"))
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != annUID {
		t.Errorf("%v: %+v", err, info.Sys())
	}
}

// TestNobodyElseRunsAz: where the user is not known az is not run at all.
func TestNobodyElseRunsAz(t *testing.T) {
	d := newDesk(t)
	ran := filepath.Join(d.home, "ran")
	d.az(t, "touch "+ran)
	refuses(t, Identity{Kind: CLI, User: "bob"}, d.options, fault.CLIFailed, "the user bob", "getent passwd")
	refuses(t, Identity{Kind: CLI, User: strconv.Itoa(annUID)}, d.options, fault.CLIFailed)
	for _, bad := range []string{"ann:x::1::/:/bin/sh", "ann:x:1:x::/:/bin/sh", "ann:x:-1:1::/:/bin/sh", "ann:x:1"} {
		d.passwd(t, bad+"\n")
		refuses(t, ann, d.options, fault.CLIFailed)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("az has run")
	}
	// A person without a login, of the machine's user database.
	refuses(t, Identity{Kind: CLI, User: "no-such-user-here"}, Options{azDirs: d.options.azDirs}, fault.CLIFailed, "getent passwd", "fix: name a user that getent passwd lists; then: su - no-such-user-here -c ")
}

// TestAzOfADirectorysUser: az runs as a user whom only a name service knows, here a real one of the C library.
func TestAzOfADirectorysUser(t *testing.T) {
	d := newDesk(t)
	d.az(t, `echo "{\"accessToken\": \"$(id -u):$(id -g):$HOME:$USER\"}"`)
	needs.DirectoryUser(t, "ann.far", annUID, d.home)
	d.options.Host = host.Real()
	token, err := Identity{Kind: CLI, User: "ann.far"}.Token(t.Context(), d.options)
	if want := fmt.Sprintf("%d:%d:%s:ann.far", annUID, annUID, d.home); err != nil || token.Value.RevealString() != want {
		t.Errorf("%v, %s, want %s", err, token.Value.RevealString(), want)
	}
}

func TestAzOfThisUser(t *testing.T) {
	d := newDesk(t)
	d.az(t, `echo "{\"accessToken\": \"$(id -u):$HOME:$USER\"}"`)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	token, err := Identity{Kind: CLI}.Token(t.Context(), Options{azDirs: []string{d.bin}})
	if want := me.Uid + ":" + me.HomeDir + ":" + me.Username; err != nil || token.Value.RevealString() != want {
		t.Errorf("%v, %s, want %s", err, token.Value.RevealString(), want)
	}
	if !strings.Contains(token.Hint, "user=") {
		t.Errorf("hint %q", token.Hint)
	}
}

func TestBadAz(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   fault.Named
		part   string
	}{
		"prints too much":      {"head -c 300000 /dev/zero; sleep 600", fault.CLIFailed, "prints too much"},
		"complains too much":   {"head -c 300000 /dev/zero >&2; sleep 600", fault.CLIFailed, "prints too much"},
		"fails in silence":     {"exit 3", fault.CLIFailed, "exit status 3"},
		"ends by a signal":     {"kill -9 $$", fault.CLIFailed, "signal: killed"},
		"shows a token":        {"echo 'ERROR: got {\"accessToken\":\"eyJhbGciOi.s3cr3t\"}' >&2; exit 1", fault.CLIFailed, "ERROR: got REDACTED"},
		"shows another secret": {"echo 'ERROR: refresh token 0.AXoAabcdefghijklmnopqrstuvwxyz0123456789-s3cr3t' >&2; exit 1", fault.CLIFailed, "token REDACTED"},
		"prints and fails":     {"echo '{\"accessToken\":\"eyJs3cr3t\"}'; exit 1", fault.CLIFailed, "exit status 1"},
		"prints a list":        {"echo '[\"eyJs3cr3t\"]'", fault.TokenInvalid, "no JSON"},
		"prints two":           {"echo '{\"accessToken\":\"eyJs3cr3t\"}{}'", fault.TokenInvalid, "no JSON"},
		"empty token":          {"echo '{\"accessToken\":\"\"}'", fault.TokenInvalid, "empty"},
		"evil token":           {`printf %s '{"accessToken":"eyJs3cr3t\r\nx"}'`, fault.TokenInvalid, "one word"},
		"controls terminals":   {"printf 'a\\033[2Jb\\nc' >&2; exit 1", fault.CLIFailed, "exit status 1"},
	} {
		d := newDesk(t)
		d.az(t, c.script)
		noSecret(t, refuses(t, ann, d.options, c.want, c.part), "s3cr3t")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	d := newDesk(t)
	refuses(t, ann, d.options, fault.CLIFailed, "no az in "+d.bin, "fix: install the Azure CLI (package azure-cli); then: su - ann -c 'az login'")
	write(t, filepath.Join(d.bin, "az"), "not executable", 0o644)
	refuses(t, ann, d.options, fault.CLIFailed, "no az in "+d.bin, "fix: install the Azure CLI (package azure-cli); then: su - ann -c 'az login'")
	write(t, filepath.Join(d.bin, "az"), "no program", 0o755)
	refuses(t, ann, d.options, fault.CLIFailed, "exec format error")
	d.az(t, "")
	if err := os.Chmod(d.bin, 0o700); err != nil {
		t.Fatal(err)
	}
	refuses(t, ann, d.options, fault.CLIFailed, "permission denied") // for ann, whereas root could
}

// TestAzIsEnded has an az that hangs together with a process of its own.
func TestAzIsEnded(t *testing.T) {
	d := newDesk(t)
	started := filepath.Join(d.home, "started")
	if err := errors.Join(syscall.Mkfifo(started, 0o600), os.Chown(started, annUID, annGID)); err != nil {
		t.Fatal(err)
	}
	d.az(t, "sleep 600 &\necho $! > ~/started\nsleep 600\n")
	for _, c := range []struct {
		end  func(context.Context) (context.Context, context.CancelFunc)
		want fault.Named
	}{
		{context.WithCancel, fault.Interrupted},
		{func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 2*time.Second)
		}, fault.Timeout},
	} {
		ctx, cancel := c.end(t.Context())
		child := make(chan int, 1)
		go func() {
			b, _ := os.ReadFile(started)
			pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
			child <- pid
			if c.want == fault.Named(fault.Interrupted) {
				cancel()
			}
		}()
		token, err := ann.Token(ctx, d.options)
		failed(t, token, err, c.want)
		cancel()
		pid := <-child
		gone(t, pid)
	}
}

// gone waits until a process has ended (pidfd_open(2)).
func gone(t *testing.T, pid int) {
	t.Helper()
	if pid <= 0 {
		t.Fatal("az has not told its child's number")
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000); n != 1 {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		t.Errorf("process %d of az lives on: %v", pid, err)
	}
}

// TestAzLeavesAProcess: one that holds az's output does not hold us, and ends with az.
func TestAzLeavesAProcess(t *testing.T) {
	d := newDesk(t)
	d.az(t, "sleep 600 &\necho $! > ~/pid\necho '{\"accessToken\": \"opaque\"}'\n")
	start := time.Now()
	if _, err := ann.Token(t.Context(), d.options); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(d.file(t, "pid")))
	if err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
}

// TestNoProgramsMeansNone: the kernel's upcall says who refreshes, and runs nothing.
func TestNoProgramsMeansNone(t *testing.T) {
	d := newDesk(t)
	d.az(t, "touch ~/ran\n")
	d.options.NoPrograms = true
	refuses(t, ann, d.options, fault.CLINotHere, "the user ann", "azfilesrefresh")
	if _, err := os.Stat(filepath.Join(d.home, "ran")); err == nil {
		t.Error("az has run")
	}
}

func TestPlacesOfAz(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".local/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, ".local/bin/az"), "#!/bin/sh\n", 0o755)
	_, atPath := findAz(filepath.SplitList(azPath), "")
	if got, err := findAz(nil, home); atPath != nil && got != filepath.Join(home, ".local/bin/az") {
		t.Errorf("%s, %v", got, err)
	}
	all := strings.Join(azDirs("/home/ann"), ":")
	for _, want := range []string{"/home/ann/bin", "/home/ann/.local/bin", "/opt/az/bin", "/snap/bin"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is not in %s", want, all)
		}
	}
}
