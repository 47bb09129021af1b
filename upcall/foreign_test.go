package upcall

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

const foreignHost = "fs.example"

func (w *world) rule(name, text string) {
	check(os.WriteFile(filepath.Join(w.RulesFolder, name), []byte(text), 0o644))
}

// script makes a handler of another package; it notes how it was called.
func (w *world) script(line string) string {
	path := filepath.Join(w.dir, "their handler.sh")
	path = strings.ReplaceAll(path, " ", "-")
	text := "#!/bin/sh\necho \"$0 $@\" >" + w.dir + "/args; env >" + w.dir + "/env; echo $PPID >" + w.dir + "/ppid\n" + line + "\n"
	check(os.WriteFile(path, []byte(text), 0o755))
	return path
}

func (w *world) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(w.dir, name))
	return string(b)
}

// Another server's request goes to the rule that would have won without ours, whatever the state of
// our configuration, and whatever its description is like.
func TestAnotherServersRequest(t *testing.T) {
	w := newWorld(t)
	theirs := w.script(`exec keyctl instantiate "$2" theirs 0`)
	w.rule("azfiles.conf", "create user ver=0x2;host=* * /bin/false %k\n")
	w.rule("self.conf", "create user ver=0x2;host=f* * "+shared.program+" %k\n")
	w.rule("cifs.spnego.conf", "create user * * "+theirs+" -t %k %u:%g %u %% %o %d\n")
	for i, config := range []string{"default_identity: system\n", "nonsense: [\n", ""} {
		w.config(config)
		if config == "" {
			check(os.Remove(w.Config))
		}
		for j, d := range []string{
			describe(foreignHost), describe(foreignHost, "user=root", "user=a;b=c"), describe("fs example", "pid=0xa5", "pid=\xff"),
			describe(host + ".evil.example"), describe("file.core.windows.net"),
		} {
			d = strings.Replace(d, "uid=0x0", fmt.Sprintf("uid=0x%x", i*10+j), 1)
			r := w.ask(d)
			if r.err != nil || string(r.payload) != "theirs" {
				t.Fatalf("%s: %q, %v; %s", d, r.payload, r.err, w.logged())
			}
			if args := w.read("args"); !strings.HasPrefix(args, theirs+" -t ") || !strings.HasSuffix(args, " %u:%g 0 % create "+d+"\n") {
				t.Errorf("arguments: %q", args)
			}
		}
	}
	if env := w.read("env"); !strings.Contains(env, "HOME=/\n") || !strings.Contains(env, "PATH=/sbin:/bin:/usr/sbin:/usr/bin\n") {
		t.Errorf("environment: %s", env)
	}
	w.silent()
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests to Azure", n)
	}
	for _, path := range []string{w.Run, w.ccache(0)} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was made", path)
		}
	}
}

// A host that only the configuration knows is ours.
func TestHostOfTheConfiguration(t *testing.T) {
	w := newWorld(t)
	w.config("default_identity: system\nendpoints: {" + foreignHost + ": {canonical: " + host + "}}\n")
	w.rule("theirs.conf", "create user * * "+w.script("exit 0")+" %k\n")
	w.good(describe(foreignHost), host)
	if args := w.read("args"); args != "" {
		t.Error(args)
	}
}

func TestRulesThatNobodyCanFollow(t *testing.T) {
	w := newWorld(t)
	for i, c := range []struct{ rule, said string }{
		{"", "no other rule"},
		{"create cifs.spnego * * /bin/true %k\n", "no other rule"},
		{"create user * * " + shared.program + " %k\n", "no other rule"},
		{"create user * * /nonexistent %k\n", "no such file"},
		{"create user * * /etc/passwd %k\n", "permission denied"},
		{"create user * * /bin/true %{user:x}\n", "theirs.conf:1"},
		{"create user * *\n", "theirs.conf:1"},
		{"create user * * |/bin/false\n", "exit status 1"},
		{"create user * * " + w.script("exec "+shared.program+` "$1"`) + " %k\n", "leads back"},
	} {
		w.rule("theirs.conf", c.rule)
		line := w.rejected(describe(foreignHost, "pid=0xa5", fmt.Sprintf("pid=0x%x", i)), 3, "AZF-UPCALL-FOREIGN")
		if !strings.Contains(line, c.said) {
			t.Errorf("%q: %s", c.rule, line)
		}
	}
}

// The published hardening of cifs.spnego.conf answers every request for as long as it says: its own key is negative,
// not rejected by us.
func TestHardenedRule(t *testing.T) {
	w := newWorld(t)
	keyctl := needs.Program(t, "keyctl", "keyutils")
	w.rule("theirs.conf", "create user * * "+keyctl+" negate %k 30 %S\n")
	if r := w.ask(describe(foreignHost)); !errors.Is(r.err, unix.ENOKEY) {
		t.Errorf("%q, %v", r.payload, r.err)
	}
	w.silent()
}

func TestRuleBehindABar(t *testing.T) {
	w := newWorld(t)
	w.rule("theirs.conf", "create user * * |/bin/cat\n")
	if r := w.ask(describe(foreignHost)); r.err != nil || string(r.payload) != "callout" {
		t.Errorf("%q, %v", r.payload, r.err)
	}
	w.rule("theirs.conf", "create user * * |"+w.script("head -c 32769 /dev/zero")+"\n")
	w.rejected(describe(foreignHost, "pid=0xa5", "pid=0xa6"), 3, "AZF-UPCALL-FOREIGN")
}

// A mount of an account may be one with a user's own ticket: of a domain, as in "Enable Active Directory authentication over
// SMB for Linux clients accessing Azure Files", or of Entra Kerberos (himmelblau issue 1567). Its logins are answered as before
// the package was installed, and never as the machine.
func TestMountsWithUsersOwnTickets(t *testing.T) {
	w := newWorld(t)
	theirs := w.script(`exec keyctl instantiate "$1" theirs 0`)
	w.rule("cifs.spnego.conf", "create user * * "+theirs+" %k %u\n")
	for i, config := range []string{"", "default_identity: system\n", "endpoints: {" + host + ": {identity: system}}\n"} {
		w.config(config)
		for _, change := range []string{
			"creduid=0xfffe;user=root", // no username=
			"creduid=0xfffe;user=alice@CONTOSO.COM",
			"creduid=0xfffe;user=65534", // username=$UID
			"creduid=0xfffe",
			"creduid=0x0;user=CLIENT01$", // of the keytab
		} {
			r := w.ask(describe(host, "creduid=0x0;user=root", change, "pid=0xa5", fmt.Sprintf("pid=0x%x", i)))
			if r.err != nil || string(r.payload) != "theirs" {
				t.Fatalf("%s, %q: %q, %v; %s", change, config, r.payload, r.err, w.logged())
			}
		}
	}
	if args := w.read("args"); !strings.HasSuffix(args, " 0\n") {
		t.Errorf("arguments: %q", args)
	}
	w.silent()
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests to Azure", n)
	}
}

// Neither a further channel whose server the kernel does not name nor a program that is too slow has another identity answer
// such a mount, then or later.
func TestUsersMountStaysTheUsers(t *testing.T) {
	w := newWorld(t)
	w.hurry()
	check(os.WriteFile(w.MountTable, []byte("31 1 0:40 / /mnt rw - cifs //"+host+
		"/share rw,vers=3.1.1,sec=krb5,cruid=65534,username=alice,multichannel,addr=10.99.0.1\n"), 0o600))
	theirs := func(line, pid string) reply {
		w.rule("theirs.conf", "create user * * "+w.script(line)+" %k\n")
		return w.ask(describe(host, "creduid=0x0;user=root", "creduid=0xfffe;user=alice", "pid=0xa5", pid))
	}
	for i, server := range []string{"", "10.99.0.1"} { // as 6.1 and 5.10 have it
		w.rejected(describe(server, "creduid=0x0;user=root", "creduid=0xfffe;user=alice", "pid=0xa5", fmt.Sprintf("pid=0x%x", i)), 5, "AZF-UPCALL-CHANNEL")
	}
	w.rejectedReply(theirs("sleep 60", "pid=0x7"), 3, "AZF-UPCALL-DEADLINE")
	if r := theirs(`exec keyctl instantiate "$1" theirs 0`, "pid=0x8"); string(r.payload) != "theirs" {
		t.Errorf("%d bytes, %v", len(r.payload), r.err)
	}
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests to Azure", n)
	}
}

// The published hardening of cifs.spnego.conf, by which no other server is mounted, is no reason to refuse a login of ours.
func TestOursWhereOthersAreRefused(t *testing.T) {
	w := newWorld(t)
	w.rule("theirs.conf", "create user * * "+needs.Program(t, "keyctl", "keyutils")+" negate %k 30 %S\n")
	w.good(describe(host, "creduid=0x0;user=root", "creduid=0xfffe;user=root"), host)
}

// What names an identity, and the machine's own login, is never left to another rule: its program would take any ticket that it
// finds.
func TestLoginsThatAreOurs(t *testing.T) {
	w := newWorld(t)
	w.rule("cifs.spnego.conf", "create user * * "+w.script(`exec keyctl instantiate "$1" theirs 0`)+" %k %u\n")
	w.config("")
	gone := identity.Identity{Kind: identity.Token, TokenFile: "/gone"}.Username()
	w.rejected(describe(host, "creduid=0x0;user=root", "creduid=0xfffe;user="+gone), 3, "AZF-IDENTITY-UNKNOWN")
	w.good(describe(host2, "user=root", "user="+clientID), host2)
	w.config("default_identity: system\n")
	w.good(describe(host), host)
	w.store(65534, w.cached(0), systemLine)
	w.good(describe(host, "creduid=0x0;user=root", "creduid=0xfffe;user=bob"), host)
	if args := w.read("args"); args != "" {
		t.Errorf("another rule's program was run: %s", args)
	}
}

// Where the other rule's program has no answer either, ours is told, and soon.
func TestNobodysLogin(t *testing.T) {
	w := newWorld(t)
	w.hurry()
	w.config("")
	keyctl := needs.Program(t, "keyctl", "keyutils")
	for i, c := range []struct {
		rule, fault string
	}{
		{"/bin/true %k", "AZF-IDENTITY-UNKNOWN"},
		{"/nonexistent %k", "AZF-IDENTITY-UNKNOWN"},
		{"|/bin/cat", "AZF-IDENTITY-UNKNOWN"},
		{"/bin/sleep 60", "AZF-UPCALL-DEADLINE"},
		{w.script("exec "+shared.program+` "$1"`) + " %k", "AZF-IDENTITY-UNKNOWN"},
		{keyctl + " negate %k 30 %S", "AZF-IDENTITY-UNKNOWN"}, // the published hardening
	} {
		w.rule("theirs.conf", "create user * * "+c.rule+"\n")
		w.rejected(describe(host, "creduid=0x0", "creduid=0xfffe", "pid=0xa5", fmt.Sprintf("pid=0x%x", i)), 3, c.fault)
	}
	w.rule("theirs.conf", "create user * * "+w.script(`exec keyctl instantiate "$1" theirs 0`)+" %k\n")
	w.rejected(describe(host), 3, "AZF-IDENTITY-UNKNOWN") // the machine's
}
