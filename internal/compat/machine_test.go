package compat

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const (
	storageHost = "acct.file.core.windows.net"
	uri         = "https://" + storageHost
	other       = "other.file.core.windows.net"
	otherURI    = "https://" + other
	realm       = azurefake.DefaultRealm
	clientID    = "b0000000-0000-4000-8000-00000000000b"
	appID       = "a0000000-0000-4000-8000-00000000000a" // of the workload identity
)

const resourceID = "/subscriptions/50000000-0000-4000-8000-000000000005/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/b"

// hosts are the storage accounts of a machine's Azure.
var hosts = []string{storageHost, other, "third.file.core.windows.net", "fourth.file.core.windows.net"}

func fakeOptions() azurefake.Options {
	return azurefake.Options{
		Hosts: hosts,
		Identities: []azurefake.ManagedIdentity{{
			ClientID: clientID, ObjectID: "b0000000-0000-4000-8000-0000000000ff",
			ResourceID: resourceID,
		}, {ClientID: appID, ObjectID: "a0000000-0000-4000-8000-0000000000ff"}},
		Apps: []azurefake.App{{ClientID: appID, Federated: true}},
	}
}

// machine is one on which azfilesauthmanager runs in this process, and its Azure.
type machine struct {
	*testing.T
	fake   *azurefake.Fake
	dir    string
	ccache string // path of the credential cache
	token  string // an access token
	tool   Tool
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	fake, err := azurefake.Start(fakeOptions())
	must(t, err)
	t.Cleanup(fake.Close)
	m := &machine{T: t, fake: fake, dir: t.TempDir(), token: fake.MintToken(azurefake.MintOptions{})}
	m.ccache = m.in("krb5cc")
	m.write("mountinfo", "")
	m.write("ca.pem", string(fake.CA()))
	m.write("token", m.token+"\n")
	m.write("config.yaml", "KRB5_CC_NAME: "+m.ccache+"\n")
	m.tool = Tool{
		Version: "2.0.0", Host: machineIn(m.dir), Zone: time.UTC,
		Access: tickets.Access{Transport: fake.Transport(), IMDS: fake.Transport()},
	}
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *machine) in(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) write(name, content string) {
	m.Helper()
	must(m.T, os.WriteFile(m.in(name), []byte(content), 0o600))
}

// configure adds a line to the configuration.
func (m *machine) configure(line string) {
	m.Helper()
	b, err := os.ReadFile(m.in("config.yaml"))
	must(m.T, err)
	m.write("config.yaml", string(b)+line+"\n")
}

// hurry makes the machine give up after a second.
func (m *machine) hurry() { m.configure("CURL_TOTAL_TIMEOUT: 1") }

// mounted puts an SMB mount of the account into the mount table.
func (m *machine) mounted(username string) {
	m.write("mountinfo", "39 22 0:26 / /mnt rw,relatime - cifs //"+storageHost+"/share rw,vers=3.1.1,sec=krb5,cruid=0,username="+username+",addr=10.0.0.4\n")
}

// workload is the command line of the driver for a workload identity, with a token file like its.
func (m *machine) workload(volume string) []string {
	m.Helper()
	file := appID + "-acct-" + volume
	m.write(file, m.fake.FederatedToken(appID))
	return []string{
		"set", uri, "--workload-identity", "--tenant-id", azurefake.TenantID, "--client-id", appID, "--token-file", m.in(file),
		"--authority-host", "https://login.microsoftonline.com/", "--resource", "https://storage.azure.com/",
	}
}

// result is how a run ended.
type result struct {
	status   int
	out, err string
}

// run runs azfilesauthmanager and holds what is promised of every run: no token in what it prints,
// lines on stderr that are not too long, one line on stderr for a failure, and nothing on stdout from set.
func (m *machine) run(args ...string) result { return m.runWith("", args...) }

func (m *machine) runWith(stdin string, args ...string) result {
	m.Helper()
	t := m.tool
	var out, err bytes.Buffer
	t.Stdin, t.Stdout, t.Stderr = strings.NewReader(stdin), &out, &err
	r := result{status: t.Run(append([]string{program}, args...)), out: out.String(), err: err.String()}
	if r.status != 0 {
		m.Logf("%.80q: %d\n%s%s", args, r.status, r.out, r.err)
	}
	m.promised(r, args)
	return r
}

func (m *machine) promised(r result, args []string) {
	m.Helper()
	if both := r.out + r.err; strings.Contains(both, m.token) || strings.Contains(both, "eyJ") {
		m.Errorf("%.80q: a token is in the output", args)
	}
	lines := strings.SplitAfter(r.err, "\n")
	for _, line := range lines[:len(lines)-1] {
		if len(line) > 1024 || !strings.HasPrefix(line, program+": ") || strings.ContainsFunc(line[:len(line)-1], func(c rune) bool { return c < ' ' }) {
			m.Errorf("%.80q: a bad line of %d bytes on stderr: %q", args, len(line), line)
		}
	}
	verbose := strings.Contains(strings.Join(args, " "), " -v")
	if r.status != 0 && len(args) > 0 && !verbose && (len(lines) != 2 || lines[1] != "") {
		m.Errorf("%.80q: a failure is one line on stderr, not %q", args, r.err)
	}
	if len(args) > 0 && args[0] == cmdSet && r.out != "" && r.out != help {
		m.Errorf("%.80q: set prints %q", args, r.out)
	}
}

// works runs what must succeed without a word on stderr.
func (m *machine) works(args ...string) result {
	m.Helper()
	r := m.run(args...)
	if r.status != 0 || r.err != "" {
		m.Fatalf("%.80q: %d %s", args, r.status, r.err)
	}
	return r
}

// fails runs what must fail with a fault, and gives the fault as the comparison shows it.
func (m *machine) fails(id fault.Named, args ...string) string {
	m.Helper()
	r := m.run(args...)
	head := program + ": " + id.String() + ": "
	want := exitFailure
	if id == fault.Named(fault.IdentityConflict) {
		want = exitConflict
	}
	if r.status != want || !strings.HasPrefix(r.err, head) || !strings.Contains(r.err, "; fix: ") {
		m.Fatalf("%.80q: %d %s; want %s", args, r.status, r.err, id)
	}
	what, _, _ := strings.Cut(strings.TrimPrefix(r.err, head), "; fix: ")
	what = strings.Replace(what, " (IMDS)", "", 1)
	what, _, _ = strings.Cut(what, " (") // the cause
	return "1: `" + id.String() + "`: " + strings.NewReplacer(m.ccache, "krb5cc", m.dir+"/", "").Replace(what)
}

// idle fails the test when Azure was asked.
func (m *machine) idle() {
	m.Helper()
	if n := len(m.fake.Requests()); n > 0 {
		m.Errorf("%d requests", n)
	}
}

// rows is what list --json tells, in the JSON that programs read.
func (m *machine) rows() []map[string]any {
	m.Helper()
	var rows []map[string]any
	must(m.T, json.Unmarshal([]byte(m.works("list", "--json").out), &rows))
	return rows
}

// holds fails the test unless the tickets are those for the hosts.
func (m *machine) holds(hosts ...string) {
	m.Helper()
	rows := m.rows()
	if len(rows) != len(hosts) {
		m.Fatalf("%d tickets, want those for %v: %v", len(rows), hosts, rows)
	}
	for i, h := range hosts {
		if rows[i]["server"] != "cifs/"+h+"@"+realm {
			m.Errorf("ticket %d is for %v, want %s", i, rows[i]["server"], h)
		}
	}
}

// cache is the credential cache.
func (m *machine) cache() *ccache.Cache {
	m.Helper()
	b, err := os.ReadFile(m.ccache)
	must(m.T, err)
	c, err := ccache.Parse(b)
	must(m.T, err)
	return c
}

// mit runs one of MIT's own programs with a configuration that lets it ask nobody.
func (m *machine) mit(conf, name string, args ...string) (string, error) {
	m.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		m.Fatalf("%v: install krb5-user (Debian, Ubuntu) or krb5-workstation (RHEL)", err)
	}
	m.write("krb5.conf", "[libdefaults]\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"+
		" dns_canonicalize_hostname = false\n rdns = false\n"+conf)
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"KRB5_CONFIG=" + m.in("krb5.conf"), "TZ=UTC", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// klist fails the test unless MIT's klist reads the cache and shows tickets for the hosts.
func (m *machine) klist(hosts ...string) {
	m.Helper()
	out, err := m.mit("", "klist", "-c", "FILE:"+m.ccache)
	must(m.T, err)
	for _, h := range hosts {
		if !strings.Contains(out, "cifs/"+h+"@"+realm) {
			m.Errorf("klist does not show %s:\n%s", h, out)
		}
	}
}
