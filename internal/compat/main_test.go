package compat

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/log"
)

// TestMain makes the test binary play the programs of the scripts: azfilesauthmanager with the seams
// that the environment names, and the true Main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		program:     toolMain,
		"true-main": func() { os.Exit(Main(os.Args, "2.0.0")) },
		"undumpable": func() {
			Main([]string{program, "--version"}, "2.0.0")
			fmt.Println(unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0))
		},
	})
}

func toolMain() {
	in := func(name string) string { return filepath.Join(os.Getenv("WORK"), name) }
	ca, err := os.ReadFile(in("ca.pem"))
	if err != nil {
		panic(err)
	}
	transport := azurefake.DialTransport(os.Getenv("TEST_STORAGE"), os.Getenv("TEST_IMDS"), ca)
	t := Tool{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "2.0.0",
		Terminal:   os.Getenv("TEST_TERMINAL") != "",
		Config:     in("config.yaml"),
		MountTable: in("mountinfo"),
		Transport:  transport,
		IMDS:       transport,
		OpenLog: func(destination, path string) *slog.Logger {
			if destination != log.File {
				return slog.New(slog.DiscardHandler)
			}
			return log.Open(destination, in(filepath.Base(path)), program)
		},
		Wipe: wipe,
	}
	os.Exit(t.Run(os.Args))
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		Setup:         setup,
		Deadline:      time.Now().Add(time.Minute), // rather than hang
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"manager": cmdManager, "asked": cmdAsked, "order": cmdOrder, "federate": cmdFederate},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// setup gives a script an Azure of its own and a machine: configuration, mount table and tokens.
// Files of the script take precedence.
func setup(env *testscript.Env) error {
	fake, err := startFake()
	if err != nil {
		return err
	}
	env.Defer(fake.Close)
	env.Values["fake"] = fake
	token := fake.MintToken(azurefake.MintOptions{})
	for name, value := range map[string]string{
		"TEST_STORAGE": fake.StorageAddr(),
		"TEST_IMDS":    fake.IMDSAddr(),
		"GORACE":       "atexit_sleep_ms=0",
		"URI":          uri,
		"CLIENT":       clientID,
		"RESOURCE":     resourceID,
		"APP":          appID,
		"TENANT":       azurefake.TenantID,
		"TOKEN":        token,
		"KRB5CCNAME":   "FILE:/must/not/count",
		"HTTPS_PROXY":  "http://127.0.0.1:1",
		"TZ":           "UTC",
	} {
		env.Setenv(name, value)
	}
	in := func(name string) string { return filepath.Join(env.WorkDir, name) }
	config, _ := os.ReadFile(in("config.yaml"))
	config = append([]byte("KRB5_CC_NAME: "+in("cc")+"/krb5cc_0\n"), config...)
	for _, err := range []error{
		os.WriteFile(in("config.yaml"), config, 0o600),
		os.WriteFile(in("ca.pem"), fake.CA(), 0o600),
		os.WriteFile(in("token"), []byte(token+"\n"), 0o600),
		os.Mkdir(in("cc"), 0o700),
		unlessThere(in("mountinfo"), ""),
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

// manager STATUS ARG... runs azfilesauthmanager and checks its exit status, and that no token is shown.
func cmdManager(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: manager STATUS ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(program, args[1:]...); err != nil {
		e, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("it did not run: %v", err)
		}
		got = e.ExitCode()
	}
	// Every token of the fake is a JWT, whose header begins like this.
	if strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), "eyJ") {
		ts.Fatalf("a token is in the output")
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// asked N [TARGET] checks how many requests the fake Azure got so far; of those to Entra the ones for
// a token count.
func cmdAsked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: asked N [storage|imds|entra]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	requests := fakeOf(ts).Requests()
	if len(args) > 1 {
		requests = slices.DeleteFunc(requests, func(r azurefake.Request) bool {
			return r.Target != args[1] || r.Target == azurefake.TargetEntra && r.Method != http.MethodPost
		})
	}
	if len(requests) != want {
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

// federate FILE writes a new service account token; the one before it is invalid from then on.
func cmdFederate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: federate FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(fakeOf(ts).FederatedToken(appID)), 0o600))
}
