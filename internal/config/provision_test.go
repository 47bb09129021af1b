package config

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// machine is a password file and a folder whose useradd adds a line to it.
func machine(t *testing.T, passwd, useradd string) (host.Host, string) {
	t.Helper()
	dir := t.TempDir()
	h := host.Real().Trusting(os.Geteuid())
	h.Passwd, h.Programs = filepath.Join(dir, "passwd"), []string{dir}
	put(t, h.Passwd, passwd, 0o644)
	if useradd != "" {
		put(t, filepath.Join(dir, "useradd"), "#!/bin/sh\necho \"$@\" >>'"+dir+"/called'\n"+useradd+"\n", 0o755)
	}
	return h, dir
}

func put(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func provision(t *testing.T, h host.Host, path string) *Config {
	t.Helper()
	h.Config = path
	c, err := Read(h)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = Provision(h, c); err != nil {
		t.Fatal(err)
	}
	return c
}

const rootLine = "root:x:0:0:root:/root:/bin/sh\n"

func TestProvisionMakesUserAndFile(t *testing.T) {
	p, dir := machine(t, rootLine, `echo azfilesuser:x:988:988::/nonexistent:/usr/sbin/nologin >>"$(dirname "$0")/passwd"`)
	path := filepath.Join(dir, "etc", "config.yaml")
	for range 2 {
		if c := provision(t, p, path); c.CredentialUID != 988 {
			t.Errorf("uid %d", c.CredentialUID)
		}
	}
	called, _ := os.ReadFile(filepath.Join(dir, "called"))
	if got := string(called); strings.Count(got, "\n") != 1 || !strings.Contains(got, "--no-create-home") ||
		!strings.Contains(got, "nologin") || strings.Contains(got, "sudo") || strings.Contains(got, "--groups") {
		t.Errorf("useradd was called with %q", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("the folder holds %v", left)
	}
	if text, _ := os.ReadFile(path); !strings.Contains(string(text), "\nUSER_UID: 988\n") {
		t.Errorf("%s", text)
	}
}

// TestProvisionMovesNobody: with a layer of the packages, no set of the drop-in changes whose tickets those are of whoever
// names no uid, and where the tickets are.
func TestProvisionMovesNobody(t *testing.T) {
	const vendor, user = vendorFile + "10-azfilesauth.yaml", rootLine + SystemUser + ":x:988:988::/:/bin/sh\n"
	const layer = "USER_UID: 0\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\n"
	for name, files := range map[string]map[string]string{
		"the packages alone":     {},
		"a file that is empty":   {mainFile: ""},
		"a template":             {mainFile: "default_identity: system\n"},
		"a template with a uid":  {mainFile: "USER_UID: 7\n"},
		"a drop-in of the admin": {ownFile + "90-local.yaml": "USER_UID: 5\n"},
		"upstream's user":        {mainFile: "default_identity: system\n", "etc/passwd": user},
	} {
		files[vendor] = layer
		if files["etc/passwd"] == "" {
			files["etc/passwd"] = rootLine
		}
		path := layered(t, files)
		root := strings.TrimSuffix(path, DefaultPath)
		h := host.Real().Trusting(os.Geteuid())
		h.Config, h.Passwd, h.Programs = path, root+"/etc/passwd", []string{root}
		put(t, filepath.Join(root, "useradd"), "#!/bin/sh\necho '"+SystemUser+":x:988:988::/:/bin/sh' >>"+root+"/etc/passwd\n", 0o755)
		before, err := Read(h)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			provision(t, h, path)
		}
		after, err := Read(h)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if before.CredentialUID != after.CredentialUID || before.CCacheName(before.CredentialUID) != after.CCacheName(after.CredentialUID) {
			t.Errorf("%s: the tickets of %d, %s, became those of %d, %s", name, before.CredentialUID, before.CCacheName(before.CredentialUID),
				after.CredentialUID, after.CCacheName(after.CredentialUID))
		}
	}
}

// TestProvisionAppendsTheUID has files as people and programs leave them: all of it stays, and awk finds the
// uid behind it.
func TestProvisionAppendsTheUID(t *testing.T) {
	for name, test := range map[string]struct {
		text, dropIn, want string
		uid                int
	}{
		"empty, as 1.0.11 ships it": {"", "", "USER_UID: 977\n", 977},
		"comments alone":            {"# USER_UID: 5\n", "", "# USER_UID: 5\nUSER_UID: 977\n", 977},
		"without a last line end":   {"b: 1 # why\nLOG_DESTINATION: file", "", "b: 1 # why\nLOG_DESTINATION: file\nUSER_UID: 977\n", 977},
		"another layer has it":      {"refresh:\n  at: 0.5\n", "USER_UID: 0\n", "refresh:\n  at: 0.5\nUSER_UID: 0\n", 0},
		"it is there":               {"USER_UID: 5\n", "", "USER_UID: 5\n", 5},
		"it is there and overruled": {"USER_UID: 5\n", "USER_UID: 0\n", "USER_UID: 5\n", 0},
		"a line without a space":    {"KRB5_CC_NAME:/x\n", "", "KRB5_CC_NAME:/x\nUSER_UID: 977\n", 977},
		"an indented line":          {"LOG_DESTINATION: file\n  KRB5_CC_NAME: /x\n", "", "LOG_DESTINATION: file\n  KRB5_CC_NAME: /x\nUSER_UID: 977\n", 977},
		"a value that is not YAML":  {"LOG_FILE_PATH: \"/x\n", "", "LOG_FILE_PATH: \"/x\nUSER_UID: 977\n", 977},
		"one line is all":           {"{LOG_DESTINATION: file}\n", "", "{LOG_DESTINATION: file}\n", 977},
	} {
		t.Run(name, func(t *testing.T) {
			p, dir := machine(t, rootLine+"azfilesuser:x:977:977::/nonexistent:/usr/sbin/nologin\n", "exit 1")
			path := filepath.Join(dir, "config.yaml")
			put(t, path, test.text, 0o640)
			if test.dropIn != "" {
				if err := os.Mkdir(filepath.Join(dir, "config.d"), 0o755); err != nil {
					t.Fatal(err)
				}
				put(t, filepath.Join(dir, "config.d/50-site.yaml"), test.dropIn, 0o600)
			}
			for range 2 {
				if c := provision(t, p, path); c.CredentialUID != test.uid {
					t.Errorf("uid %d", c.CredentialUID)
				}
				info, err := os.Stat(path)
				if now, _ := os.ReadFile(path); err != nil || string(now) != test.want || info.Mode().Perm() != 0o640 {
					t.Errorf("the file is now %q, %v, %v", now, info.Mode(), err)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "called")); err == nil {
				t.Error("useradd was called")
			}
		})
	}
}

// TestProvisionLeavesAConfigMap has the file as Kubernetes projects it.
func TestProvisionLeavesAConfigMap(t *testing.T) {
	p, dir := machine(t, rootLine, "")
	path := filepath.Join(dir, "config.yaml")
	put(t, filepath.Join(dir, "data"), "LOG_DESTINATION: file\n", 0o600)
	if err := os.Symlink("data", path); err != nil {
		t.Fatal(err)
	}
	provision(t, p, path)
	if to, err := os.Readlink(path); err != nil || to != "data" {
		t.Errorf("it leads to %q, %v", to, err)
	}
}

func TestProvisionWithoutUseradd(t *testing.T) {
	for name, useradd := range map[string]string{"missing": "", "failing": "exit 9"} {
		p, dir := machine(t, rootLine, useradd)
		if c := provision(t, p, filepath.Join(dir, "config.yaml")); c.CredentialUID != 0 {
			t.Errorf("%s: uid %d", name, c.CredentialUID)
		}
	}
}

// A directory service that hangs, or whoever else changes the users, does not stop a set for ever.
func TestUseraddIsBounded(t *testing.T) {
	h, dir := machine(t, rootLine, "exit 0")
	asked, bounded := false, false
	h.Exec = func(ctx context.Context, _ string, _ ...string) (string, error) {
		_, bounded = ctx.Deadline()
		asked = true
		return "", nil
	}
	provision(t, h, filepath.Join(dir, "config.yaml"))
	if !asked || !bounded {
		t.Errorf("useradd was run: %v, with a bound: %v", asked, bounded)
	}
}

// TestProxyWithExceptions: Entra is reached through a proxy, the account has a private endpoint that the proxy does
// not reach.
func TestProxyWithExceptions(t *testing.T) {
	const account, proxy = "acct.file.core.windows.net", "proxy: http://proxy.test:3128\n"
	for text, want := range map[string]string{
		proxy:                          "",
		proxy + "no_proxy: " + account: account,
		proxy + "no_proxy: " + account + ", .x, 10.0.0.0/8":                                    account + ",.x,10.0.0.0/8",
		proxy + "no_proxy: [" + account + ", .x]":                                              account + ",.x",
		proxy + "no_proxy:\n- '*.Example.'\n- a,b":                                             "*.example,a,b",
		"ENVIRONMENT: {HTTPS_PROXY: 'http://proxy.test:3128', NO_PROXY: 'x, " + account + "'}": "x," + account,
		proxy + "ENVIRONMENT: {no_proxy: '" + account + " ://, \\x'}":                          account,
		proxy + "ENVIRONMENT: {NO_PROXY: x}\nno_proxy: " + account:                             account,
		proxy + "ENVIRONMENT: {NO_PROXY: " + account + "}\nno_proxy: []":                       "",
	} {
		c := load(t, text)
		if got := c.Transport.NoProxy; got != want || c.Transport.NoProxy != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if err := c.Strict(); err != nil {
			t.Errorf("%q: check: %v", text, err)
		}
		tr, err := transport.New(c.Transport)
		if err != nil {
			t.Fatal(err)
		}
		for host, direct := range map[string]bool{account: strings.Contains(want, account), "login.microsoftonline.com": false} {
			u, err := tr.Proxy(httptest.NewRequest(http.MethodGet, "https://"+host+"/", http.NoBody))
			if err != nil || (u == nil) != direct {
				t.Errorf("%q: %s by way of %v, %v", text, host, u, err)
			}
		}
	}
	for _, wrong := range []string{"https://a", "a/b", "10.0.0.0/33", "[a, '*b']", "[a, [b]]", "[a, {b: c}]", "[a, ~]", "[a, '']", "{a: b}", "''", "~", "!mine [a]", "'[::1]'", "a:port", "a@b", "..", "10.*"} {
		refused(t, "# \nno_proxy: "+wrong+"\n", "line 2: no_proxy: ")
	}
}

func TestProxyAndAuthorityOfEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	put(t, path, "ENVIRONMENT:\n  HTTPS_PROXY: http://proxy.test:3128\n  AZURE_AUTHORITY_HOST: https://login.test/\n  AZFILES_TEST: x\n", 0o600)
	c, err := readAt(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Transport.Proxy == nil || c.Transport.Proxy.Host != "proxy.test:3128" || c.AuthorityHost() != "https://login.test" {
		t.Errorf("proxy %v, authority %q", c.Transport.Proxy, c.AuthorityHost())
	}
	if len(c.Authorities()) != 1 || c.Authorities()[0] != "https://login.test" {
		t.Errorf("authorities %v", c.Authorities())
	}
	if v, ok := os.LookupEnv("AZFILES_TEST"); ok || c.Environment["AZFILES_TEST"] != "x" {
		t.Errorf("ENVIRONMENT has %q, the process's environment %q, %v", c.Environment, v, ok)
	}
}

// A proxy without a scheme is one for http, as libcurl has it; one that nobody can use is ignored, and a mistake for a check.
func TestProxyOfEnvironmentWithoutScheme(t *testing.T) {
	for value, want := range map[string]string{
		"proxy.test:3128": "http://proxy.test:3128", "me:x@proxy.test": "http://me:x@proxy.test", "socks5://proxy.test:1080": "", "'http://me:a b@proxy.test'": "",
	} {
		content := "\nENVIRONMENT: {HTTPS_PROXY: " + value + "}\n"
		c := load(t, content)
		if got := c.Transport.Proxy; (got == nil) != (want == "") || got != nil && got.String() != want {
			t.Errorf("%s: %v, want %q", value, got, want)
		}
		_, _, err := CheckContent(host.Beneath(t.TempDir()), []byte(content))
		if (err == nil) != (want != "") {
			t.Errorf("%s: check: %v", value, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "line 2: ENVIRONMENT.HTTPS_PROXY: it must be http://host:port") || strings.Contains(err.Error(), "a b")) {
			t.Error(err)
		}
	}
}
