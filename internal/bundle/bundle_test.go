package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

var testTime = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const acctHost = "acct.file.core.windows.net"

// canaries are secrets by where they stand, new in each run.
type canaries map[string][]byte

func (c canaries) bytes(name string, n int) []byte {
	value := make([]byte, n)
	_, _ = rand.Read(value)
	c[name] = value
	return value
}

// text is a secret as people choose it: letters and digits, no longer than passwords are. The first six
// bytes, which absent looks for, must differ from those of every other secret: one that a test leaves
// unknown is shown.
func (c canaries) text(name string) string {
	value := strings.ToLower(rand.Text()[:14])
	c[name] = []byte(value)
	return value
}

// letters is one without digits, such as what follows the comma in a password.
func (c canaries) letters(name string) string {
	value := strings.Map(func(r rune) rune {
		if r >= '2' && r <= '7' {
			return r - '2' + 'a'
		}
		return r
	}, c.text(name))
	c[name] = []byte(value)
	return value
}

func (c canaries) token(name string) string {
	part := func() string { return base64.RawURLEncoding.EncodeToString(c.bytes(name, 60)) }
	value := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part() + "." + part()
	c[name] = []byte(value)
	return value
}

// absent fails when a secret, or a good part of one, is in a text in any form.
func (c canaries) absent(t *testing.T, where, text string) {
	t.Helper()
	const window, step = 12, 4 // so that any 16 bytes in a row are found
	for name, value := range c {
		for form, s := range map[string]string{
			"raw": string(value), "hex": hex.EncodeToString(value), "HEX": strings.ToUpper(hex.EncodeToString(value)),
			"base64": base64.StdEncoding.EncodeToString(value), "base64url": base64.RawURLEncoding.EncodeToString(value),
		} {
			if strings.HasPrefix(s, "eyJ") { // the header of every token is the same
				s = s[strings.IndexByte(s+".", '.')+1:]
			}
			for i := 0; i+window <= len(s); i += step {
				if strings.Contains(text, s[i:i+window]) {
					t.Errorf("%s: the secret %s is there, %s, at byte %d", where, name, form, i)
					break
				}
			}
		}
	}
}

// unknowable are secrets of which nothing in their own place tells that they are: they are left out
// there, and cannot be found elsewhere.
var unknowable = []string{"comment", "other file system", "in the query", "damaged cache"}

// everywhere is what a log or a program may say of secrets.
func (c canaries) everywhere() string {
	var b strings.Builder
	for name, value := range c {
		if slices.Contains(unknowable, name) {
			continue
		}
		if utf8.Valid(value) {
			fmt.Fprintf(&b, "Nov 23 12:00:00 host azfilesrefresh[1]: value %s\n", value)
		}
		fmt.Fprintf(&b, "Nov 23 12:00:00 host mount.azfiles[1]: hex %x %X b64 %s %s\n", value, value,
			base64.StdEncoding.EncodeToString(value), base64.RawURLEncoding.EncodeToString(value))
		fmt.Fprintf(&b, "Nov 23 12:00:00 host azfiles.upcall: dump % x\n", value)
	}
	// Those that no file holds are known by their looks alone.
	fmt.Fprintf(&b, "Nov 23 12:00:00 host azfilesauth: Authorization: Bearer %s\n", c.token("token in a log"))
	fmt.Fprintf(&b, "Nov 23 12:00:00 host azfilesauth: {\"access_token\":\"%s\"} password=%s sig=%s\n", c.token("token in JSON"), c.text("password in a log"), c.text("signature"))
	fmt.Fprintf(&b, "Nov 23 12:00:00 host azfilesauth: proxy http://me:%s@proxy:3128 key %s\n", c.text("login in a log"), base64.StdEncoding.EncodeToString(c.bytes("blob", 48)))
	return b.String()
}

func put(t *testing.T, root, path, text string) {
	t.Helper()
	name := filepath.Join(root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// machineOf builds a machine with a secret in every place that people think of.
func machineOf(t *testing.T, c canaries) string {
	t.Helper()
	root := t.TempDir()
	put(t, root, "/etc/azfilesauth/config.yaml", `# the old password was `+c.text("comment")+`
USER_UID: 0
KRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}
proxy: http://robot:`+c.text("proxy")+`@proxy.example:3128
ENVIRONMENT:
  AZURE_AUTHORITY_HOST: https://login.microsoftonline.com
  MSI_ENDPOINT: http://`+c.text("endpoint's login")+`:x@localhost/x
  HTTPS_PROXY: http://a:`+c.text("environment's proxy")+`@proxy.example:3128
  AZURE_CLIENT_SECRET: `+c.text("environment")+`
  AZURE_CLIENT_ID: `+c.text("environment's id")+`
identities:
  sp: {kind: service-principal, tenant_id: contoso.example, client_id: 00000000-0000-4000-8000-00000000000a, secret_file: /etc/azfilesauth/sp.secret}
  cert: {kind: service-principal, tenant_id: contoso.example, client_id: 00000000-0000-4000-8000-00000000000a, certificate_file: /etc/azfilesauth/sp.pem}
  wi: {kind: token, token_file: /var/run/token}
  wrong: {kind: `+c.text("kind")+`, secret_file: `+c.text("secret for its file")+`}
  `+base64.RawURLEncoding.EncodeToString(c.bytes("name of an identity", 40))+`: {client_id: system}
endpoints:
  `+acctHost+`: {identity: sp}
  other.file.core.windows.net: {identity: `+c.text("identity of an endpoint")+`}
default_identity: token=`+c.token("default identity")+`
passwort: `+c.text("unknown key")+`
list: [`+c.text("list")+`, {deep: `+c.text("deep")+`}]
`)
	put(t, root, "/etc/azfilesauth/config.d/50-site.yaml", "identities: {late: {kind: service-principal, tenant_id: contoso.example, client_id: 00000000-0000-4000-8000-00000000000a, secret_file: /etc/late.secret}}\n"+
		"unheard: "+c.text("unknown key of a drop-in")+"\n")
	put(t, root, "/etc/late.secret", c.text("secret file of a drop-in")+"\n")
	put(t, root, "/usr/lib/azfilesauth/config.d/10-vendor.yaml", "refresh: {at: 0.5}\n")
	put(t, root, "/etc/azfilesauth/sp.secret", c.text("secret file")+"\n")
	c.bytes("private key", 120)
	put(t, root, "/etc/azfilesauth/sp.pem", "-----BEGIN PRIVATE KEY-----\n"+base64.StdEncoding.EncodeToString(c["private key"])+"\n-----END PRIVATE KEY-----\n")
	put(t, root, "/var/run/token", c.token("token file")+"\n")
	put(t, root, "/etc/smb.cred", "username=me\npassword="+c.text("credentials file")+"\n")
	put(t, root, "/etc/fstab", `//`+acctHost+`/share /mnt azfiles _netdev,identity=sp,file_mode=0640 0 0
//me:`+c.text("fstab source")+`@`+acctHost+`/share /a cifs password=`+c.text("fstab")+`,pass=`+c.text("fstab short")+`,password2=`+c.text("fstab second")+`,credentials=/etc/smb.cred 0 0
//`+acctHost+`/share /b cifs username=me%`+c.text("fstab user")+`,`+c.text("fstab option")+`=`+c.text("fstab x")+`,comment=`+c.text("fstab comment")+`,`+c.text("bare option")+`,`+c.letters("after a comma")+`,_netdv 0 0
//other/`+c.text("in the query")+`?x /d cifs domain=`+c.text("domain")+` 0 0
/dev/sda1 / ext4 defaults,key=`+c.text("other file system")+` 0 0
`)
	put(t, root, "/proc/1/mountinfo", "30 1 0:40 / /mnt rw - cifs //"+acctHost+"/share rw,sec=krb5,username=root,cruid=0,password="+c.text("mount table")+"\n31 1 0:41 / / rw - ext4 /dev/sda1 rw\n")
	put(t, root, "/etc/request-key.d/odd.conf", "create user "+c.token("rule")+" * /bin/x "+c.token("rule's argument")+"\n")
	put(t, root, "/etc/krb5.conf", "include /etc/more.conf\n[libdefaults]\n rdns = false\n pkinit_token = "+c.text("krb5.conf")+"\n")
	put(t, root, "/etc/more.conf", "[appdefaults]\n password = \""+c.text("included")+"\"\n")
	put(t, root, "/run/azfilesauth/krb5cc_0", string(cacheOf(c).Marshal()))
	put(t, root, "/tmp/krb5cc_5", "\x05\x04"+string(c.bytes("damaged cache", 200)))
	put(t, root, "/etc/systemd/system/azfilesrefresh.service.d/o.conf", "[Service]\nEnvironment=AZURE_CLIENT_SECRET="+c.text("drop-in")+"\n")
	all := c.everywhere()
	put(t, root, "/var/log/azfilesauth.log", all)
	put(t, root, "/var/log/syslog", all)
	return root
}

func cacheOf(c canaries) *ccache.Cache {
	client := ccache.Principal{NameType: 1, Realm: "REALM", Components: []string{"AzureFileClient"}}
	cache := &ccache.Cache{}
	cache.Put(ccache.Credential{
		Client: client, Server: ccache.Principal{NameType: 2, Realm: "REALM", Components: []string{"cifs", acctHost}},
		Key:      ccache.Key{Etype: 18, Value: secret.New(c.bytes("session key", 32))},
		AuthTime: testTime, StartTime: testTime, EndTime: testTime.Add(time.Hour), Ticket: secret.New(c.bytes("ticket", 1500)),
	}, ccache.Record{Identity: "system", ObtainedAt: testTime, Refreshable: true})
	return cache
}

// unpack gives the texts of a bundle.
func unpack(t *testing.T, data []byte) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil || h.Mode != 0o600 {
			t.Fatalf("%s: mode %o, %v", h.Name, h.Mode, err)
		}
		texts[strings.TrimPrefix(h.Name, directory+"/")] = string(text)
	}
}

func status(context.Context) (string, error) { return "what the daemon says\n", nil }

func printed(report doctor.Report) Printed {
	return Printed{Status: status, Doctor: func(context.Context) (string, error) {
		text, err := json.Marshal(report)
		return string(text), err
	}}
}

func bundleOf(t *testing.T, o doctor.Options, checks []doctor.Check) map[string]string {
	t.Helper()
	o.Now, o.Version = func() time.Time { return testTime }, "2.0.0"
	s, err := doctor.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	report := doctor.Run(context.Background(), s, checks)
	if err := Write(context.Background(), &b, s, report, printed(report)); err != nil {
		t.Fatal(err)
	}
	return unpack(t, b.Bytes())
}

func TestNoSecretGetsOut(t *testing.T) {
	c := canaries{}
	root := machineOf(t, c)
	texts := bundleOf(t, doctor.Options{Host: host.Beneath(root).Trusting(os.Geteuid())}, doctor.All())
	if len(texts) != 14 {
		t.Errorf("%d parts", len(texts))
	}
	for name, text := range texts {
		c.absent(t, name, text)
	}
	// What helps is there all the same.
	for name, wants := range map[string][]string{
		"config.txt": {
			"USER_UID: 0  # line 2\n", "proxy: http://REDACTED@proxy.example:3128  # line 4\n", "identities.sp.secret_file: /etc/azfilesauth/sp.secret  #",
			"ENVIRONMENT.AZURE_AUTHORITY_HOST: https://login.microsoftonline.com  #", "ENVIRONMENT.AZURE_CLIENT_SECRET: REDACTED  #",
			"endpoints." + acctHost + ".identity: sp  #", "passwort: REDACTED  #",
			"==> /etc/azfilesauth/config.d/50-site.yaml\n", "identities.late.secret_file: /etc/late.secret  #", "unheard: REDACTED  #",
			"==> /usr/lib/azfilesauth/config.d/10-vendor.yaml\nrefresh.at: 0.5  # line 1\n",
		},
		"fstab.txt":       {"line 1: //" + acctHost + "/share /mnt azfiles _netdev,identity=sp,file_mode=0640\n", "password=REDACTED", "credentials=REDACTED", "REDACTED,_netdv\n"},
		"mounts.txt":      {"/mnt cifs //" + acctHost + "/share rw,sec=krb5,username=root,cruid=0,password=REDACTED\n"},
		"ccache.txt":      {"cifs/" + acctHost + "@REALM etype 18, from 2026-11-23T12:00:00Z to 2026-11-23T13:00:00Z, flags 0x0, ticket of 1500 bytes\n", "obtained 2026-11-23T12:00:00Z with system, refreshable true\n", "/tmp/krb5cc_5: ", "damaged: "},
		"krb5.conf.txt":   {"==> /etc/more.conf (", " rdns = false\n"},
		"request-key.txt": {"==> /etc/request-key.d/odd.conf (", "create user REDACTED * /bin/x REDACTED\n"},
		"logs.txt":        {"==> /var/log/azfilesauth.log\n", "azfilesrefresh[1]: value REDACTED\n"},
		"doctor.txt":      {"config"},
		"doctor.json":     {`"upcall_mode":"native"`},
		"versions.txt":    {"azfilesauth 2.0.0, go"},
		"unit.txt":        {"azfilesrefresh.service.d/o.conf"},
	} {
		for _, want := range wants {
			if !strings.Contains(texts[name], want) {
				t.Errorf("%s: no %q in:\n%.4000s", name, want, texts[name])
			}
		}
	}
	if strings.Contains(texts["fstab.txt"], "ext4") || strings.Contains(texts["mounts.txt"], "ext4") {
		t.Error("other file systems are shown")
	}
}

// talkative is a kernel that tells secrets.
type talkative struct{ text string }

func (k talkative) AddKey(string, string) error { return nil }
func (k talkative) Describe(keyring.Serial) (keyring.Description, error) {
	return keyring.Description{Text: k.text}, nil
}

func (k talkative) Log() ([]doctor.LogLine, error) {
	var all []doctor.LogLine
	for line := range strings.Lines(k.text) {
		all = append(all, doctor.LogLine{Text: "CIFS: " + line})
	}
	return all, nil
}

// Nor by what programs and the kernel say of this machine.
func TestNoSecretOfPrograms(t *testing.T) {
	c := canaries{}
	root := machineOf(t, c)
	said := c.everywhere()
	machine := host.Real()
	machine.Config = filepath.Join(root, "etc/azfilesauth/config.yaml")
	machine.Exec = func(context.Context, string, ...string) (string, error) { return said, errors.New("exit status 1") }
	texts := bundleOf(t, doctor.Options{Host: machine, Kernel: talkative{said}}, nil)
	seen := 0
	for name, text := range texts {
		// The files that the configuration names are not on this machine, nor is the cache.
		known := canaries{}
		for _, name := range []string{"token in a log", "token in JSON", "password in a log", "signature", "login in a log", "blob", "default identity", "token file", "session key", "ticket", "private key", "proxy", "environment", "unknown key"} {
			known[name] = c[name]
		}
		known.absent(t, name, text)
		seen += strings.Count(text, secret.Redacted)
	}
	if seen < 100 || !strings.Contains(texts["kernel.txt"], "CIFS: ") || !strings.Contains(texts["versions.txt"], "exit status 1") || texts["status.json"] != "what the daemon says\n" {
		t.Errorf("the programs and the kernel were not asked: %d", seen)
	}
}

// Words that help are no secrets.
func TestScrubLeavesWords(t *testing.T) {
	for _, text := range []string{
		"AZF-ROLE-MISSING: the identity system has no role on acct that allows SMB",
		"/usr/lib/x86_64-linux-gnu/security/and/further/down/the/way",
		"token_file: /var/run/secrets/azure/tokens/azure-identity-token",
		"secret_file=/etc/azfilesauth/sp.secret",
		"client_id=00000000-0000-4000-8000-00000000000a",
		"FILES.AZURE.STORAGE.MICROSOFT.COM",
		"create cifs.spnego ver=0x2;host=* * /usr/sbin/azfiles.upcall %k",
		"default_ccache_name = FILE:/run/azfilesauth/krb5cc_%{uid}",
		"aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha256-128",
		"cifs/acct.file.core.windows.net@REALM",
		"token_cache: keyring",
	} {
		if got := (&secrets{}).scrub(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestLongPartsKeepTheirEnd(t *testing.T) {
	got := end(strings.Repeat("line\n", maxPart/5+100) + "last\n")
	if len(got) > maxPart+100 || !strings.HasPrefix(got, "(the beginning is left out)\n") || !strings.HasSuffix(got, "\nlast\n") {
		t.Errorf("%d bytes, %.40q", len(got), got)
	}
	if got := end(strings.Repeat("x", maxPart+1)); len(got) > 100 {
		t.Errorf("%d bytes", len(got))
	}
}

// Whatever the configuration is, what it says under keys that are not known is not shown.
func FuzzConfiguration(f *testing.F) {
	f.Fuzz(func(t *testing.T, content []byte) {
		root := t.TempDir()
		const canary = "xyzzyCANARYxyzzy"
		put(t, root, "/etc/azfilesauth/config.yaml", string(content)+"\nsecret: "+canary+"\n")
		s, err := doctor.New(doctor.Options{Host: host.Beneath(root).Trusting(os.Geteuid())})
		if err != nil {
			return
		}
		m := &machine{Subject: s, secrets: &secrets{}}
		text, _ := m.configuration(context.Background())
		if strings.Contains(m.secrets.scrub(text), canary) {
			t.Fatalf("%q: shown in %q", content, text)
		}
	})
}
