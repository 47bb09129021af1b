package upcall

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// These tests have the kernel run the true /sbin/request-key, which runs azfiles.upcall, for keys of
// the type user. The kernel starts request-key outside all namespaces, so it is the host's folder of
// rules that counts; ours matches only descriptions that end in this process's mark.

const clientID = "11111111-2222-3333-4444-555555555555"

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// process ends every description of this process.
var process = fmt.Sprintf(";azftest=%d", os.Getpid())

// worlds counts what newWorld has made. The kernel remembers rejections longer than a test takes, so no
// world asks what another one has asked.
var worlds atomic.Int32

// mark ends every description of this world.
func mark() string { return fmt.Sprintf(";world=%d", worlds.Load()) + process }

// built is the program under test: built once, with the path of its surroundings inside.
type built struct{ program, setup string }

var shared built // set by TestMain before any test

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 { // newWorld says so
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "azftest-upcall-")
	check(err)
	defer func() { check(os.RemoveAll(dir)) }()
	check(os.Chmod(dir, 0o755)) // a cifs.upcall of ours runs as the credential uid
	shared = built{filepath.Join(dir, "azfiles.upcall"), filepath.Join(dir, "setup.json")}
	build := exec.Command("go", "build", "-tags", "upcalltest",
		"-ldflags", "-X github.com/azfilesauth/azfilesauth/upcall.testFile="+shared.setup, "-o", shared.program, "./testdata/handler")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s\n", err, out)
		return 1
	}
	remove, err := needs.WriteRule("upcall", "create user *"+process+" * "+filepath.Join(dir, "run")+" %k\n")
	check(err)
	defer func() { check(remove()) }()
	return m.Run()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

// world is an Azure, a machine and the kernel's request between them.
type world struct {
	*setupFile
	t    *testing.T
	fake *azurefake.Fake
	dir  string
	log  *net.UnixConn

	waits time.Duration // the deadline that config writes
}

// hurried is the deadline where a test waits for it to pass. What else a login needs is ready before, on a busy machine as well.
const hurried = 4 * time.Second

// hurry shortens the deadline.
func (w *world) hurry() {
	w.waits = hurried
	w.config("default_identity: system\n")
}

// setupFile is what the program under test reads.
type setupFile struct {
	Config, Run, MountTable, RulesFolder, RulesFile, Helper, Syslog, Kmsg string

	Storage, IMDS, CA string
	Deadline, Grace   time.Duration
	Begin, Attack     string
}

const (
	host  = "acct.file.core.windows.net"
	host2 = "acct2.file.core.windows.net"
)

// machine is this machine with the world's directory for what must not survive a reboot.
func (w *world) machine() machine.Host {
	m := machine.Real().Trusting(os.Geteuid())
	m.Run = w.Run
	return m
}

func newWorld(t *testing.T) *world {
	t.Helper()
	needs.RequestKey(t)
	worlds.Add(1)
	fake := must(azurefake.Start(azurefake.Options{
		Hosts:      []string{host, host2},
		Identities: []azurefake.ManagedIdentity{{ClientID: clientID, ObjectID: "99999999-2222-3333-4444-555555555555"}},
	}))
	t.Cleanup(fake.Close)
	dir := t.TempDir()
	check(os.Chmod(filepath.Dir(dir), 0o755)) // the folders of t.TempDir, for the credential uid
	check(os.Chmod(dir, 0o755))
	in := func(name string) string { return filepath.Join(dir, name) }
	w := &world{t: t, fake: fake, dir: dir, setupFile: &setupFile{
		Config: in("config.yaml"), Run: in("run"), MountTable: in("mountinfo"), RulesFolder: in("request-key.d"),
		RulesFile: in("request-key.conf"), Helper: in("cifs.upcall"), Syslog: in("log"), Kmsg: in("kmsg"),
		Storage: fake.StorageAddr(), IMDS: fake.IMDSAddr(), CA: in("ca"), Deadline: patience, Grace: patience,
	}, waits: patience}
	check(os.WriteFile(w.CA, fake.CA(), 0o600))
	check(os.WriteFile(w.MountTable, nil, 0o600))
	check(os.MkdirAll(w.RulesFolder, 0o755))
	check(os.MkdirAll(in("cc"), 0o755))
	w.config("default_identity: system\n")
	w.log = must(net.ListenUnixgram("unixgram", &net.UnixAddr{Name: w.Syslog}))
	t.Cleanup(func() { check(w.log.Close()) })
	w.program(shared.program + ` "$@"`)
	return w
}

// program sets what the rule runs, a line of sh.
func (w *world) program(line string) {
	path := filepath.Join(filepath.Dir(shared.program), "run")
	check(os.WriteFile(path+".new", []byte("#!/bin/sh\nexec "+line+"\n"), 0o755))
	check(os.Rename(path+".new", path))
}

func (w *world) config(text string) {
	text = fmt.Sprintf("KRB5_CC_NAME: %s/cc/krb5cc_%%{uid}\nupcall: {deadline: %s}\n%s", w.dir, w.waits, text)
	check(os.WriteFile(w.Config, []byte(text), 0o600))
}

func (w *world) ccache(uid int) string { return fmt.Sprintf("%s/cc/krb5cc_%d", w.dir, uid) }

// describe is a description of the kernel's form.
func describe(host string, more ...string) string {
	text := "ver=0x2;host=" + host + ";ip4=10.99.0.1;sec=krb5;uid=0x0;creduid=0x0;user=root;pid=0xa5" + mark()
	for i := 0; i < len(more); i += 2 {
		text = strings.Replace(text, more[i], more[i+1], 1)
	}
	return text
}

// reply is what the kernel makes of a request.
type reply struct {
	payload []byte
	err     error
	expiry  string // of a rejection, as /proc/keys has it
	took    time.Duration
	looked  time.Duration // from the request to the look at the table
}

// ask has the kernel obtain a key.
func (w *world) ask(description string) reply { return w.askAs(0, description) }

func (w *world) askAs(uid int, description string) reply {
	w.t.Helper()
	check(os.WriteFile(shared.setup, must(json.Marshal(w.setupFile)), 0o600))
	return <-requestKey(uid, description)
}

func requestKey(uid int, description string) <-chan reply {
	done := make(chan reply, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, its uid and its keyring end here
		if uid != 0 {
			_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)) // of this thread alone
			if errno != 0 {
				done <- reply{err: errno}
				return
			}
		}
		began := time.Now()
		id, err := needs.AskKey(description, unix.KEY_SPEC_THREAD_KEYRING)
		r := reply{err: err, took: time.Since(began)}
		if err != nil {
			r.expiry = expiry(description)
			r.looked = time.Since(began)
		} else {
			buf := make([]byte, 1<<16)
			n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buf, 0)
			r.payload, r.err = buf[:max(n, 0)], err
		}
		done <- r
	}()
	return done
}

// expiry finds the rejected key in the table of keys.
func expiry(description string) string {
	for _, k := range must(keyring.Keys()) {
		if k.Negative && k.HasType("user") && strings.HasPrefix(description, strings.TrimSuffix(k.Description, ": ")) {
			return k.Expiry
		}
	}
	return "none"
}

// logged takes a line of the log; it waits for one.
func (w *world) logged() string {
	w.t.Helper()
	check(w.log.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 1<<13)
	n, err := w.log.Read(buf)
	if err != nil {
		w.t.Fatalf("nothing was logged: %v", err)
	}
	return string(buf[:n])
}

// silent checks that nothing else was logged. What the program logs is there before it ends.
func (w *world) silent() {
	w.t.Helper()
	check(w.log.SetReadDeadline(time.Now().Add(time.Millisecond)))
	buf := make([]byte, 1<<13)
	if n, err := w.log.Read(buf); err == nil {
		w.t.Errorf("logged: %s", buf[:n])
	}
}

func (w *world) asked(target string) (n int) {
	for _, r := range w.fake.Requests() {
		if r.Target == target {
			n++
		}
	}
	return n
}

// good asks for a login at the host and checks that the server of the host can read it.
func (w *world) good(description, host string) reply {
	w.t.Helper()
	r := w.ask(description)
	if r.err != nil {
		w.t.Fatalf("%s: %v; %s", description, r.err, w.logged())
	}
	w.accept(r.payload, host)
	return r
}

// accept takes a payload apart as the kernel and the server do.
func (w *world) accept(payload []byte, host string) {
	w.t.Helper()
	if len(payload) < 16 {
		w.t.Fatalf("a payload of %d bytes", len(payload))
	}
	word := func(i int) int { return int(binary.NativeEndian.Uint32(payload[4*i:])) }
	if word(0) != 2 || word(1) != 0 || 16+word(2)+word(3) != len(payload) {
		w.t.Fatalf("header %x for %d bytes", payload[:16], len(payload))
	}
	key, token := payload[16:16+word(2)], payload[16+word(2):]
	framing := must(hex.DecodeString("06092a864886f7120102020100"))
	_, inner, found := bytes.Cut(token, framing)
	var req messages.APReq
	if !found || req.Unmarshal(inner) != nil {
		w.t.Fatalf("no AP-REQ in %x", token)
	}
	var service keytab.Keytab
	check(service.Unmarshal(must(w.fake.Keytab())))
	if ok, err := req.Verify(&service, 5*time.Minute, types.HostAddress{}, nil); !ok || err != nil {
		w.t.Fatalf("the server refuses it: %v", err)
	}
	if got := req.Ticket.SName.PrincipalNameString(); got != "cifs/"+host {
		w.t.Errorf("a login at %s", got)
	}
	if !bytes.Equal(req.Authenticator.SubKey.KeyValue, key) {
		w.t.Error("the session keys differ")
	}
}

// rejected asks and checks that the kernel was told ENOKEY for so many seconds, with the fault in
// the log.
func (w *world) rejected(description string, seconds int, id string) string {
	w.t.Helper()
	return w.rejectedReply(w.ask(description), seconds, id)
}

func (w *world) rejectedReply(r reply, seconds int, id string) string {
	w.t.Helper()
	line := w.logged()
	if !errors.Is(r.err, unix.ENOKEY) {
		w.t.Errorf("%s: the caller got %d bytes, %v", id, len(r.payload), r.err)
	}
	// The table shows whole seconds that are left, one may have begun to pass, and on a busy machine more have before the look.
	left, err := time.ParseDuration(r.expiry)
	want := time.Duration(seconds) * time.Second
	if least := want - time.Second - r.looked; left > want || left < least || err != nil && least > 0 {
		w.t.Errorf("%s: remembered for %s after %s, want %s", id, r.expiry, r.looked, want)
	}
	if !strings.Contains(line, " "+id+": ") || !strings.Contains(line, "azfiles.upcall[") || strings.Contains(line, "\n") {
		w.t.Errorf("want %s, logged: %s", id, line)
	}
	return line
}

// store puts a ticket into the credential cache of a uid, which the file then belongs to.
func (w *world) store(uid int, cred ccache.Credential, id string) {
	s := must(ccache.Open(machine.Real(), w.ccache(uid), uid))
	check(s.Update(w.t.Context(), func(c *ccache.Cache) error {
		c.Put(cred, ccache.Record{Identity: id, ObtainedAt: time.Now(), Refreshable: true})
		return nil
	}))
	check(os.Chown(w.ccache(uid), uid, uid))
}

// cached has the ticket of the cache.
func (w *world) cached(uid int) ccache.Credential {
	w.t.Helper()
	s := must(ccache.Open(machine.Real(), w.ccache(uid), uid))
	snap := must(s.Load())
	if snap.Cache == nil {
		w.t.Fatal("no cache")
	}
	cred, ok := snap.Cache.Ticket("cifs/" + host)
	if !ok {
		w.t.Fatal("no ticket")
	}
	return cred
}

// fetched obtains a ticket of the identity system, puts it into the cache and forgets how.
func (w *world) fetched() ccache.Credential {
	w.t.Helper()
	w.good(describe(host), host)
	w.fake.ResetRequests()
	return w.cached(0)
}

var systemLine = identity.Identity{Kind: identity.System}.String()
