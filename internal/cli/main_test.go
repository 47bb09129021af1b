package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

const (
	host1    = "acct.file.core.windows.net"
	clientID = "b0000000-0000-4000-8000-00000000000b"
)

// start is when the scripts begin; TEST_NOW in their environment moves the program's clock on.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestMain makes the test binary play azfilesauth, with the seams that the environment names, and the
// true Main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"azfilesauth": appMain,
		"true-main":   func() { os.Exit(Main(os.Args, "2.0.0", nil)) },
	})
}

func appMain() {
	in := func(name string) string { return filepath.Join(os.Getenv("WORK"), name) }
	ca, err := os.ReadFile(in("ca.pem"))
	must(err)
	now, err := time.Parse(time.RFC3339, os.Getenv("TEST_NOW"))
	must(err)
	transport := azurefake.DialTransport(os.Getenv("TEST_STORAGE"), os.Getenv("TEST_IMDS"), ca)
	a := App{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "2.0.0",
		Coloured:   coloured(os.Getenv("TEST_TERMINAL") != "", os.Getenv),
		EUID:       os.Geteuid(),
		Config:     in("config.yaml"),
		MountTable: in("mountinfo"),
		Passwd:     in("passwd"),
		Socket:     in("run/watch.sock"),
		LastFaults: in("run/last-fault"),
		Now:        func() time.Time { return now },
		Interval:   10 * time.Millisecond,
		Watch:      playWatch,
		Transport:  transport,
		IMDS:       transport,
	}
	if uid, err := strconv.Atoi(os.Getenv("TEST_UID")); err == nil {
		must(syscall.Setgroups(nil))
		must(syscall.Setgid(uid))
		must(syscall.Setuid(uid))
		a.EUID = uid
	}
	status := a.Run(append([]string{"azfilesauth"}, os.Args[1:]...))
	syscall.Exit(status) // without the second that os.Exit waits under the race detector
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		Setup:         surroundings,
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"cli": cmdCLI, "asked": cmdAsked, "order": cmdOrder, "json": cmdJSON, "clean": cmdClean, "secretless": cmdSecretless, "daemon": cmdDaemon, "until": cmdUntil},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// surroundings gives a script an Azure of its own and a machine: configuration, mount table, password file
// and access tokens. Files of the script take precedence.
func surroundings(env *testscript.Env) error {
	fake, err := azurefake.Start(azurefake.Options{
		Hosts:      []string{host1, "other.file.core.windows.net"},
		Identities: []azurefake.ManagedIdentity{{ClientID: clientID, ObjectID: "b0000000-0000-4000-8000-0000000000ff"}},
		Now:        func() time.Time { return start },
	})
	if err != nil {
		return err
	}
	env.Defer(fake.Close)
	env.Values["fake"] = fake
	var end func()
	env.Values["end of the daemon"] = &end
	env.Defer(func() {
		if end != nil {
			end()
		}
	})
	for name, value := range map[string]string{
		"TEST_STORAGE": fake.StorageAddr(),
		"TEST_IMDS":    fake.IMDSAddr(),
		"TEST_NOW":     start.Format(time.RFC3339),
		"TZ":           "UTC",
		"TERM":         "xterm",
		"GORACE":       "atexit_sleep_ms=0",
		"HOST":         host1,
		"CLIENT":       clientID,
	} {
		env.Setenv(name, value)
	}
	in := func(name string) string { return filepath.Join(env.WorkDir, name) }
	config, _ := os.ReadFile(in("config.yaml"))
	config = append([]byte("KRB5_CC_NAME: "+in("cc")+"/krb5cc_%{uid}\n"), config...)
	_ = os.Remove(in("config.yaml"))
	for _, err := range []error{
		os.WriteFile(in("config.yaml"), config, 0o600),
		os.WriteFile(in("ca.pem"), fake.CA(), 0o600),
		os.WriteFile(in("token"), []byte(fake.MintToken(azurefake.MintOptions{})+"\n"), 0o600),
		os.Mkdir(in("cc"), 0o711),
		unlessThere(in("mountinfo"), ""),
		os.WriteFile(in("passwd"), []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"), 0o644),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func unlessThere(name, content string) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	return os.WriteFile(name, []byte(content), 0o600)
}

func fakeOf(ts *testscript.TestScript) *azurefake.Fake { return ts.Value("fake").(*azurefake.Fake) }

// cli STATUS ARG... runs azfilesauth and checks its exit status.
func cmdCLI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: cli STATUS ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec("azfilesauth", args[1:]...); err != nil {
		e, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("azfilesauth did not run: %v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// asked N checks how many requests the fake Azure got so far.
func cmdAsked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: asked N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if requests := fakeOf(ts).Requests(); len(requests) != want {
		ts.Fatalf("%d requests, want %d: %+v", len(requests), want, requests)
	}
}

// order JSON makes the fake Azure misbehave.
func cmdOrder(ts *testscript.TestScript, neg bool, args []string) {
	var o azurefake.Order
	if neg || len(args) != 1 {
		ts.Fatalf("usage: order JSON")
	}
	ts.Check(o.UnmarshalJSON([]byte(args[0])))
	fakeOf(ts).Order(o)
}

// json FILE checks that stdout is one JSON value, equal to that in the file with $NAME expanded.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json FILE")
	}
	got := decode(ts, ts.ReadFile("stdout"))
	want := decode(ts, os.Expand(ts.ReadFile(args[0]), ts.Getenv))
	if !reflect.DeepEqual(got, want) {
		ts.Fatalf("stdout is not %s", args[0])
	}
}

func decode(ts *testscript.TestScript, text string) (v any) {
	d := json.NewDecoder(strings.NewReader(text))
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("more than one value: %s", text)
	}
	return v
}

// clean FILE... checks that no access token is in the files.
func cmdClean(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		// Every token of the fake is a JWT, whose header begins like this.
		if text := ts.ReadFile(name); strings.Contains(text, "eyJ") == !neg {
			ts.Fatalf("%s: token: %v", name, !neg)
		}
	}
}

// failing is a stdout that is full.
type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func TestFullOutput(t *testing.T) {
	var stderr bytes.Buffer
	a := App{Stdout: failing{syscall.ENOSPC}, Stderr: &stderr, Version: "2.0.0"}
	for _, args := range [][]string{{"version"}, {"completion", "bash"}} {
		if status := a.Run(append([]string{"azfilesauth"}, args...)); status != 2 || !strings.Contains(stderr.String(), "AZF-OUTPUT-FAILED") {
			t.Errorf("%v: status %d, %s", args, status, &stderr)
		}
		stderr.Reset()
	}
	if status := a.Run([]string{"azfilesauth", "version", "--json"}); status != 2 {
		t.Errorf("status %d", status)
	}
}
