package upcall

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const nobody = 65534

// Forged descriptions get ENOKEY, and Azure hears nothing of them.
func TestForgedRequests(t *testing.T) {
	w := newWorld(t)
	w.fetched()
	for _, d := range []string{
		describe(host, "user=root", "user=root;creduid=0xfffe"),
		describe(host, "user=root", "user=root;pid=0x1"),
		describe(host, "creduid=0x0", "creduid=0x0;creduid=0x0"),
		describe(host, "sec=krb5;uid=0x0", "uid=0x0;sec=krb5"),
		describe(host, "user=root", "user=ro\not"),
		describe(host, "user=root", "user=ro\x1b[2Jt"),
		describe(host, "pid=0xa5", "pid=165"),
		describe(host, "ver=0x2", "ver=0x3"),
		describe(host, "host=", "HOST="),
		"x" + mark(),
		describe(host, "user=root", "user=a;"+strings.Repeat("b", maxDescription-len(describe(host, "user=root", "user=a;")))),
	} {
		w.rejected(d, 3, "AZF-UPCALL-REQUEST")
	}
	w.rejected(describe(host, "sec=krb5", "sec=iakerb"), 3, "AZF-MECHANISM")
	w.rejected(describe(host, "creduid=0x0", "creduid=0x40bc5c"), 3, "AZF-UID-UNKNOWN")
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests to Azure", n)
	}
}

func TestKeysThatAreNotTheKernels(t *testing.T) {
	w := newWorld(t)
	line := w.rejectedReply(w.askAs(nobody, describe(host)), 3, "AZF-UPCALL-KEY")
	if !strings.Contains(line, "belongs to uid 65534") {
		t.Error(line)
	}
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests to Azure", n)
	}
}

// The product answers no other keys than those of the kernel's SMB client.
func TestProductRefusesOtherTypes(t *testing.T) {
	if h := system(nil); h.keyType != "cifs.spnego" || h.Transport != nil || h.IMDS != nil || h.Run != "/run/azfilesauth" {
		t.Errorf("%+v", h)
	}
	if h := surroundings(nil); h.keyType != "cifs.spnego" {
		t.Errorf("%+v", h)
	}
}

func TestWithoutAuthority(t *testing.T) {
	id := must(unix.AddKey("user", "azftest-plain:"+mark(), []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING))
	w := newWorld(t)
	h := system(nil)
	h.syslog, h.kmsg, h.Run, h.keyType = w.Syslog, w.Kmsg, w.Run, "user"
	for _, args := range [][]string{{}, {""}, {"x"}, {"0"}, {"-1"}, {"1", "2"}, {"4294967296"}} {
		if key, ok := serial(args); ok {
			t.Errorf("%q: %d", args, key)
		}
	}
	key, ok := serial([]string{fmt.Sprint(id)})
	if !ok || h.serve(key) != 1 {
		t.Error("a key that nobody asks for was served")
	}
	if line := w.logged(); !strings.Contains(line, "AZF-UPCALL-KEY") {
		t.Error(line)
	}
}

// A failure is told with the identity that was to obtain the ticket, where that is known.
func TestFailureNamesTheIdentity(t *testing.T) {
	w := newWorld(t)
	h := system(nil)
	h.Host = w.machine()
	h.Config = w.Config
	cfg := must(config.Read(h.Host))
	manager := must(tickets.New(tickets.Options{Host: h.Host, Config: cfg, NoPrograms: true}))
	for user, want := range map[string]string{"": systemLine, clientID: "user-assigned client_id=" + clientID, "root": systemLine} {
		r := &request{handler: h, cfg: cfg}
		r.known.Store(&known{host: host})
		r.identify(manager, tickets.Login{Endpoint: must(cfg.Resolver.Resolve(host)), Username: user})
		told := ""
		for _, field := range r.known.Load().fields() {
			if field.Key == "identity" {
				told = field.Value.String()
			}
		}
		if told != want {
			t.Errorf("user %q: %q, want %q", user, told, want)
		}
	}
}

func TestCachesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	cred := w.fetched()
	check(os.Chown(w.ccache(0), nobody, nobody))
	w.rejected(describe(host), 3, "AZF-CCACHE-FOREIGN")
	check(os.Chown(w.ccache(0), 0, 0))
	check(os.Chmod(w.ccache(0), 0o666))
	w.rejected(describe(host, "pid=0xa5", "pid=0xa6"), 3, "AZF-CCACHE-FOREIGN")
	check(os.Chmod(w.ccache(0), 0o600))
	w.config("")
	content := must(os.ReadFile(w.ccache(0)))
	check(os.WriteFile(w.ccache(0), content[:len(content)/2], 0o600))
	w.rejected(describe(host, "pid=0xa5", "pid=0xa7"), 3, "AZF-CCACHE-DAMAGED")
	check(os.Remove(w.ccache(0)))
	w.rejected(describe(host, "pid=0xa5", "pid=0xa8"), 3, "AZF-IDENTITY-UNKNOWN")
	w.store(0, cred, systemLine)
	w.good(describe(host, "pid=0xa5", "pid=0xa9"), host)
	w.config("nonsense: [\n")
	w.rejected(describe(host, "pid=0xa5", "pid=0xaa"), 3, "AZF-CONFIG-INVALID")
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests to Azure", n)
	}
}

func TestTicketsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for id, change := range map[string]func(*ccache.Credential){
		"AZF-TICKET-ETYPE":   func(c *ccache.Credential) { c.Key.Etype = 99 },
		"AZF-TICKET-DAMAGED": func(c *ccache.Credential) { c.Ticket = secret.FromString("no ticket") },
		"AZF-TICKET-TOO-LARGE": func(c *ccache.Credential) {
			c.Ticket = secret.New(append([]byte{0x61, 0x83, 1, 0x11, 0x70}, make([]byte, 70_000)...))
		},
	} {
		cred := w.fetched()
		change(&cred)
		w.store(0, cred, systemLine)
		w.rejected(describe(host, "pid=0xa5", fmt.Sprintf("pid=0x%x", len(id))), 3, id)
		if n := len(w.fake.Requests()); n != 0 {
			t.Errorf("%s: %d requests to Azure", id, n)
		}
		check(os.Remove(w.ccache(0)))
	}
}

// A user who owns a cache can write any record into it. It is not believed: no request is made, and
// the file that it names is not opened.
func TestForgedRecords(t *testing.T) {
	w := newWorld(t)
	cred := w.fetched()
	w.config("identities: {backup: {client_id: " + clientID + "}}\n")
	bait := filepath.Join(w.dir, "bait")
	check(os.WriteFile(bait, []byte("secret"), 0o600))
	watch := must(unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC))
	defer func() { check(unix.Close(watch)) }()
	must(unix.InotifyAddWatch(watch, bait, unix.IN_OPEN))
	as := func(n int) string {
		return describe(host, "creduid=0x0", "creduid=0xfffe", "pid=0xa5", fmt.Sprintf("pid=0x%x", n))
	}
	cred.EndTime = time.Now().Add(-time.Second).Truncate(time.Second) // or it would answer
	for i, line := range []string{
		"token token_file=" + bait, systemLine, "user-assigned client_id=99999999-2222-3333-4444-555555555555",
		"user-assigned client_id=" + clientID + " resource=https://evil.example",
	} {
		w.store(nobody, cred, line)
		w.rejected(as(i), 3, "AZF-RECORD-UNTRUSTED")
	}
	if n, err := unix.Read(watch, make([]byte, 4096)); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("the file of a forged record was opened: %d, %v", n, err)
	}
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests to Azure", n)
	}
	// It never outranks what root says of the endpoint.
	w.config("identities: {backup: {client_id: " + clientID + "}}\nendpoints: {" + host + ": {identity: backup}}\n")
	cred.EndTime = time.Now().Add(time.Hour).Truncate(time.Second)
	w.store(nobody, cred, systemLine)
	w.good(as(9), host)
	for _, r := range w.fake.Requests() {
		if r.Target == azurefake.TargetIMDS && !strings.Contains(fmt.Sprint(r), clientID) {
			t.Errorf("asked as another identity: %+v", r)
		}
	}
	if n := w.asked("storage"); n != 1 {
		t.Errorf("%d exchanges for the endpoint's identity", n)
	}
}

// An unexpired ticket answers the kernel, record or not: the incumbent's tools leave none, and nobody says who logs
// in at a mount with username=root.
func TestUnexpiredTicketAnswers(t *testing.T) {
	w := newWorld(t)
	cred := w.fetched()
	cred.AuthTime, cred.StartTime = cred.AuthTime.Add(-time.Hour), cred.StartTime.Add(-time.Hour)
	w.config("")
	owned := func(uid, n int) string {
		return describe(host, "creduid=0x0", fmt.Sprintf("creduid=0x%x", uid), "pid=0xa5", fmt.Sprintf("pid=0x%x", n))
	}
	n := 0
	for _, uid := range []int{0, nobody} {
		for _, record := range []string{"", systemLine, "unheard-of"} {
			cred.EndTime = time.Now().Add(time.Hour).Truncate(time.Second)
			w.store(uid, cred, record)
			n++
			w.good(owned(uid, n), host)
			cred.EndTime = time.Now().Add(time.Second * 20).Truncate(time.Second) // near its end, and no other to be had
			w.store(uid, cred, record)
			n++
			if record != systemLine || uid != 0 {
				w.good(owned(uid, n), host)
				w.logged()
			}
			cred.EndTime = time.Now().Add(-time.Second).Truncate(time.Second)
			w.store(uid, cred, record)
			n++
			if record != systemLine || uid != 0 {
				if r := w.ask(owned(uid, n)); r.err == nil {
					t.Errorf("uid %d, record %q: a ticket that has expired is used", uid, record)
				}
				w.logged()
			}
		}
	}
	cred.EndTime = time.Now().Add(time.Hour).Truncate(time.Second)
	w.store(0, cred, "user-assigned client_id=99999999-2222-3333-4444-555555555555")
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests to Azure", n)
	}
	w.rejected(describe(host, "user=root", "user=azfiles-cli-0123456789ab"), 3, "AZF-IDENTITY-UNKNOWN") // a label of nobody
	w.good(describe(host, "user=root", "user="+clientID), host)
	if all := w.fake.Requests(); len(all) == 0 || all[len(all)-1].Identity != clientID {
		t.Errorf("another identity's ticket answered: %+v", all)
	}
}

func TestBadEnds(t *testing.T) {
	w := newWorld(t)
	w.Begin = "panic"
	w.rejected(describe(host), 3, "AZF-INTERNAL")
	w.Deadline, w.Grace = time.Millisecond, hurried // in which it is told, on a busy machine as well
	for _, w.Begin = range []string{"spin", "sleep"} {
		r := w.ask(describe(host, "pid=0xa5", "pid=0xa6"+strings.Repeat("6", len(w.Begin)-4)))
		w.rejectedReply(r, 3, "AZF-UPCALL-DEADLINE")
		if r.took > patience/2 {
			t.Errorf("%s: %s", w.Begin, r.took)
		}
	}
	// Nobody can reject for a process that was killed: the kernel does, for a minute.
	for _, w.Begin = range []string{"kill", "exit"} {
		r := w.ask(describe(host, "pid=0xa5", "pid=0xb"+fmt.Sprint(len(w.Begin)+int(w.Begin[0]))))
		if !errors.Is(r.err, unix.ENOKEY) || !strings.HasSuffix(r.expiry, "s") && r.expiry != "1m" {
			t.Errorf("%s: %+v", w.Begin, r)
		}
	}
	w.silent()
}

// Azure takes the request and says nothing: what is told is the bound, which can be widened.
func TestAzureHangs(t *testing.T) {
	for target, what := range map[string]string{azurefake.TargetStorage: "AZF-ENDPOINT-TIMEOUT", azurefake.TargetIMDS: "AZF-IMDS-UNREACHABLE"} {
		w := newWorld(t)
		w.hurry()
		w.fake.Order(azurefake.Order{Target: target, Hang: true})
		line := w.rejected(describe(host), 3, "AZF-UPCALL-DEADLINE")
		for _, part := range []string{"within " + hurried.String(), what, "set deadline: "} {
			if !strings.Contains(line, part) {
				t.Errorf("%s: %s lacks %q", target, line, part)
			}
		}
		if strings.Contains(line, "azfiles_timeout") || strings.Contains(line, "--timeout") {
			t.Errorf("%s: it sends people to another program's options: %s", target, line)
		}
	}
}

func TestEmptyHost(t *testing.T) {
	w := newWorld(t)
	extra := func(n int) string { return describe("", "pid=0xa5", fmt.Sprintf("pid=0x%x", n)) }
	mounted := func(host, addr, user string) string {
		return "31 1 0:40 / /mnt rw - cifs //" + host + "/share rw,vers=3.1.1,sec=krb5,cruid=0,username=" + user + ",addr=" + addr + "\n"
	}
	w.rejected(extra(1), 5, "AZF-UPCALL-CHANNEL")
	w.good(describe(host, "pid=0xa5", "pid=0x2"), host)
	w.good(extra(2), host)
	// Somebody else's channel is another matter, and so is that of a login of long ago.
	w.rejected(extra(3), 5, "AZF-UPCALL-CHANNEL")
	w.rejected(strings.Replace(extra(2), "user=root", "user=other", 1), 5, "AZF-UPCALL-CHANNEL")
	w.rejected(strings.Replace(extra(2), "uid=0x0", "uid=0x1", 1), 5, "AZF-UPCALL-CHANNEL")
	notes := must(os.ReadDir(filepath.Join(w.Run, "answered")))
	for _, n := range notes {
		old := time.Now().Add(-61 * time.Second)
		check(os.Chtimes(filepath.Join(w.Run, "answered", n.Name()), old, old))
	}
	w.rejected(extra(2), 5, "AZF-UPCALL-CHANNEL")
	check(os.WriteFile(w.MountTable, []byte(mounted(host, "10.99.0.1", "root")+mounted(host, "10.99.0.1", "root")+
		mounted(host2, "10.99.0.2", "root")+mounted(host2, "10.99.0.1", "other")), 0o600))
	w.good(extra(4), host)
	w.rejected(strings.Replace(extra(6), "10.99.0.1", "10.99.0.3", 1), 5, "AZF-UPCALL-CHANNEL")
	check(os.WriteFile(w.MountTable, []byte(mounted(host, "10.99.0.1", "root")+mounted(host2, "10.99.0.1", "root")), 0o600))
	line := w.rejected(extra(5), 5, "AZF-UPCALL-CHANNEL")
	if !strings.Contains(line, "2 accounts fit") {
		t.Error(line)
	}
	// A thread of the kernel's has just logged in for another account of the same user at the same address, which has one
	// channel alone.
	several := strings.Replace(mounted(host, "10.99.0.1", "root"), "vers=3.1.1,", "vers=3.1.1,multichannel,max_channels=2,", 1)
	check(os.WriteFile(w.MountTable, []byte(several+mounted(host2, "10.99.0.1", "root")), 0o600))
	w.good(describe(host2, "pid=0xa5", "pid=0x7"), host2)
	w.good(extra(7), host)
	check(os.WriteFile(w.MountTable, []byte(several+strings.Replace(several, host, host2, 1)), 0o600))
	w.rejected(extra(7), 5, "AZF-UPCALL-CHANNEL")
	// It has logged in for another account at another address.
	check(os.WriteFile(w.MountTable, []byte(mounted(host, "10.99.0.1", "root")+mounted(host2, "10.99.0.2", "root")), 0o600))
	w.good(strings.Replace(describe(host2, "pid=0xa5", "pid=0x9"), "10.99.0.1", "10.99.0.2", 1), host2)
	w.good(extra(9), host)
	// One that is being made is not in the table yet.
	check(os.WriteFile(w.MountTable, []byte(several), 0o600))
	w.good(describe(host2, "pid=0xa5", "pid=0x8"), host2)
	w.good(extra(8), host2)
	check(os.WriteFile(w.MountTable, nil, 0o600))
	if n := len(must(filepath.Glob(filepath.Join(w.Run, "answered", "[^.]*")))); n > 6 { // the file with a dot tells when old ones were removed
		t.Errorf("%d notes are kept", n)
	}
	for path, mode := range map[string]os.FileMode{w.Run: 0o711, filepath.Join(w.Run, "answered"): 0o700} {
		if info := must(os.Stat(path)); info.Mode().Perm() != mode {
			t.Errorf("%s: %v", path, info.Mode())
		}
	}
}

// Linux before 5.16 names the address where a further channel goes. Other mounts are by address too.
func TestChannelByAddress(t *testing.T) {
	w := newWorld(t)
	theirs := w.script(`exec keyctl instantiate "$2" theirs 0`)
	w.rule("cifs.spnego.conf", "create user * * "+theirs+" -t %k\n")
	extra := func(n int, swaps ...string) string {
		text := describe("10.99.0.1", "pid=0xa5", fmt.Sprintf("pid=0x%x", n))
		return strings.NewReplacer(swaps...).Replace(text)
	}
	foreign := func(text string) {
		t.Helper()
		if r := w.ask(text); r.err != nil || string(r.payload) != "theirs" {
			t.Errorf("%s: %q, %v; %s", text, r.payload, r.err, w.logged())
		}
	}
	foreign(extra(1))
	w.good(describe(host, "pid=0xa5", "pid=0x2"), host)
	w.good(extra(2), host)
	foreign(extra(3))
	foreign(extra(2, "user=root", "user=other"))
	foreign(extra(2, "ip4=10.99.0.1", "ip4=10.99.0.2")) // it is not where it says
	foreign(extra(2, "pid=0x2", "pid=2"))
	line := func(host string) string {
		return "31 1 0:40 / /mnt rw - cifs //" + host + "/share rw,vers=3.1.1,sec=krb5,cruid=0,username=root,addr=10.99.0.1\n"
	}
	check(os.WriteFile(w.MountTable, []byte(line(host)), 0o600))
	w.good(extra(4), host)
	foreign(extra(4, "user=root", "user=other"))
	check(os.WriteFile(w.MountTable, []byte(line(host)+line(host2)), 0o600))
	w.rejected(extra(5), 5, "AZF-UPCALL-CHANNEL")
	check(os.WriteFile(w.Config, []byte("nonsense: [\n"), 0o600))
	foreign(extra(6))
}

func TestModeCIFS(t *testing.T) {
	w := newWorld(t)
	// Only a helper that never ends may meet the deadline, on a busy machine as well.
	configure := func(deadline string) {
		conf := "KRB5_CC_NAME: " + w.dir + "/cc/krb5cc_%{uid}\ndefault_identity: system\nupcall: {mode: cifs, deadline: " + deadline + "}\n"
		check(os.WriteFile(w.Config, []byte(conf), 0o600))
	}
	configure("10s")
	helper := func(line string) {
		check(os.WriteFile(w.Helper, []byte("#!/bin/sh\n"+line+"\n"), 0o755))
	}
	helper(`echo "$@" >` + w.dir + `/args; cat "$3" >` + w.dir + `/conf; exec keyctl instantiate "$4" theirs 0`)
	if r := w.ask(describe(host)); r.err != nil || string(r.payload) != "theirs" {
		t.Fatalf("%q, %v; %s", r.payload, r.err, w.logged())
	}
	text := string(must(os.ReadFile(filepath.Join(w.dir, "args"))))
	if !strings.HasPrefix(text, "-E -k "+w.Run+"/krb5.0.conf ") {
		t.Errorf("arguments: %s", text)
	}
	text = string(must(os.ReadFile(filepath.Join(w.dir, "conf"))))
	if !strings.Contains(text, "default_ccache_name = FILE:"+w.ccache(0)+"\n") {
		t.Errorf("krb5.conf: %s", text)
	}
	if w.cached(0).EndTime.IsZero() {
		t.Error("there is no ticket for it")
	}
	for i, line := range []string{"exit 0", "exit 1", "exec sleep 60", "kill -9 $$"} {
		helper(line)
		configure("10s")
		if line == "exec sleep 60" {
			configure("2s")
		}
		r := w.ask(describe(host, "pid=0xa5", fmt.Sprintf("pid=0x%x", i)))
		w.rejectedReply(r, 3, "AZF-UPCALL-HELPER")
		if r.took > patience/2 {
			t.Errorf("%s: %s", line, r.took)
		}
	}
	check(os.Remove(w.Helper))
	w.rejected(describe(host, "pid=0xa5", "pid=0xa6"), 3, "AZF-UPCALL-HELPER")
	// It could not find the host of a further channel, so those are answered as ever.
	w.good(describe("", "pid=0xa5", "pid=0xa5"), host)
	w.good(describe("10.99.0.1", "pid=0xa5", "pid=0xa5"), host)
}
