package doctor

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const (
	acct       = "acct.file.core.windows.net"
	privAcct   = "acct.privatelink.file.core.windows.net"
	otherAcct  = "other.file.core.windows.net"
	oneClient  = "b0000000-0000-4000-8000-00000000000b"
	someClient = "c0000000-0000-4000-8000-00000000000c"
	cachePath  = "/run/azfilesauth/krb5cc_0"
)

// noon is when the tests are made.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// healthyFiles are a machine on which the checks of this file's subjects find nothing.
func healthyFiles() map[string]string {
	return map[string]string{
		"etc/azfilesauth/config.yaml": "USER_UID: 0\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\n",
		"etc/fstab": "# the table\nUUID=1 / ext4 defaults 0 1\n" +
			"//" + acct + "/share /mnt/share azfiles _netdev,nofail,identity=system 0 0\n",
		"etc/passwd":             "root:x:0:0:root:/root:/bin/bash\napp:x:1000:1000::/home/app:/bin/bash\nazfilesuser:x:990:990::/nonexistent:/usr/sbin/nologin\n",
		"etc/group":              "root:x:0:\nsudo:x:27:admin\napp:x:1000:\nazfilesuser:x:990:\n",
		"etc/krb5.conf":          "[libdefaults]\n\tdefault_realm = EXAMPLE.COM\n",
		"proc/1/mountinfo":       mountLine(acct, "/mnt/share", "cruid=0,username=root"),
		"run/azfilesauth/.keep":  "",
		"mnt/share/.keep":        "",
		"two/.keep":              "",
		"mnt/other/.keep":        "",
		"m/.keep":                "",
		"usr/bin/azfilesauth":    "\x7fELF",
		"usr/bin/azfilesrefresh": "\x7fELF",
	}
}

func mountLine(host, target, options string) string {
	return "39 1 0:26 / " + target + " rw,relatime - cifs //" + host + "/share rw,vers=3.1.1,sec=krb5," + options + ",addr=10.0.0.4\n"
}

// build makes a folder of the files, with a good credential cache unless one is among them.
func build(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if _, there := files[cachePath[1:]]; !there {
		files[cachePath[1:]] = string(aCache(noon.Add(time.Hour), 18, "identity=system"))
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		mode := os.FileMode(0o644)
		if strings.Contains(name, "krb5cc") {
			mode = 0o600
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			continue
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Canaries: what a ticket and its key are made of must be nowhere in a result.
const (
	keyCanary    = "KEYcanaryKEYcanaryKEYcanaryKEYca" // 32 bytes
	ticketCanary = "TICKETcanaryTICKETcanary"
)

func principal(realm string, parts ...string) ccache.Principal {
	return ccache.Principal{NameType: 1, Realm: realm, Components: parts}
}

func aTicket(host string, end time.Time, etype uint16) ccache.Credential {
	key := keyCanary
	if etype == ccache.RC4 {
		key = key[:16]
	}
	return ccache.Credential{
		Client: principal(azurefake.DefaultRealm, ccache.AzureClient), Server: principal(azurefake.DefaultRealm, "cifs", host),
		Key: ccache.Key{Etype: etype, Value: secret.FromString(key)}, AuthTime: end.Add(-2 * time.Hour), EndTime: end,
		Ticket: secret.FromString(ticketCanary),
	}
}

// aCache is a credential cache with one ticket and who obtained it.
func aCache(end time.Time, etype uint16, record string) []byte {
	var c ccache.Cache
	c.Put(aTicket(acct, end, etype), ccache.Record{Identity: strings.TrimPrefix(record, "identity="), ObtainedAt: noon.Add(-time.Hour), Refreshable: true})
	return c.Marshal()
}

// names is a Lookup.
type names struct {
	addresses map[string]string
	cname     string
}

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	a, ok := n.addresses[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr(a)}, nil
}

func (n names) LookupCNAME(_ context.Context, host string) (string, error) {
	if n.cname != "" {
		return n.cname + ".", nil
	}
	return host + ".", nil
}

// usualNames are a network with a private endpoint.
func usualNames() names {
	return names{map[string]string{acct: "10.0.0.4", privAcct: "10.0.0.4", otherAcct: "20.60.1.2", "files.example.internal": "10.0.0.4"}, ""}
}

// silence is a Kernel that has said nothing.
type silence struct{ lines []LogLine }

func (silence) AddKey(string, string) error { return os.ErrInvalid }
func (silence) Describe(keyring.Serial) (keyring.Description, error) {
	return keyring.Description{}, os.ErrInvalid
}
func (s silence) Log() ([]LogLine, error) { return s.lines, nil }

// accepting dials a peer that accepts everything.
func accepting(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	_ = there.Close()
	return here, nil
}

// reported makes this file's checks on a machine; live ones need a fake.
func reported(t *testing.T, o Options) Report {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return Run(t.Context(), s, azureChecks())
}

// checked gives the only result of a check with that status, or fails.
func checked(t *testing.T, r Report, id ID, status Status) Finding {
	t.Helper()
	for _, f := range r.Checks {
		if f.ID == id && f.Status == status {
			return f
		}
	}
	t.Fatalf("no %s of %s in\n%s", status, id, text(r))
	return Finding{}
}

// onlyFound checks that nothing but ids was found.
func onlyFound(t *testing.T, r Report, ids ...ID) {
	t.Helper()
	for _, f := range r.Checks {
		if f.found() && !slices.Contains(ids, f.ID) {
			t.Errorf("found %s (%s) as well: %q", f.ID, f.Endpoint, f.Evidence)
		}
	}
}

func text(r Report) string {
	var b strings.Builder
	r.Write(&b, nil)
	return b.String()
}

// noSecrets checks that nothing secret is in the report in any form.
func noSecrets(t *testing.T, r Report, secrets ...string) {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	all := string(data) + text(r)
	for _, s := range append(secrets, keyCanary[:16], ticketCanary, "eyJ") { // eyJ begins every token of the fake
		if strings.Contains(all, s) {
			t.Errorf("%q is in the report", s)
		}
	}
}
