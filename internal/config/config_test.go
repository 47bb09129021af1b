package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/log"
)

const (
	guid  = "11111111-2222-3333-4444-555555555555"
	guid2 = "99999999-2222-3333-4444-555555555555"
)

// write makes a configuration file and gives its path.
func write(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAt reads the configuration at path of a machine that trusts the caller.
func readAt(path string) (*Config, error) {
	h := host.Real().Trusting(os.Geteuid())
	h.Config = path
	return Read(h)
}

// TestFileThatIsJustMade: whoever reads while the file is put there finds none, or the file.
func TestFileThatIsJustMade(t *testing.T) {
	path := write(t, "USER_UID: 7\n")
	for range 3000 {
		if err := os.Rename(path, path+".new"); err != nil {
			t.Fatal(err)
		}
		made := make(chan error)
		go func() { made <- os.Rename(path+".new", path) }()
		_, err := readAt(path)
		if err := errors.Join(err, <-made); err != nil {
			t.Fatal(err)
		}
	}
}

// Strict is the error of Check.
func (c *Config) Strict() error {
	h := host.Real().Trusting(os.Geteuid())
	h.Config = c.Path
	_, _, err := Check(h)
	return err
}

// load reads a configuration that must be good.
func load(t testing.TB, content string) *Config {
	t.Helper()
	c, err := readAt(write(t, content))
	if err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	return c
}

func TestDefaults(t *testing.T) {
	missing, err := readAt(filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]*Config{
		"missing": missing, "empty": load(t, ""), "comment": load(t, "# nothing\n"), "mark": load(t, "\ufeff"),
		"begin": load(t, "---\n"), "null": load(t, "~\n"), "empty mapping": load(t, "{}\n"),
		"empty sections": load(t, "identities:\nendpoints:\nrefresh:\nupcall: {}\nENVIRONMENT:\n"),
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			want := defaults(c.Path)
			if want.Missing = name == "missing"; !want.Missing {
				want.Files = []string{c.Path}
			}
			if !reflect.DeepEqual(c, want) {
				t.Errorf("got  %+v\nwant %+v", c, want)
			}
		})
	}
	c := missing
	if c.CredentialUID != 0 || c.Transport.ConnectTimeout != 10*time.Second || c.TotalTimeout != 30*time.Second || c.Transport.Proxy != nil ||
		len(c.Warnings) != 0 || c.Strict() != nil || c.CCacheName(1000) != "/tmp/krb5cc_1000" {
		t.Errorf("got %+v", c)
	}
	if id, ok := c.IdentityFor(""); ok {
		t.Errorf("default identity %v", id)
	}
	if id, ok := c.IdentityFor("acct.file.core.windows.net"); ok {
		t.Errorf("endpoint identity %v", id)
	}
	if id, ok, err := c.Identity("backup"); ok || err != nil {
		t.Errorf("identity %v, %v", id, err)
	}
}

// The file that the CSI driver's init container writes, and the one-line file of others.
func TestDropIn(t *testing.T) {
	c := load(t, "USER_UID: 0\nKRB5_CC_NAME: /var/lib/kubelet/kerberos/krb5cc_0\nLOG_DESTINATION: \"file\"\n")
	if c.CredentialUID != 0 || c.CCacheName(0) != "/var/lib/kubelet/kerberos/krb5cc_0" || c.Log.Destination != "file" || c.Strict() != nil {
		t.Errorf("got %+v", c)
	}
	c = load(t, "USER_UID: 1001")
	if c.CredentialUID != 1001 || c.CCacheName(1001) != "/tmp/krb5cc_1001" {
		t.Errorf("got %+v", c)
	}
}

func TestAllKeys(t *testing.T) {
	c := load(t, `
# everything
USER_UID: 1001        # the credential uid
KRB5_CC_NAME: FILE:/run/azfilesauth/krb5cc_%{uid}
LOG_DESTINATION: Journal
LOG_FILE_PATH: '/var/log/a b.log'
CURL_CONNECT_TIMEOUT: "7"
CURL_TOTAL_TIMEOUT: 99
ENVIRONMENT:
  MSI_ENDPOINT: http://localhost:40342/metadata/identity/oauth2/token
  NUMBER: 5
  SWITCH: true
  EMPTY:
default_identity: backup
identities:
  backup: {client_id: `+strings.ToUpper("abcdefab")+guid[8:]+`}
  file:
    token_file: /run/token
    resource: https://storage.azure.com/
  self: {kind: system}
  named: {kind: user-assigned, client_id: `+guid+`}
endpoints:
  acct.file.core.windows.net: {identity: file}
  Files.Example.Internal.: {canonical: Own.File.core.windows.net, identity: system}
  cloud.example: {authority: "https://login.example/", resource: https://storage.example}
refresh: {at: 70%, before_expiry: 90s, jitter: 0.25, concurrency: 3}
upcall: {mode: cifs, deadline: 4500ms}
metrics: {socket: on, textfile: /var/lib/x/azfilesauth.prom}
proxy: http://user:pass@proxy.example:3128
`)
	backup := identity.Identity{Kind: identity.UserAssigned, ClientID: "abcdefab" + guid[8:]}
	file := identity.Identity{Kind: identity.Token, TokenFile: "/run/token", Resource: "https://storage.azure.com"}
	checks := map[string][2]any{
		"uid":         {c.CredentialUID, 1001},
		"cache":       {c.CCacheName(7), "/run/azfilesauth/krb5cc_7"},
		"log":         {c.Log, log.Settings{Destination: "journal", Path: "/var/log/a b.log", Format: "text"}},
		"connect":     {c.Transport.ConnectTimeout, 7 * time.Second},
		"total":       {c.TotalTimeout, 99 * time.Second},
		"environment": {c.Environment, map[string]string{"MSI_ENDPOINT": "http://localhost:40342/metadata/identity/oauth2/token", "NUMBER": "5", "SWITCH": "true", "EMPTY": ""}},
		"default":     {*c.fallback, backup},
		"owners":      {c.owners, map[string]identity.Identity{"acct.file.core.windows.net": file, "own.file.core.windows.net": {Kind: identity.System}}},
		"refresh":     {c.Refresh, Refresh{At: 0.7, BeforeExpiry: 90 * time.Second, Jitter: 0.25, Concurrency: 3}},
		"upcall":      {fmt.Sprint(c.Upcall.Mode, c.Upcall.Deadline), "cifs4.5s"},
		"metrics":     {c.Metrics, Metrics{Socket: true, Textfile: "/var/lib/x/azfilesauth.prom"}},
		"proxy":       {c.Transport.Proxy.String(), "http://user:pass@proxy.example:3128"},
		"warnings":    {len(c.Warnings), 0},
	}
	for name, check := range checks {
		if !reflect.DeepEqual(check[0], check[1]) {
			t.Errorf("%s: got %+v, want %+v", name, check[0], check[1])
		}
	}
	for name, want := range map[string]identity.Identity{"backup": backup, "file": file, "self": {Kind: identity.System}, "named": {Kind: identity.UserAssigned, ClientID: guid}} {
		if got, ok, err := c.Identity(name); got != want || !ok || err != nil {
			t.Errorf("%s: %v %v %v", name, got, ok, err)
		}
	}
}

func TestDialect(t *testing.T) {
	tests := map[string]string{
		"CRLF":              "USER_UID: 1001\r\nKRB5_CC_NAME: FILE:/x/cc\r\n",
		"CR":                "USER_UID: 1001\rKRB5_CC_NAME: /x/cc\r",
		"no end":            "USER_UID: 1001\nKRB5_CC_NAME: /x/cc",
		"byte order mark":   "\ufeffUSER_UID: 1001\nKRB5_CC_NAME: /x/cc\n",
		"single quotes":     "USER_UID: '1001'\nKRB5_CC_NAME: '/x/cc'\n",
		"double quotes":     "USER_UID: \"1001\"\nKRB5_CC_NAME: \"FILE:/x/cc\"\n",
		"quoted keys":       "'USER_UID': 1001\n\"KRB5_CC_NAME\": /x/cc\n",
		"comments":          "# USER_UID: 5\nUSER_UID: 1001 # USER_UID: 6\nKRB5_CC_NAME: FILE:/x/cc # comment\n",
		"one line":          "{USER_UID: 1001, KRB5_CC_NAME: /x/cc}",
		"begin and end":     "---\nUSER_UID: 1001\nKRB5_CC_NAME: /x/cc\n...\n",
		"blank lines":       "\n\n  \nUSER_UID:    1001   \n\nKRB5_CC_NAME: /x/cc\n",
		"anchors, not used": "USER_UID: &uid 1001\nKRB5_CC_NAME: &cc /x/cc\n",
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			c := load(t, content)
			if c.CredentialUID != 1001 || c.CCacheName(1001) != "/x/cc" || c.Strict() != nil {
				t.Errorf("uid %d, cache %q, %v", c.CredentialUID, c.CCacheName(1001), c.Warnings)
			}
		})
	}
}

func TestLocalUID(t *testing.T) {
	for sudo, want := range map[string]int{"1000": 1000, "": 0, "abc": 0, "-1": 0, "4294967295": 0, "local": 0} {
		t.Setenv("SUDO_UID", sudo)
		for _, word := range []string{"local", "LOCAL", "'Local'"} {
			if got := load(t, "USER_UID: "+word).CredentialUID; got != want {
				t.Errorf("%s with SUDO_UID=%q: %d, want %d", word, sudo, got, want)
			}
		}
	}
	t.Setenv("SUDO_UID", "1000")
	if got := load(t, "USER_UID: 5").CredentialUID; got != 5 {
		t.Errorf("SUDO_UID counts without local: %d", got)
	}
}

func TestCCacheName(t *testing.T) {
	tests := []struct {
		name       string
		uid, cruid int
		want       string
	}{
		{"", 1001, 1001, "/tmp/krb5cc_1001"},
		{"", 1001, 0, "/tmp/krb5cc_0"},
		{"/x/cc", 1001, 1001, "/x/cc"},
		{"/x/cc", 1001, 0, "/run/azfilesauth/krb5cc_0"},
		{"FILE:/x/cc", 0, 0, "/x/cc"},
		{"FILE:/x/cc", 0, 5, "/run/azfilesauth/krb5cc_5"},
		{"/x/%{uid}/cc_%{uid}", 0, 5, "/x/5/cc_5"},
		{"FILE:/x/cc_%{uid}", 5, 5, "/x/cc_5"},
		{"/x/100%/%uid", 0, 0, "/x/100%/%uid"},
		{"/x/a:b", 0, 0, "/x/a:b"},
		{"/x/a:b", 0, 5, "/run/azfilesauth/krb5cc_5"},
		{"/x/a:%{uid}", 0, 5, "/x/a:5"},
		{"DIR:/x", 0, 0, "DIR:/x"},
		{"DIR:/x", 0, 5, "DIR:/x"},
		{"KEYRING:persistent:%{uid}", 0, 5, "KEYRING:persistent:%{uid}"},
		{"KCM:", 0, 0, "KCM:"},
		{"file:/x/cc", 0, 0, "file:/x/cc"}, // libkrb5 does not know that type either
	}
	for _, test := range tests {
		content := fmt.Sprintf("USER_UID: %d\n", test.uid)
		if test.name != "" {
			content += "KRB5_CC_NAME: '" + test.name + "'\n"
		}
		if got := load(t, content).CCacheName(test.cruid); got != test.want {
			t.Errorf("%q for %d of %d: %q, want %q", test.name, test.cruid, test.uid, got, test.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	c := load(t, `USER_UID: 5
user_uid: 6
NEW_UPSTREAM_KEY: {x: &x secret, deep: [1, *x, {a: b}]}
refresh:
  att: 0.5
  "a b\n": secret
identities:
  app: {kind: quantum, qubits: x}
  typo: {kind: sytem}
endpoints: {acct.file.core.windows.net: {identitty: system}}
1: x
root:$y$j9T$salt$hash:1:0:::
`)
	want := []string{
		`line 2: user_uid: this key is unknown; did you mean USER_UID?`,
		`line 3: NEW_UPSTREAM_KEY: this key is unknown`,
		`line 5: refresh.att: this key is unknown; did you mean at?`,
		`line 6: refresh: a key with other characters than letters, digits, _, - and . is unknown, and not shown`,
		`line 8: identities.app.qubits: this key is unknown`,
		`line 8: identities.app: its kind is not known to this version`,
		`line 9: identities.typo: its kind is not known to this version; did you mean system?`,
		`line 10: endpoints.acct.file.core.windows.net.identitty: this key is unknown; did you mean identity?`,
		`line 11: 1: this key is unknown`,
		`line 12: a key with other characters than letters, digits, _, - and . is unknown, and not shown`,
	}
	if got := c.Warnings; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := c.Strict(); !fault.Is(err, fault.ConfigInvalid) || !strings.Contains(err.Error(), want[0]) || !strings.Contains(err.Error(), c.Path) {
		t.Errorf("strict: %v", err)
	}
	if c.CredentialUID != 5 || c.Refresh.At != 0.6 {
		t.Error("an unknown key changed something")
	}
	for name := range map[string]bool{"app": true, "typo": true} {
		if _, ok, err := c.Identity(name); !ok || !fault.Is(err, fault.ConfigInvalid) || !strings.Contains(err.Error(), "identities."+name) {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
}

// azfilesauthmanager appends one more line at each run when it cannot read its own.
func TestRepeatedKeys(t *testing.T) {
	c := load(t, "# USER_UID\nUSER_UID: 1001\nKRB5_CC_NAME: /x/a\nUSER_UID: 1001\nKRB5_CC_NAME: /x/b\nUSER_UID: 7\nCURL_TOTAL_TIMEOUT: 5\nCURL_TOTAL_TIMEOUT:\n")
	want := []string{
		"line 4: USER_UID: it is in line 2 already, and that line counts",
		"line 5: KRB5_CC_NAME: it is in line 3 already, and that line counts",
		"line 6: USER_UID: it is in line 2 already, and that line counts",
		"line 8: CURL_TOTAL_TIMEOUT: it is in line 7 already, and that line counts",
	}
	if got := c.Warnings; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if c.CredentialUID != 1001 || c.CCacheName(1001) != "/x/a" || c.TotalTimeout != 5*time.Second || c.Strict() == nil {
		t.Errorf("got %+v", c)
	}
}

func TestManyWarnings(t *testing.T) {
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, "unknown_%d: x\n", i)
	}
	got := load(t, b.String()).Warnings
	if len(got) != maxWarnings+1 || got[maxWarnings] != "and more" {
		t.Errorf("%d warnings, the last %q", len(got), got[len(got)-1])
	}
	if got := load(t, strings.Repeat("k", 1000)+": x").Warnings; len(got) != 1 || len(got[0]) > 200 {
		t.Errorf("got %q", got)
	}
}

// Nothing of a value that can be a secret gets into an error or a warning.
func TestSecretsStayInTheFile(t *testing.T) {
	for _, content := range []string{
		"proxy: http://u:hunter2@[bad\n",
		"proxy: ftp://u:hunter2@h\n",
		"proxy: {password: hunter2}\n",
		"proxy: *hunter2\n",
		"proxy: \"hunter2\\q\"\n",
		"proxy: !hunter2 x\n",
		"ENVIRONMENT: {AZURE_CLIENT_SECRET: [hunter2]}\n",
		"ENVIRONMENT: {AZURE_CLIENT_SECRET: \"hunter2\\0\"}\n",
		"ENVIRONMENT: hunter2\n",
		"identities: {a: {client_secret: hunter2}}\n",
		"identities: {a: {client_id: hunter2}}\n",
		"identities: {a: {kind: token, token_file: hunter2}}\n",
		"identities: {a: hunter2}\n",
		"client_secret: hunter2\nbad: [\n",
		"endpoints: {acct.file.core.windows.net: {authority: 'https://u:hunter2@login.example'}}\n",
		"USER_UID: hunter2\n", "KRB5_CC_NAME: hunter2\n", "refresh: {at: hunter2}\n", "upcall: {mode: hunter2}\n",
	} {
		c, err := readAt(write(t, content))
		if err == nil {
			err = c.Strict()
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestSafety(t *testing.T) {
	const content = "USER_UID: 7\n"
	tests := map[string]struct {
		change func(path string) error
		want   fault.Named // nil is good
		text   string
	}{
		"0600":            {func(p string) error { return os.Chmod(p, 0o600) }, nil, ""},
		"0644":            {func(p string) error { return os.Chmod(p, 0o644) }, nil, ""},
		"group of others": {func(p string) error { return os.Chown(p, 0, 1000) }, nil, ""},
		"group can write": {func(p string) error { return os.Chmod(p, 0o664) }, fault.ConfigUnsafe, "its mode is 0664"},
		"all can write":   {func(p string) error { return os.Chmod(p, 0o602) }, fault.ConfigUnsafe, "its mode is 0602"},
		"of another":      {func(p string) error { return os.Chown(p, 1000, 0) }, fault.ConfigUnsafe, "it belongs to uid 1000"},
		"link":            {func(p string) error { return link(p, 0o600) }, nil, ""},
		"link to unsafe":  {func(p string) error { return link(p, 0o666) }, fault.ConfigUnsafe, "its mode is 0666"},
		"link of another": {func(p string) error {
			if err := link(p, 0o600); err != nil {
				return err
			}
			return os.Lchown(p, 1000, 1000)
		}, nil, ""},
		"folder":  {func(p string) error { return replace(p, func() error { return os.Mkdir(p, 0o700) }) }, fault.ConfigInvalid, "not a regular file"},
		"FIFO":    {func(p string) error { return replace(p, func() error { return syscall.Mkfifo(p, 0o600) }) }, fault.ConfigInvalid, "not a regular file"},
		"device":  {func(p string) error { return replace(p, func() error { return os.Symlink("/dev/zero", p) }) }, fault.ConfigInvalid, "not a regular file"},
		"nowhere": {func(p string) error { return replace(p, func() error { return os.Symlink(p+".none", p) }) }, fault.ConfigInvalid, "a dangling link"},
		"loop":    {func(p string) error { return replace(p, func() error { return os.Symlink(p, p) }) }, fault.ConfigInvalid, "cannot be opened"},
		"1 MiB": {func(p string) error {
			return os.WriteFile(p, []byte(content+strings.Repeat("#", 1<<20-len(content))), 0o600)
		}, nil, ""},
		"larger": {func(p string) error {
			return os.WriteFile(p, []byte(content+strings.Repeat("#", 1<<20-len(content)+1)), 0o600)
		}, fault.ConfigInvalid, "larger than 1048576 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := write(t, content)
			if strings.Contains(name, "other") { // files of other users
				needs.Capability(t, "CAP_CHOWN")
			}
			if err := test.change(path); err != nil {
				t.Fatal(err)
			}
			c, err := readAt(path)
			switch {
			case test.want == nil && (err != nil || c.CredentialUID != 7):
				t.Errorf("got %v", err)
			case test.want != nil && (!fault.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), path)):
				t.Errorf("got %v, want %s", err, test.text)
			}
		})
	}
	path := write(t, content)
	if _, err := readAt(path + "/below"); !fault.Is(err, fault.ConfigInvalid) {
		t.Errorf("a path through a file: %v", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := readAt(path)
	if want := fmt.Sprintf("chown root:root %s && chmod go-w %[1]s", path); fault.From(err).Fix() != want {
		t.Errorf("fix %q, want %q", fault.From(err).Fix(), want)
	}
}

func replace(path string, make func() error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return make()
}

// link puts a link in the place of a file, as kubelet does for a configMap.
func link(path string, mode os.FileMode) error {
	target := path + ".target"
	if err := os.Rename(path, target); err != nil {
		return err
	}
	if err := os.Chmod(target, mode); err != nil {
		return err
	}
	return os.Symlink(filepath.Base(target), path)
}

func TestAuthorities(t *testing.T) {
	const login = "tenant_id=" + guid + " client_id=" + guid + " token_file=/x authority_host=https://login."
	c := load(t, `
default_identity: workload `+login+`d.example
identities:
  a: {kind: workload, tenant_id: `+guid+`, client_id: `+guid+`, token_file: /x, authority_host: https://login.a.example/}
  b: {kind: system}
endpoints:
  acct.file.core.windows.net: {authority: https://login.c.example/}
  acct2.file.core.windows.net: {identity: workload `+login+`b.example, authority: https://login.a.example}
`)
	want := []string{"https://login.a.example", "https://login.b.example", "https://login.c.example", "https://login.d.example"}
	if got := c.Authorities(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if got := load(t, "").Authorities(); len(got) != 0 {
		t.Errorf("without a file: %q", got)
	}
}

func TestProxyOfAnAddress(t *testing.T) {
	if got := load(t, "proxy: https://[2001:db8::1]:1080/").Transport.Proxy.Host; got != "[2001:db8::1]:1080" {
		t.Errorf("got %s", got)
	}
}

func BenchmarkLoad(b *testing.B) {
	path := write(b, "USER_UID: 0\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\ndefault_identity: backup\n"+
		"identities:\n  backup: {client_id: "+guid+"}\nendpoints:\n  acct.file.core.windows.net: {identity: backup}\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readAt(path); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLocalUserHasACacheOfHisOwn, as upstream's tool makes it: KRB5_CC_NAME names one file, which is no user's.
func TestLocalUserHasACacheOfHisOwn(t *testing.T) {
	t.Setenv("SUDO_UID", "4242421") // whom no file lists
	for _, text := range []string{"USER_UID: local\nKRB5_CC_NAME: /var/lib/cc\n", "KRB5_CC_NAME: FILE:/x/cc_%{uid}\nUSER_UID: LOCAL\n"} {
		c := load(t, text)
		uid, err := c.CRUID("", users("/nonexistent"))
		if err != nil || uid != 4242421 {
			t.Errorf("%q: %d, %v", text, uid, err)
		}
		for _, uid := range []int{4242421, 1000} {
			if got, want := c.CCacheName(uid), fmt.Sprint("/tmp/krb5cc_", uid); got != want {
				t.Errorf("%q: %s, want %s", text, got, want)
			}
		}
	}
	if got := load(t, "USER_UID: 7\nKRB5_CC_NAME: /var/lib/cc\n").CCacheName(7); got != "/var/lib/cc" {
		t.Error(got)
	}
}
