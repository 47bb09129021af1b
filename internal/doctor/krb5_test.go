package doctor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// profiles are texts that libkrb5 takes or refuses, by a word for what is wrong.
func profiles() map[string]string {
	return map[string]string{
		"ok: empty":               "",
		"ok: what stands before":  "garbage before the first section\n[libdefaults]\n",
		"ok: comments":            "[libdefaults]\n# a\n   ; b\n\t#c\n",
		"ok: spaces":              "[libdefaults]\n\tdefault_realm   =   A  \n",
		"ok: quotes":              "[libdefaults]\n a = \"b c\\\"d\" e\n",
		"ok: final":               "[libdefaults]*\n a* = b\n",
		"ok: section in section":  "[realms]\n A = {\n  kdc = b\n }\n B = {\n }*\n",
		"ok: brace on its own":    "[realms]\n A =\n {\n kdc = b\n }\n",
		"ok: several":             "[a]\n x = 1\n[b]\n y = 2\n[a]\n z = 3\n",
		"ok: no end of line":      "[a]\n x = 1",
		"ok: carriage returns":    "[a]\r\n x = 1\r\n",
		"ok: BOM":                 "\ufeff[a]\n x = 1\n",
		"ok: equals in value":     "[a]\n x = y=z\n",
		"ok: unclosed at the end": "[realms]\n A = {\n kdc = b\n",
		"ok: module-like":         "[a]\n module = b:c\n",
		"no equals":               "[a]\n x\n",
		"nothing before equals":   "[a]\n = y\n",
		"two words":               "[a]\n x y = z\n",
		"unclosed header":         "[a\n",
		"text after header":       "[a] b\n",
		"header in section":       "[a]\n b = {\n[c]\n",
		"extra brace":             "[a]\n }\n",
		"no brace":                "[a]\n b =\n c = d\n",
		"include of nothing":      "include DIR/none\n",
		"include dir of nothing":  "[a]\nincludedir DIR/none\n",
		"ok: include":             "include DIR/good\n[a]\n x = 1\n",
		"ok: include dir":         "includedir DIR/d\n",
		"include of a bad one":    "include DIR/bad\n",
		"ok: indented include":    "[a]\n b = {\n include = x\n }\n",
		"indented directive":      "[a]\n include DIR/good\n",
	}
}

// included are the files beside a profile.
const included = `
-- good --
[libdefaults]
 default_realm = INCLUDED
-- bad --
[libdefaults]
 default_realm
-- d/plain-name_1 --
[libdefaults]
 first = plain
-- d/a.conf --
[libdefaults]
 first = a.conf
-- d/ignored.rpmsave --
[libdefaults
-- d/.hidden.conf --
[libdefaults
-- d/ignored~ --
[libdefaults
`

// disk reads files as they are.
type disk struct{ *Subject }

func onDisk(t testing.TB) reader {
	t.Helper()
	s, err := New(Options{Root: "/", Offline: true})
	must(t, err)
	return disk{s}
}

// The real libkrb5 and our reader agree on what is a profile.
func TestProfilesAgainstMIT(t *testing.T) {
	klist, err := exec.LookPath("klist")
	if err != nil {
		t.Fatal("klist is missing: apt-get install krb5-user")
	}
	dir := t.TempDir()
	plant(t, dir, included)
	files := onDisk(t)
	for name, text := range profiles() {
		path := filepath.Join(dir, "krb5.conf")
		must(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644))
		c := readKrb5(files, path)
		if good := strings.HasPrefix(name, "ok: "); good != (c.err == nil) {
			t.Errorf("%s: %v", name, c.err)
		}
		cmd := exec.Command(klist, "-c", "FILE:"+dir+"/none")
		cmd.Env = []string{"KRB5_CONFIG=" + path}
		out, _ := cmd.CombinedOutput() // there is no such cache, which is another error
		if mit := strings.Contains(string(out), "No credentials cache found"); mit != (c.err == nil) {
			t.Errorf("%s: libkrb5 says %s, and we %v", name, out, c.err)
		}
	}
}

func TestProfileValues(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, included)
	path := filepath.Join(dir, "krb5.conf")
	text := "includedir " + dir + "/d\n[libdefaults]\n first = third\n default_realm = \"A \\\"B\\\"\" rest\n[realms]\n X = {\n  sub = {\n   kdc = k\n  }\n }\n"
	must(t, os.WriteFile(path, []byte(text), 0o644))
	c := readKrb5(onDisk(t), path)
	for _, want := range []relation{
		{"libdefaults", "first", "a.conf", filepath.Join(dir, "d/a.conf") + ":2"},
		{"libdefaults", "default_realm", `A "B"`, path + ":4"},
		{"realms/X/sub", "kdc", "k", path + ":8"},
	} {
		if got, ok := c.get(want.section, want.tag); !ok || got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if c := readKrb5(onDisk(t), dir+"/none"); !c.missing || c.err != nil {
		t.Errorf("got %+v", c)
	}
}

// A profile that includes itself, or is endless, ends.
func TestProfileBounds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "krb5.conf")
	must(t, os.WriteFile(path, []byte("include "+path+"\n"), 0o644))
	if c := readKrb5(onDisk(t), path); c.err == nil || !strings.Contains(c.err.Error(), "includes itself, or") && !strings.Contains(c.err.Error(), "itself") {
		t.Errorf("got %v", c.err)
	}
	must(t, os.WriteFile(path, []byte(strings.Repeat("#\n", maxKrb5Lines+1)), 0o644))
	if c := readKrb5(onDisk(t), path); c.err == nil {
		t.Error("it has no bound")
	}
	must(t, os.WriteFile(path, make([]byte, maxFile+1), 0o644))
	if c := readKrb5(onDisk(t), path); !errors.Is(c.err, errTooLarge) {
		t.Errorf("got %v", c.err)
	}
}

// noFiles is a reader that knows no other file.
type noFiles struct{ text string }

func (n noFiles) ReadFile(path string) ([]byte, error) {
	if path == "/f" {
		return []byte(n.text), nil
	}
	return nil, os.ErrNotExist
}
func (noFiles) ReadDir(string) ([]os.DirEntry, error) { return nil, nil }

func FuzzProfile(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		c := readKrb5(noFiles{text}, "/f")
		var wrong *krb5Error
		if c.err != nil && !errors.As(c.err, &wrong) {
			t.Fatal(c.err)
		}
		if lines := strings.Count(text, "\n") + 1; len(c.relations) > lines*maxKrb5Files {
			t.Fatalf("%d relations of %d lines", len(c.relations), lines)
		}
		for _, r := range c.relations {
			if r.section == "" && !strings.Contains(text, "[]") || r.tag == "" && !strings.Contains(text, "*") || !strings.HasPrefix(r.place, "/f:") {
				t.Fatalf("got %+v", r)
			}
		}
	})
}

func FuzzRules(f *testing.F) {
	root := f.TempDir()
	s, err := New(Options{Root: root})
	must(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		must(t, os.MkdirAll(filepath.Join(root, requestkey.Directory), 0o755))
		must(t, os.WriteFile(filepath.Join(root, requestkey.OurFile), []byte(text), 0o644))
		s.memo = &memo{}
		for _, id := range []ID{"request-key-files", "request-key-rule", "request-key-ties", "cifs-spnego-conf", "handler", "dns-resolver"} {
			check := checkOf(id)
			if r := check.Run(context.Background(), s); r.Status == "" || len(r.Evidence) == 0 {
				t.Fatalf("%s: %+v", check.ID, r)
			}
		}
		// What request-key would give up on is found by the look at the files.
		files, rule := checkRuleFiles(context.Background(), s), checkRule(context.Background(), s)
		if rule.Status == Problem && strings.Contains(rule.Evidence[0], "too few columns") && files.Status != Problem {
			t.Fatalf("%+v\n%+v", files, rule)
		}
	})
}

func TestRealmOf(t *testing.T) {
	path := "/f"
	c := readKrb5(noFiles{"[domain_realm]\n .core.windows.net = SUFFIX\n file.core.windows.net = DOMAIN\n acct.file.core.windows.net = EXACT\n net = NET\n"}, path)
	for host, want := range map[string]string{
		"acct.file.core.windows.net": "EXACT", "ACCT.file.core.windows.net": "EXACT", "other.file.core.windows.net": "DOMAIN",
		"x.blob.core.windows.net": "SUFFIX", "a.net": "NET", "a.example": "", "net": "NET",
	} {
		if got, _ := c.realmOf(host); got.value != want {
			t.Errorf("%s: %q, want %q", host, got.value, want)
		}
	}
}

// cached is a cache with the ticket of a host.
func cached(t *testing.T, host, realm string) []byte {
	t.Helper()
	e, err := endpoint.Resolver{}.Resolve(host)
	must(t, err)
	client := ccache.Principal{NameType: 1, Realm: "FILES.AZURE.STORAGE.MICROSOFT.COM", Components: []string{"AzureFileClient"}}
	c := &ccache.Cache{Principal: client}
	c.Put(ccache.Credential{
		Client: client, Server: ccache.Principal{NameType: 2, Realm: realm, Components: []string{"cifs", e.Host()}},
		Key: ccache.Key{Etype: 18, Value: secret.New(make([]byte, 32))}, AuthTime: hostNow, StartTime: hostNow, EndTime: hostNow.Add(time.Hour),
		Ticket: secret.FromString("ticket"),
	}, ccache.Record{Identity: "system", ObtainedAt: hostNow, Refreshable: true})
	return c.Marshal()
}

func TestDomainRealm(t *testing.T) {
	const host = "acct.file.core.windows.net"
	tests := []struct {
		name, realm, mapping string // realm of the ticket, "" for none
		stock                bool
		want                 Status
		text                 string
	}{
		{"none", "KERBEROS.EXAMPLE", "", false, OK, "no mapping"},
		{"right", "KERBEROS.EXAMPLE", "core.windows.net = KERBEROS.EXAMPLE", false, OK, "KERBEROS.EXAMPLE"},
		{"that of the client", "KERBEROS.EXAMPLE", ".core.windows.net = FILES.AZURE.STORAGE.MICROSOFT.COM", false, OK, "FILES"},
		{"foreign", "KERBEROS.EXAMPLE", ".core.windows.net = CONTOSO.COM", false, Warning, "/etc/krb5.conf:4 maps the host to CONTOSO.COM"},
		{"foreign, and the stock handler", "KERBEROS.EXAMPLE", ".core.windows.net = CONTOSO.COM", true, Problem, "CONTOSO.COM"},
		{"no ticket", "", ".core.windows.net = CONTOSO.COM", false, Info, "cannot be compared"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := hostTree(t, "-- etc/krb5.conf --\n[libdefaults]\n default_realm = A\n[domain_realm]\n"+test.mapping+"\n",
				"-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 0\nendpoints: {"+host+": {identity: system}}\n")
			if test.mapping == "" {
				plant(t, root, "-- etc/krb5.conf --\n[libdefaults]\n default_realm = A\n")
			} else {
				plant(t, root, "-- etc/krb5.conf --\n[libdefaults]\n default_realm = A\n[domain_realm]\n"+test.mapping+"\n")
			}
			if test.stock {
				plant(t, root, "-- etc/request-key.d/azfiles.conf REMOVED --\n")
			}
			if test.realm != "" {
				must(t, os.MkdirAll(filepath.Join(root, "tmp"), 0o777))
				must(t, os.WriteFile(filepath.Join(root, "tmp/krb5cc_0"), cached(t, host, test.realm), 0o600))
			}
			for _, f := range look(t, root, nil).Checks {
				if f.ID != "domain-realm" {
					continue
				}
				if f.Status != test.want || !strings.Contains(f.Evidence[0], test.text) || f.Endpoint != host {
					t.Errorf("got %+v", f)
				}
				if f.found() && !strings.Contains(f.Fix, host+" = "+test.realm) {
					t.Errorf("fix %q", f.Fix)
				}
				return
			}
			t.Fatal("it was not checked")
		})
	}
}

func TestPermits(t *testing.T) {
	for list, want := range map[string]bool{
		"aes256-cts-hmac-sha1-96": true, "AES128-CTS": true, "aes": true, "DEFAULT": true, "DEFAULT -aes": false, "rc4": false,
		"aes256-cts-hmac-sha384-192, aes128-cts-hmac-sha256-128": false, "rc4,aes128-sha1": true, "aes -aes256-cts": true, "": false,
	} {
		if got := permits(list); got != want {
			t.Errorf("%q: %v", list, got)
		}
	}
}
