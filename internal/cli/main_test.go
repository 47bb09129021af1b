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
	"github.com/azfilesauth/azfilesauth/internal/azurefake/stage"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
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
		"true-main":   func() { os.Exit(Main(os.Args, "2.0.0", nil, nil)) },
	})
}

func appMain() {
	in := func(name string) string { return filepath.Join(os.Getenv("WORK"), name) }
	transport, err := stage.Transport()
	must(err)
	now, err := time.Parse(time.RFC3339, os.Getenv("TEST_NOW"))
	must(err)
	a := App{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "2.0.0",
		Coloured: coloured(os.Getenv("TEST_TERMINAL") != "", os.Getenv),
		Socket:   in("run/watch.sock"),
		Host:     testHost(in("run")),
		Interval: 10 * time.Millisecond,
		Terminal: os.Getenv("TEST_TERMINAL") != "",
		Watch:    playWatch,
		Access:   tickets.Access{Transport: transport, IMDS: transport},
	}
	a.Config, a.Mounts, a.Fstab, a.Passwd = in("config.yaml"), in("mountinfo"), in("fstab"), in("passwd")
	a.Programs = append([]string{in("bin")}, a.Programs...)
	a.Now = func() time.Time { return now }
	if uid, err := strconv.Atoi(os.Getenv("TEST_UID")); err == nil {
		a.EUID = uid
		if os.Geteuid() == 0 { // an ordinary user's files stay readable; what depends on that asks for [root]
			var groups []int
			if gid, err := strconv.Atoi(os.Getenv("TEST_GROUP")); err == nil {
				groups = []int{gid}
			}
			must(syscall.Setgroups(groups))
			must(syscall.Setgid(uid))
			must(syscall.Setuid(uid))
		}
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
		Condition:     func(name string) (bool, error) { return name == "root" && os.Geteuid() == 0, nil },
		Dir:           filepath.Join("testdata", "script"),
		Setup:         surroundings,
		Cmds:          stage.With(map[string]stage.Command{"cli": cmdCLI(t), "json": cmdJSON, "secretless": cmdSecretless, "daemon": cmdDaemon, "until": cmdUntil}),
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// surroundings gives a script an Azure of its own and a machine: configuration, mount table, password file
// and access tokens. Files of the script take precedence.
func surroundings(env *testscript.Env) error {
	fake, err := stage.Open(env, azurefake.Options{
		Hosts:      []string{host1, "other.file.core.windows.net", "third.file.core.windows.net"},
		Identities: []azurefake.ManagedIdentity{{ClientID: clientID, ObjectID: "b0000000-0000-4000-8000-0000000000ff"}},
		Now:        func() time.Time { return start },
	})
	if err != nil {
		return err
	}
	daemon := &played{}
	env.Values["daemon"] = daemon
	env.Defer(daemon.stop)
	stage.Set(env, map[string]string{
		"TEST_NOW": start.Format(time.RFC3339),
		"TZ":       "UTC",
		"TERM":     "xterm",
		"HOST":     host1,
		"CLIENT":   clientID,
	})
	in := func(name string) string { return filepath.Join(env.WorkDir, name) }
	for _, err := range []error{
		stage.Configure(env, "KRB5_CC_NAME: "+in("cc")+"/krb5cc_%{uid}\n"),
		os.Mkdir(in("cc"), 0o711),
		os.WriteFile(in("passwd"), []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"), 0o644),
		stage.Write(env, map[string]string{"token": fake.MintToken(azurefake.MintOptions{}) + "\n", "mountinfo": ""}),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// json FILE checks that stdout is one JSON value, equal to that in the file with $NAME expanded. The keys that
// every answer has, which the schema judges, can be left out there, an empty warnings too.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json FILE")
	}
	got := decode(ts, ts.ReadFile("stdout"))
	want := decode(ts, os.Expand(ts.ReadFile(args[0]), ts.Getenv))
	if told, ok := got.(map[string]any); ok {
		wanted, _ := want.(map[string]any)
		for _, key := range []string{"schema", "command", "time", "warnings"} {
			all, _ := told[key].([]any)
			if _, there := wanted[key]; !there && len(all) == 0 {
				delete(told, key)
			}
		}
	}
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

// failing is a stdout that is full.
type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func TestFullOutput(t *testing.T) {
	var stderr bytes.Buffer
	a := App{Stdout: failing{syscall.ENOSPC}, Stderr: &stderr, Version: "2.0.0", Host: host.Host{Now: time.Now}}
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

// testHost is a machine whose trusted user is the caller.
func testHost(run string) host.Host {
	h := host.Real().Trusting(os.Geteuid())
	h.Run = run
	return h
}
