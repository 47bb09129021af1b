package compat

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/azurefake/stage"
	"github.com/azfilesauth/azfilesauth/internal/config"
	thishost "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// TestMain makes the test binary play the programs of the scripts: azfilesauthmanager with the seams
// that the environment names, and the true Main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		program:     toolMain,
		"true-main": func() { os.Exit(Main(os.Args, "2.0.0", nil)) },
		"undumpable": func() {
			Main([]string{program, "--version"}, "2.0.0", nil)
			fmt.Println(unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0))
		},
	})
}

func toolMain() {
	in := func(name string) string { return filepath.Join(os.Getenv("WORK"), name) }
	transport, err := stage.Transport()
	if err != nil {
		panic(err)
	}
	t := Tool{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "2.0.0",
		Terminal: os.Getenv("TEST_TERMINAL") != "",
		Host:     machineIn(os.Getenv("WORK")),
		Access:   tickets.Access{Transport: transport, IMDS: transport},

		Environment: config.IgnoreEnvironment(),
		OpenLog: func(s log.Settings) *slog.Logger {
			if s.Destination != log.File {
				return slog.New(slog.DiscardHandler)
			}
			s.Path = in(filepath.Base(s.Path))
			return log.Open(thishost.Real(), s, program)
		},
		Wipe: wipeArgument,
	}
	os.Exit(t.Run(os.Args))
}

// machineIn is a machine that trusts the caller, with its files in a directory.
func machineIn(dir string) thishost.Host {
	h := thishost.Real().Trusting(os.Geteuid())
	h.Config, h.Mounts, h.Run = filepath.Join(dir, "config.yaml"), filepath.Join(dir, "mountinfo"), filepath.Join(dir, "run")
	return h
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		Setup:         setup,
		Deadline:      time.Now().Add(time.Minute), // rather than hang
		Cmds:          stage.With(map[string]stage.Command{"manager": cmdManager, "federate": stage.Federate(appID)}),
		Condition:     func(name string) (bool, error) { return name == "root" && os.Geteuid() == 0, nil },
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// setup gives a script an Azure of its own and a machine: configuration, mount table and tokens.
// Files of the script take precedence.
func setup(env *testscript.Env) error {
	fake, err := stage.Open(env, fakeOptions())
	if err != nil {
		return err
	}
	token := fake.MintToken(azurefake.MintOptions{})
	stage.Set(env, map[string]string{
		"URI":        uri,
		"CLIENT":     clientID,
		"RESOURCE":   resourceID,
		"APP":        appID,
		"TENANT":     azurefake.TenantID,
		"TOKEN":      token,
		"KRB5CCNAME": "FILE:/must/not/count",
		"TZ":         "UTC",
	})
	if err := stage.OpenProxy(env); err != nil {
		return err
	}
	cc := filepath.Join(env.WorkDir, "cc")
	if err := stage.Configure(env, "KRB5_CC_NAME: "+cc+"/krb5cc_0\n"); err != nil {
		return err
	}
	if err := os.Mkdir(cc, 0o700); err != nil {
		return err
	}
	return stage.Write(env, map[string]string{"token": token + "\n", "mountinfo": ""})
}

// manager STATUS ARG... runs azfilesauthmanager and checks its exit status, and that no token is shown.
func cmdManager(ts *testscript.TestScript, neg bool, args []string) {
	stage.Status(program)(ts, neg, args)
	if stage.Token(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		ts.Fatalf("a token is in the output")
	}
}
