package watcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// patience is how long a test waits for what has to come.
const patience = time.Minute

// TestMain makes the test binary play azfilesrefresh, as it is and with an Azure that the environment
// names, and a machine on which much is mounted.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"true-main":      func() { os.Exit(Main(os.Args, "2.0.0", nil)) },
		"azfilesrefresh": func() { os.Exit(refreshMain()) },
		"storm":          func() { os.Exit(stormMain()) },
	})
}

// refreshMain is Main with another Azure, log file and name of its process.
func refreshMain() int {
	check(os.WriteFile(os.Getenv("PIDFILE"), []byte(strconv.Itoa(os.Getpid())), 0o600))
	a := must(parseArgs(os.Args[1:]))
	l := log.Dropin(own(), os.Getenv("LOGFILE"), os.Stderr, log.Settings{}, false)
	defer l.Flush(patience)
	road := must(transport.NewRoute(transport.Options{
		Bundles: []string{os.Getenv("TEST_CA")}, Dial: azurefake.Dial(os.Getenv("TEST_STORAGE"), os.Getenv("TEST_IMDS")),
	}))
	h := own()
	h.Config, h.Mounts = a.Config, a.Mountinfo
	return Run(context.Background(), Options{
		Host: h, Name: dropin, Version: "2.0.0", Socket: a.Socket,
		Log: l.Logger, Reopen: l.Reopen, Access: tickets.Access{Transport: road, IMDS: road},
	})
}

func TestScript(t *testing.T) { runScripts(t, "script") }

// Daemons in mount namespaces of their own.
func TestNamespaces(t *testing.T) {
	needs.Capability(t, "CAP_SYS_ADMIN")
	needs.Program(t, "unshare", "util-linux")
	runScripts(t, "namespaces")
}

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:      filepath.Join("testdata", dir),
		Setup:    setup,
		Deadline: time.Now().Add(2 * patience),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"logged": cmdLogged, "signal": cmdSignal, "asked": cmdAsked, "refreshed": cmdRefreshed,
			"scraped": cmdScraped, "chosen": cmdChosen, "proxied": cmdProxied, "kept": cmdKept,
		},
	})
}

// setup gives a script an Azure of its own and a machine.
func setup(env *testscript.Env) error {
	fake := must(azurefake.Start(azurefake.Options{Hosts: []string{account(1), account(2)}}))
	env.Defer(fake.Close)
	env.Values["fake"], env.Values["proxies"] = fake, map[string]*azurefake.Proxy{}
	in := func(name string) string { return filepath.Join(env.WorkDir, name) }
	for name, value := range map[string]string{
		"TEST_STORAGE": fake.StorageAddr(), "TEST_IMDS": fake.IMDSAddr(), "TEST_CA": in("ca.pem"),
		"PIDFILE": in("pid"), "LOGFILE": in("log"), "GORACE": "atexit_sleep_ms=0",
		"FLAGS": "", "HTTPS_PROXY": "http://127.0.0.1:1",
	} {
		env.Setenv(name, value)
	}
	check(os.Mkdir(in("cc"), 0o755))
	check(os.WriteFile(in("ca.pem"), fake.CA(), 0o600))
	for name, folder := range map[string]string{"config.yaml": "cc", "nowhere.yaml": "missing"} {
		check(os.WriteFile(in(name), []byte("KRB5_CC_NAME: "+in(folder)+"/krb5cc_%{uid}\nUSER_UID: 0\ndefault_identity: system\n"), 0o600))
	}
	free := must(net.Listen("tcp", "127.0.0.1:0"))
	env.Setenv("ADDRESS", free.Addr().String())
	check(free.Close())
	for name, n := range map[string]int{"none": 0, "one": 1, "two": 2, "mountinfo": 0} {
		check(os.WriteFile(in(name), []byte(table(n)), 0o600))
	}
	return nil
}

// table is a mount table with n shares.
func table(n int) string {
	var b strings.Builder
	fmt.Fprintln(&b, "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw")
	for i := range n {
		fmt.Fprintf(&b, "%d 20 0:%d / /mnt/azftest-never-touched/%d rw,relatime shared:2 - cifs %s rw,vers=3.1.1,sec=krb5,cruid=0,username=root,addr=127.0.0.1\n", 30+i, 30+i, i+1, share(i+1))
	}
	return b.String()
}

// cmdLogged waits until a file has a line that matches.
func cmdLogged(ts *testscript.TestScript, neg bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(ts.MkAbs(args[0]))
		switch found := pattern.Match(text); {
		case neg && found:
			ts.Fatalf("%s has a line that matches %s:\n%s", args[0], args[1], text)
		case neg || found:
			return
		case time.Now().After(end):
			ts.Fatalf("no line of %s matches %s:\n%s", args[0], args[1], text)
		}
	}
}

// cmdSignal sends a signal to the process whose id is in a file.
func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	pid := must(strconv.Atoi(ts.ReadFile(args[1])))
	check(unix.Kill(pid, unix.SignalNum("SIG"+args[0])))
}

// cmdAsked counts the tickets that an account was asked for.
func cmdAsked(ts *testscript.TestScript, _ bool, args []string) {
	n := 0
	for _, r := range ts.Value("fake").(*azurefake.Fake).Requests() {
		if r.Target == azurefake.TargetStorage && r.Host == args[0] {
			n++
		}
	}
	if fmt.Sprint(n) != args[1] {
		ts.Fatalf("%s was asked %d times", args[0], n)
	}
}

// cmdScraped waits until an HTTP server has a line of metrics that matches; it has nothing else.
func cmdScraped(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[1])
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		status, text := httpGet("http://" + args[0] + "/metrics")
		if status == http.StatusOK && pattern.MatchString(text) {
			break
		}
		if time.Now().After(end) {
			ts.Fatalf("no line matches %s: %d %s", args[1], status, text)
		}
	}
	for _, path := range []string{"/", "/v1/status", "/metrics/x"} {
		if status, text := httpGet("http://" + args[0] + path); status != http.StatusNotFound {
			ts.Fatalf("%s: %d %s", path, status, text)
		}
	}
	resp, err := http.Post("http://"+args[0]+"/metrics", "text/plain", strings.NewReader("x"))
	ts.Check(err)
	ts.Check(resp.Body.Close())
	if resp.StatusCode != http.StatusMethodNotAllowed {
		ts.Fatalf("POST: %s", resp.Status)
	}
}

// httpGet gives the status 0 where nobody listens.
func httpGet(url string) (status int, text string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// cmdChosen makes the cache of the credential uid 0: with a ticket for account 1 that has expired, and a record that
// names a proxy.
func cmdChosen(ts *testscript.TestScript, _ bool, args []string) {
	p := must(azurefake.StartProxy(ts.Value("fake").(*azurefake.Fake).StorageAddr(), 0))
	ts.Defer(p.Close)
	ts.Value("proxies").(map[string]*azurefake.Proxy)["chosen"] = p
	client := ccache.Principal{NameType: 1, Realm: azurefake.DefaultRealm, Components: []string{"AzureFileClient"}}
	server := ccache.Principal{NameType: 2, Realm: azurefake.DefaultRealm, Components: []string{"cifs", account(1)}}
	var c ccache.Cache
	c.Put(ccache.Credential{
		Client: client, Server: server, Key: ccache.Key{Etype: 18, Value: secret.FromString(strings.Repeat("k", 32))},
		AuthTime: time.Now().Add(-2 * time.Hour), EndTime: time.Now().Add(-time.Hour), Ticket: secret.FromString("expired"),
	}, ccache.Record{Identity: "system", ObtainedAt: time.Now().Add(-2 * time.Hour), Refreshable: true, Proxy: "http://" + p.Addr})
	check(os.WriteFile(ts.MkAbs(args[0]), c.Marshal(), 0o600))
}

// cmdKept waits until a cache has a ticket for each of some hosts.
func cmdKept(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		missing := args[1:]
		text, _ := os.ReadFile(ts.MkAbs(args[0]))
		if c, err := ccache.Parse(text); err == nil {
			missing = slices.DeleteFunc(slices.Clone(missing), func(host string) bool { _, ok := c.Ticket("cifs/" + host); return ok })
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no ticket for %q", missing)
		}
	}
}

// cmdProxied counts the connections that the chosen proxy was asked for.
func cmdProxied(ts *testscript.TestScript, _ bool, args []string) {
	var hosts []string
	for _, r := range ts.Value("proxies").(map[string]*azurefake.Proxy)["chosen"].Requests() {
		hosts = append(hosts, r.Host)
	}
	if got := strings.Join(hosts, " "); got != strings.Join(args, " ") {
		ts.Fatalf("the proxy was asked for %q", got)
	}
}

// cmdRefreshed asks a daemon by its socket for new tickets, and for its status.
func cmdRefreshed(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := control.NewClient(ts.MkAbs(args[0]))
	outcomes, err := client.Refresh(ctx, "")
	for errors.Is(err, control.ErrNotRunning) && ctx.Err() == nil { // a second one takes the socket in a while
		time.Sleep(time.Millisecond)
		outcomes, err = client.Refresh(ctx, "")
	}
	ts.Check(err)
	status, err := client.Status(ctx)
	ts.Check(err)
	if fmt.Sprint(len(outcomes)) != args[1] || len(status.Endpoints) != len(outcomes) || !status.Active {
		ts.Fatalf("%+v, %+v", outcomes, status)
	}
	for i, e := range status.Endpoints {
		if outcomes[i].Fault != nil || e.State != control.Fresh || e.Identity != "system" || e.NextRefresh.IsZero() || e.LastSuccess.IsZero() {
			ts.Fatalf("%+v, %+v", outcomes[i], e)
		}
	}
}

// TestNoMountPointIsEverTouched watches the system calls of a daemon through a refresh: none of those
// that take a path names a mount point.
func TestNoMountPointIsEverTouched(t *testing.T) {
	strace := needs.Program(t, "strace", "strace")
	fake := must(azurefake.Start(azurefake.Options{Hosts: []string{account(1)}}))
	t.Cleanup(fake.Close)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	check(os.WriteFile(in("ca.pem"), fake.CA(), 0o600))
	check(os.WriteFile(in("mountinfo"), []byte(table(1)), 0o600))
	check(os.WriteFile(in("config.yaml"), []byte("KRB5_CC_NAME: "+in("krb5cc")+"\nUSER_UID: 0\ndefault_identity: system\n"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, strace, "-f", "-qq", "-e", "trace=%file", "-s", "500", "-o", in("trace"),
		must(exec.LookPath("azfilesrefresh")), "--mountinfo", in("mountinfo"), "--socket", in("sock"), "--config", in("config.yaml"))
	c.Env = append(os.Environ(), "PIDFILE="+in("pid"), "LOGFILE="+in("log"), "TEST_CA="+in("ca.pem"), "TEST_STORAGE="+fake.StorageAddr(), "TEST_IMDS="+fake.IMDSAddr())
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	check(c.Start())
	for !bytes.Contains(readIfThere(in("log")), []byte("Ticket for "+account(1)+" refreshed ")) {
		if ctx.Err() != nil {
			t.Fatalf("nothing was refreshed: %s", readIfThere(in("log")))
		}
		time.Sleep(10 * time.Millisecond)
	}
	check(unix.Kill(must(strconv.Atoi(string(must(os.ReadFile(in("pid")))))), unix.SIGTERM))
	if err := c.Wait(); err != nil {
		t.Errorf("the daemon: %v", err)
	}
	trace := must(os.ReadFile(in("trace")))
	if !bytes.Contains(trace, []byte(in("mountinfo"))) {
		t.Fatalf("the trace does not even show the mount table: %.2000s", trace)
	}
	for line := range strings.Lines(string(trace)) {
		if strings.Contains(line, "azftest-never-touched") {
			t.Errorf("a mount point is touched: %s", line)
		}
	}
}

func readIfThere(name string) []byte {
	text, _ := os.ReadFile(name)
	return text
}

// TestStormOfMounts plays 1000 mounts and unmounts in 4 seconds, in a mount namespace of its own.
func TestStormOfMounts(t *testing.T) {
	needs.Capability(t, "CAP_SYS_ADMIN")
	c := exec.Command(must(exec.LookPath("storm")))
	c.Dir = t.TempDir()
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// stormMain is a daemon and what happens to its mount namespace. It fails unless the daemon looked at
// once, not for every change, and after the last one.
func stormMain() int {
	dir := must(os.Getwd())
	check(os.Mkdir("mnt", 0o755))
	check(os.WriteFile("config.yaml", []byte("KRB5_CC_NAME: "+dir+"/krb5cc\nUSER_UID: 0\n"), 0o600))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	h := own()
	h.Config = dir + "/config.yaml"
	o := Options{Host: h, Name: "storm", Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	w := must(newWatcher(ctx, o, must(realMachine(ctx, h, nil))))
	done := make(chan struct{})
	go func() { w.run(ctx); close(done) }()
	looked := func() time.Time { return w.Status().NextLook.Add(-longestSleep) }
	for w.Status().NextLook.IsZero() { // until it has looked
	}
	begun := time.Now()
	check(unix.Mount("tmpfs", "mnt", "tmpfs", 0, ""))
	for !looked().After(begun) {
		if time.Since(begun) > patience {
			return 1
		}
	}
	took := time.Since(begun)
	looks, last, ended := 0, looked(), time.Time{}
	for i := range 1000 {
		check(unix.Mount("tmpfs", "mnt", "tmpfs", 0, ""))
		ended = time.Now() // before the last change: the look at it can come before the next line, and there is no other then
		check(unix.Unmount("mnt", 0))
		if now := looked(); now != last {
			looks, last = looks+1, now
		}
		if ahead := time.Duration(i)*4*time.Millisecond - time.Since(begun); ahead > 0 {
			time.Sleep(ahead)
		}
	}
	lasted := time.Since(begun)
	for !looked().After(ended) {
		if time.Since(ended) > patience {
			fmt.Println("it did not look after the last change")
			return 1
		}
	}
	stop()
	<-done
	fmt.Printf("the first look after %s, %d looks in %s\n", took, looks, lasted)
	if most := int(lasted/merge) + 2; looks > most || looks == 0 {
		return 1
	}
	return 0
}
