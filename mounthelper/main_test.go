package mounthelper

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/azurefake/stage"
	"github.com/azfilesauth/azfilesauth/internal/confine"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/internal/waiting"
)

// TestMain makes the test binary play the programs of the scripts: mount.azfiles with the seams that
// the environment names, the true Main, and a mount.cifs that records what it is given.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mount.azfiles": helperMain,
		"true-main":     func() { os.Exit(Main(os.Args, "2.0.0", nil)) },
		"mount.cifs":    cifsMain,
		"isolated":      isolatedMain,
	})
}

func helperMain() {
	in := func(name string) string { return filepath.Join(os.Getenv("WORK"), name) }
	transport, err := stage.Transport()
	must(err)
	h := Helper{
		Stdout: os.Stdout, Stderr: os.Stderr, Version: "2.0.0", Host: host.Real().Trusting(os.Geteuid()),
		Terminal: os.Getenv("TEST_TERMINAL") != "", RequestKey: in("sbin/request-key"), BootID: in("boot_id"), Access: tickets.Access{Transport: transport, IMDS: transport},
		Confined: func() bool { _, err := os.Stat(in("confined")); return err == nil },
	}
	h.Host.Run, h.Host.Config, h.Host.Mounts, h.Host.Passwd = in("run"), in("config.yaml"), in("mountinfo"), in("passwd")
	h.Host.Programs, h.Host.Kernel = []string{in("nowhere"), in("sbin")}, in("kernel")
	confine.Isolate()
	os.Exit(h.Run(os.Args))
}

// isolatedMain tells what isolate leaves.
func isolatedMain() {
	confine.Isolate()
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	fmt.Println("dumpable", dumpable, err, "environment", os.Environ())
}

// cifsMain is a mount.cifs that mounts nothing. Its environment tells it nothing, so it takes its
// orders from the working directory: cifs.out and cifs.err are what it prints, cifs.exit is its exit
// status or "killed", and with a FIFO cifs.started it waits for a signal after opening it.
func cifsMain() {
	record("cifs.argv", "/proc/self/cmdline")
	record("cifs.env", "/proc/self/environ")
	stdin, _ := os.Readlink("/proc/self/fd/0")
	must(os.WriteFile("cifs.stdin", []byte(stdin+"\n"), 0o600))
	_, _ = os.Stdout.Write(order("cifs.out"))
	_, _ = os.Stderr.Write(order("cifs.err"))
	refuseTarget()
	if _, err := os.Stat("cifs.slow"); err == nil {
		time.Sleep(waiting.Silence + time.Second/2) // what is tested is what is said meanwhile
	}
	if _, err := os.Stat("cifs.started"); err == nil {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
		started, err := os.OpenFile("cifs.started", os.O_WRONLY, 0)
		must(err)
		must(started.Close())
		select {
		case s := <-signals:
			must(os.WriteFile("cifs.signal", []byte(s.String()+"\n"), 0o600))
		case <-time.After(patience):
		}
	}
	status := strings.TrimSpace(string(order("cifs.exit")))
	if status == "killed" {
		must(unix.Kill(os.Getpid(), unix.SIGKILL))
		select {}
	}
	n, _ := strconv.Atoi(status)
	syscall.Exit(n) // without the second that os.Exit waits under the race detector
}

// refuseTarget is what a kernel does that does not know upcall_target.
func refuseTarget() {
	if _, err := os.Stat("cifs.old"); err == nil && strings.Contains(os.Args[len(os.Args)-1], "upcall_target=") {
		fmt.Fprintln(os.Stderr, "mount error(22): Invalid argument")
		syscall.Exit(32)
	}
}

// record writes the strings of a file of /proc, one on each line.
func record(name, proc string) {
	content, err := os.ReadFile(proc)
	must(err)
	lines := bytes.ReplaceAll(bytes.TrimSuffix(content, []byte{0}), []byte{0}, []byte{'\n'})
	must(os.WriteFile(name, append(lines, '\n'), 0o600))
}

func order(name string) []byte {
	content, _ := os.ReadFile(name)
	return content
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

const (
	account  = "acct.file.core.windows.net"
	clientID = "b0000000-0000-4000-8000-00000000000b"
	objectID = "b0000000-0000-4000-8000-0000000000ff"
	appID    = "a0000000-0000-4000-8000-00000000000a"

	resourceID = "/subscriptions/" + clientID + "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/backup"
)

// patience is how long a test waits for what has to come.
const patience = time.Minute

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		Setup:         setup,
		Deadline:      time.Now().Add(2 * patience), // rather than hang on a pipe
		Cmds:          stage.With(map[string]stage.Command{"helper": stage.Status("mount.azfiles"), "fault": cmdFault}),
		Condition:     func(name string) (bool, error) { return name == "root" && os.Geteuid() == 0, nil },
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// setup gives a script an Azure of its own and a machine: configuration, mount table, password file,
// mount point and the programs in sbin. Files of the script take precedence.
func setup(env *testscript.Env) error {
	fake, err := stage.Open(env, azurefake.Options{
		Hosts:      []string{account, "other.file.core.windows.net"},
		Identities: []azurefake.ManagedIdentity{{ClientID: clientID, ObjectID: objectID, ResourceID: resourceID}},
		Apps:       []azurefake.App{{ClientID: appID, Secret: "s3cr3t-of-the-app", Federated: true}},
	})
	if err != nil {
		return err
	}
	stage.Set(env, map[string]string{
		"SHARE":       "//" + account + "/share",
		"CLIENT":      clientID,
		"OBJECT":      objectID,
		"RESOURCE":    resourceID,
		"APP":         appID,
		"TENANT":      azurefake.TenantID,
		"PASSWD":      "must-not-reach-mount.cifs",
		"KRB5CCNAME":  "FILE:/must/not/count",
		"HTTPS_PROXY": "http://127.0.0.1:1",
		"USER":        "somebody",
		"SUDO_UID":    "1000",
	})
	in := func(name string) string { return filepath.Join(env.WorkDir, name) }
	if config, err := os.ReadFile(in("config.yaml")); err == nil {
		must(os.WriteFile(in("config.yaml"), bytes.ReplaceAll(config, []byte("$WORK"), []byte(env.WorkDir)), 0o600))
	}
	self, err := os.Executable()
	for _, err := range []error{
		err,
		stage.Configure(env, "KRB5_CC_NAME: "+in("cc")+"/krb5cc_%{uid}\n"),
		os.Mkdir(in("cc"), 0o700), os.Mkdir(in("mnt"), 0o755),
		stage.Write(env, map[string]string{
			"token":                fake.MintToken(azurefake.MintOptions{}),
			"federated":            fake.FederatedToken(appID),
			"mountinfo":            "",
			"passwd":               "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
			"sbin/request-key":     "",
			"boot_id":              "this boot\n",
			"kernel/osrelease":     "6.1.192\n",
			"run/no-upcall-target": "this boot\n", // as if the kernel had refused it before
		}),
		os.Symlink(self, in("sbin/mount.cifs")),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// fault WHEN TEXT leaves a failure of azfiles.upcall at a time from now; 1h is enough for the mount
// that follows to have begun before.
func cmdFault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fault WHEN TEXT")
	}
	when, err := time.ParseDuration(args[0])
	ts.Check(err)
	dir := ts.MkAbs("run/last-fault")
	ts.Check(os.MkdirAll(dir, 0o700))
	text := time.Now().Add(when).UTC().Format(time.RFC3339Nano) + "\nAZF-TEST\n" + args[1] + "\nwait\n"
	ts.Check(os.WriteFile(filepath.Join(dir, account), []byte(text), 0o600))
}
