package main

import (
	"debug/elf"
	"encoding/json"
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

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// readelf gives what readelf shows of a library.
func readelf(t *testing.T, library string, flags ...string) string {
	t.Helper()
	cmd := exec.Command(needs.Program(t, "readelf", "binutils"), append(flags, "-W", library)...)
	cmd.Env = []string{"LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("readelf: %v\n%s", err, out)
	}
	return string(out)
}

// TestWhatIsExported keeps the names of Go's runtime and of this library's insides from meeting
// those of the program or of other libraries.
func TestWhatIsExported(t *testing.T) {
	var names []string
	for line := range strings.Lines(readelf(t, install(t).library, "--dyn-syms")) {
		f := strings.Fields(line) // number, value, size, type, bind, visibility, section, name
		if len(f) == 8 && f[0] != "Num:" && f[6] != "UND" {
			names = append(names, f[7])
		}
	}
	slices.Sort(names)
	want := []string{"extern_smb_clear_credential", "extern_smb_list_credential", "extern_smb_set_credential_oauth_token", "extern_smb_version"}
	if !slices.Equal(names, want) {
		t.Errorf("it exports %q", names)
	}
}

func TestWhatIsNeeded(t *testing.T) { loads(t, install(t).library) }

// loads holds that a library loads on the distributions that Azure runs.
func loads(t *testing.T, library string) {
	t.Helper()
	dynamic := readelf(t, library, "-d")
	if !strings.Contains(dynamic, "Library soname: [libazfilesauth.so.0]") || strings.Contains(dynamic, "TEXTREL") {
		t.Error(dynamic)
	}
	for _, m := range regexp.MustCompile(`Shared library: \[(.*)\]`).FindAllStringSubmatch(dynamic, -1) {
		if m[1] != "libc.so.6" && !strings.HasPrefix(m[1], "ld-linux") {
			t.Errorf("it needs %s", m[1])
		}
	}
	versions := regexp.MustCompile(`GLIBC_(\d+)\.(\d+)`).FindAllStringSubmatch(readelf(t, library, "--version-info"), -1)
	if len(versions) == 0 {
		t.Fatal("no versions of glibc are found")
	}
	for _, v := range versions {
		major, _ := strconv.Atoi(v[1])
		minor, _ := strconv.Atoi(v[2])
		if major != 2 || minor > 34 {
			t.Errorf("it needs %s", v[0])
		}
	}
}

// TestAnOlderProgramCompiles builds a program written for AzFilesAuthenticator's header, which is for C++ and
// brings strings and streams, and one in C, and runs them.
func TestAnOlderProgramCompiles(t *testing.T) {
	in := install(t)
	for compiler, source := range map[string]string{"g++": "older.cpp", "gcc": "older.c"} {
		t.Run(compiler, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "older")
			cmd := exec.Command(needs.Program(t, compiler, compiler), "-Wall", "-Wextra", "-Werror", "-I"+in.root+"/usr/include",
				"-o", program, "testdata/"+source, "-L"+in.root+"/usr/lib", "-l:libazfilesauth.so.0.0.0", "-Wl,-rpath,"+in.root+"/usr/lib")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if out, err := exec.Command(program).CombinedOutput(); err != nil || string(out) != "2.3.4 2.3.4 /etc/azfilesauth/config.yaml\n" {
				t.Errorf("%v: %q", err, out)
			}
		})
	}
}

func TestWhatIsInstalled(t *testing.T) {
	in := install(t)
	for name, want := range map[string]string{"libazfilesauth.so": "libazfilesauth.so.0", "libazfilesauth.so.0": "libazfilesauth.so.0.0.0"} {
		if link, err := os.Readlink(in.root + "/usr/lib/" + name); err != nil || link != want {
			t.Errorf("%s leads to %s %v", name, link, err)
		}
	}
	pc, err := os.ReadFile(in.root + "/usr/lib/pkgconfig/azfilesauth.pc")
	for _, line := range []string{"prefix=/usr\n", "libdir=/usr/lib\n", "Version: 2.3.4\n", "-lazfilesauth\n"} {
		if err != nil || !strings.Contains(string(pc), line) {
			t.Errorf("%q is not in %s %v", line, pc, err)
		}
	}
}

// TestSetListClear has a caller's output and the library's in one stream, in their order.
func TestSetListClear(t *testing.T) {
	m := newMachine(t)
	r := m.call("version", "json", "set", uri, m.token, "set", other, m.token, "list", "json", "clear", uri, "clear", uri, "json")
	if r.code != 0 || r.err != "" {
		t.Fatalf("%d %s\n%s", r.code, r.out, r.err)
	}
	server := "cifs/" + account + "@" + azurefake.DefaultRealm
	text := regexp.MustCompile(`^2\.3\.4\n\[\]\njson 0\nset 0\nset 0\nUsing Kerberos cache: ` + regexp.QuoteMeta(m.ccache) +
		`\nCredential 1:\n  Server: ` + regexp.QuoteMeta(server) + `\n(?s:.*)\nlist 0\n(\[\n(?s:.*)\n\]\n)json 0\nclear 0\nclear 0\n(\[\n(?s:.*)\n\]\n)json 0\n$`)
	found := text.FindStringSubmatch(r.out)
	if found == nil {
		t.Fatal(r.out)
	}
	var both, one []map[string]any
	m.must(json.Unmarshal([]byte(found[1]), &both))
	m.must(json.Unmarshal([]byte(found[2]), &one))
	if len(both) != 2 || len(one) != 1 || both[0]["server"] != server || len(both[0]) != 7 {
		t.Errorf("%v\n%v", both, one)
	}
	m.holds("other.file.core.windows.net")
	for _, record := range []string{`msg="ticket obtained"`, `msg="ticket erased"`, `msg="there is no ticket to erase"`, "program=azfilesauth"} {
		if !strings.Contains(m.logged(), record) {
			t.Errorf("%s is not in the log:\n%s", record, m.logged())
		}
	}
}

// TestOldDaemon has the one of AzFilesAuthenticator replace tickets in time: who obtained them stays known.
func TestOldDaemon(t *testing.T) {
	m := newMachine(t)
	const client = "b0000000-0000-4000-8000-00000000000b"
	records := func(identity string, refreshable bool) {
		t.Helper()
		b, err := os.ReadFile(m.ccache)
		m.must(err)
		c, err := ccache.Parse(b)
		m.must(err)
		if rec, _ := c.Record("cifs/" + account); rec.Identity != identity || rec.Refreshable != refreshable {
			t.Errorf("%+v, want %s", rec, identity)
		}
	}
	m.calls("set 0\n", "set", uri, m.token)
	records("token", false)
	b, err := os.ReadFile(m.ccache)
	m.must(err)
	c, err := ccache.Parse(b)
	m.must(err)
	ticket, _ := c.Ticket("cifs/" + account)
	c.Put(ticket, ccache.Record{Identity: "user-assigned client_id=" + client, ObtainedAt: time.Now(), Refreshable: true})
	m.must(os.WriteFile(m.ccache, c.Marshal(), 0o600))
	m.calls("set 0\n", "set", uri, m.fake.MintToken(azurefake.MintOptions{AppID: client}))
	records("user-assigned client_id="+client, true)
	m.calls("set 0\n", "set", uri, m.token)
	records("token", false)
}

// TestPython has ctypes, as AzFilesAuthenticator's own programs.
func TestPython(t *testing.T) {
	m := newMachine(t)
	python := needs.Program(t, "python3", "python3")
	r := m.start(exec.Command(python, "testdata/caller.py", m.library, uri, m.token))
	want := regexp.MustCompile(`^set 0 True\nbad -1 0\n\[\n  \{\n    "server": "cifs/` + account + `@(?s:.*)\}\n\]\njson 0\nclear 0\nversion 2\.3\.4 True\n$`)
	if r.code != 0 || r.err != "" || !want.MatchString(r.out) {
		t.Errorf("%d %s\n%s", r.code, r.out, r.err)
	}
}

func TestNothingAborts(t *testing.T) {
	m := newMachine(t)
	m.calls("nulls -1 -1 -1 -1 -1 -1 -1\n", "nulls", uri, m.token)
	if n := len(m.fake.Requests()); n != 0 {
		t.Errorf("Azure was asked %d times", n)
	}
	for _, id := range []string{"AZF-CALL-INVALID", "AZF-HOST-UNKNOWN", "AZF-TOKEN-INVALID"} {
		if !strings.Contains(m.logged(), id) {
			t.Errorf("%s is not in the log", id)
		}
	}
	m.calls("hostile -1\nset 0\n", "hostile", uri, m.token, "set", uri, m.token)
	for line := range strings.Lines(m.logged()) {
		if len(line) > 4096 {
			t.Fatalf("a line of %d bytes is in the log", len(line))
		}
	}
	m.holds(account)
}

// TestAzureFails has an earlier ticket, which must stay.
func TestAzureFails(t *testing.T) {
	m := newMachine(t)
	m.calls("set 0\n", "set", uri, m.token)
	m.configure("CURL_TOTAL_TIMEOUT: 1\n")
	for _, o := range []azurefake.Order{
		{Target: azurefake.TargetStorage, Status: 403},
		{Target: azurefake.TargetStorage, Hang: true},
	} {
		o.Times = 1
		m.fake.Order(o)
		m.calls("set -1\n", "set", uri, m.token)
		m.holds(account)
	}
	if log := m.logged(); !strings.Contains(log, "AZF-ENDPOINT-TIMEOUT") || !strings.Contains(log, "a longer CURL_TOTAL_TIMEOUT in the configuration may help") {
		t.Errorf("the log has no AZF-ENDPOINT-TIMEOUT with what to set: %s", log)
	}
	m.calls("set -1\n", "set", uri, "eyJhbGciOiJub25lIn0.e30.")
	m.holds(account)
}

// TestCacheOfAnotherUser has a credential uid that is not the caller's: an access control list lets it read, whose
// mask the mode shows.
func TestCacheOfAnotherUser(t *testing.T) {
	m := newMachine(t)
	m.etc("passwd", "root:x:0:0::/root:/bin/sh\nazfilesuser:x:1001:1002::/:/bin/false\n")
	m.configure("USER_UID: 1001\n")
	m.calls("set 0\n", "set", uri, m.token)
	info, err := os.Stat(m.ccache)
	m.must(err)
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 0 || st.Gid != 0 || info.Mode().Perm() != 0o640 {
		t.Errorf("the cache is %d:%d %v", st.Uid, st.Gid, info.Mode())
	}
}

// TestNotRoot has no log that the caller may write to, hence standard error.
func TestNotRoot(t *testing.T) {
	m := newMachine(t)
	r := m.call("drop", "set", uri, m.token, "clear", uri, "json", "list")
	if want := "set -1\nclear -1\n[]\njson -1\nlist -1\n"; r.code != 0 || r.out != want || strings.Count(r.err, "azfilesauth: AZF-NOT-ROOT: ") != 4 {
		t.Errorf("%d %s\n%s", r.code, r.out, r.err)
	}
	lines := m.syslog()
	m.must(os.Chmod("/run/syslog", 0o666))
	m.calls("[]\njson -1\n", "drop", "json")
	if line := <-lines; !strings.Contains(line, " azfilesauth[") || !strings.Contains(line, "AZF-NOT-ROOT") {
		t.Error(line)
	}
}

func TestBadConfiguration(t *testing.T) {
	m := newMachine(t)
	lines := m.syslog()
	m.configure("USER_UID: nobody\n")
	m.calls("set -1\nclear -1\n[]\njson -1\nlist -1\n", "set", uri, m.token, "clear", uri, "json", "list")
	for range 4 {
		if line := <-lines; !strings.Contains(line, "AZF-CONFIG-INVALID") || !strings.Contains(line, "USER_UID") {
			t.Error(line)
		}
	}
	// Then the defaults count, and nothing is made. The cache is that of the machine's root, which may hold tickets.
	m.must(os.RemoveAll("/etc/azfilesauth"))
	if r := m.call("json"); r.code != 0 || !strings.HasPrefix(r.out, "[") || !strings.HasSuffix(r.out, "]\njson 0\n") {
		t.Errorf("%d %s\n%s", r.code, r.out, r.err)
	}
	if _, err := os.Stat("/etc/azfilesauth"); err == nil {
		t.Error("a list made a configuration")
	}
}

// TestDamagedCache is not an empty one.
func TestDamagedCache(t *testing.T) {
	m := newMachine(t)
	m.must(os.WriteFile(m.ccache, []byte("\x05\x04garbage"), 0o600))
	m.calls("[]\njson -1\nlist -1\n", "json", "list")
	m.calls("set 0\n", "set", uri, m.token)
	m.holds(account)
}

// TestEnvironmentStays has variables in the configuration and in the environment that Go code sets
// and removes; the caller compares its environment when it ends.
func TestEnvironmentStays(t *testing.T) {
	m := newMachine(t)
	m.configure("ENVIRONMENT: {AZURE_AUTHORITY_HOST: 'https://login.example', A_NEW_ONE: x}\n")
	m.calls("set 0\n", "set", uri, m.token)
}

func TestThreads(t *testing.T) {
	m := newMachine(t)
	args := []string{"threads"}
	for _, h := range hosts {
		args = append(args, "https://"+h)
	}
	r := m.call(append(args, m.token)...)
	if r.code != 0 || r.err != "" || !strings.HasSuffix(r.out, "\nthreads 0\n") {
		t.Errorf("%d %.2000s\n%s", r.code, r.out, r.err)
	}
	m.holds(hosts...)
}

// TestManyCalls has 1500 calls; what they leave behind would show.
func TestManyCalls(t *testing.T) {
	m := newMachine(t)
	r := m.call("many", "300", uri, m.token)
	found := regexp.MustCompile(`\nmany 0 failures, (-?\d+) more descriptors, (-?\d+) more KiB\n$`).FindStringSubmatch(r.out)
	if r.code != 0 || r.err != "" || found == nil {
		t.Fatalf("%d %.2000s\n%s", r.code, r.out, r.err)
	}
	files, _ := strconv.Atoi(found[1])
	memory, _ := strconv.Atoi(found[2])
	if files > 0 || memory > 4<<10 {
		t.Error(found[0])
	}
	t.Log(found[0])
}

func TestFork(t *testing.T) {
	m := newMachine(t)
	r := m.call("set", uri, m.token, "fork", uri, m.token)
	if r.code != 0 || r.out != "set 0\nfork 0, then 0\n" || strings.Count(r.err, "cannot be used in a process that fork() made") != 3 {
		t.Errorf("%d %s\n%s", r.code, r.out, r.err)
	}
}

// TestBrokenPipe has a reader of the list that has gone. What SIGPIPE does to the program's own writes
// does not change.
func TestBrokenPipe(t *testing.T) {
	m := newMachine(t)
	r := m.call("set", uri, m.token, "nosigpipe", "pipe", "set", other, m.token)
	if r.code != 0 || r.err != "list -1\nwrite: Broken pipe\n" || !strings.HasSuffix(r.out, "set 0\n") {
		t.Errorf("%d %s\n%s", r.code, r.out, r.err)
	}
	if !strings.Contains(m.logged(), "AZF-OUTPUT-FAILED") {
		t.Error(m.logged())
	}
	if r := m.call("pipe"); r.signal != syscall.SIGPIPE || r.err != "list -1\n" {
		t.Errorf("%d %v %s\n%s", r.code, r.signal, r.out, r.err)
	}
}

// TestArm64 builds for the other one that Azure has.
func TestArm64(t *testing.T) {
	cc := needs.Program(t, "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")
	out := filepath.Join(t.TempDir(), "libazfilesauth.so.0")
	cmd := exec.Command("make", "-C", "../..", "clib", "CLIB="+out)
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "GOARCH=arm64", "CC="+cc)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	file, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if file.Machine != elf.EM_AARCH64 {
		t.Errorf("it is for %v", file.Machine)
	}
	loads(t, out)
}
