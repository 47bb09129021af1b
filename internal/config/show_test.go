package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// lines are settings as one text each: line, key, value.
func lines(c *Config) []string {
	var all []string
	for _, s := range c.Settings() {
		all = append(all, fmt.Sprintf("%d %s %s", s.Line, s.Key, s.Value))
	}
	return all
}

func TestSettingsByDefault(t *testing.T) {
	want := []string{
		"0 USER_UID 0", "0 KRB5_CC_NAME /tmp/krb5cc_0", "0 LOG_DESTINATION syslog", "0 LOG_FILE_PATH /var/log/azfilesauth.log", "0 LOG_FORMAT text", "0 LOG_LEVEL info",
		"0 CURL_CONNECT_TIMEOUT 10s", "0 CURL_TOTAL_TIMEOUT 30s", "0 default_identity system", "0 mount_options ",
		"0 refresh.at 60%", "0 refresh.before_expiry 5m0s", "0 refresh.jitter 10%", "0 refresh.concurrency 8",
		"0 upcall.mode native", "0 upcall.deadline 5s", "0 metrics.socket off", "0 metrics.textfile ", "0 metrics.listen ", "0 proxy ", "0 no_proxy ", "0 token_cache keyring",
	}
	c := load(t, "USER_UID:\t0\nidentities:\nrefresh: {}\n")
	want[0] = "1 USER_UID 0"
	if got := lines(c); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c.Missing || c.Path == "" {
		t.Errorf("missing %v, path %q", c.Missing, c.Path)
	}
	if none, err := readAt(filepath.Join(t.TempDir(), "none")); err != nil || !none.Missing {
		t.Errorf("missing %v, %v", none.Missing, err)
	}
}

func TestSettingsFromTheFile(t *testing.T) {
	c := load(t, `USER_UID: 1001
KRB5_CC_NAME: FILE:/run/azfilesauth/krb5cc_%{uid}
USER_UID: 1002
LOG_DESTINATION: Journal
LOG_FILE_PATH: /x.log
CURL_CONNECT_TIMEOUT: 7
CURL_TOTAL_TIMEOUT: 99
ENVIRONMENT:
  B_SECRET: hunter2
  A: hunter2
default_identity: backup
identities:
  backup:
    client_id: `+guid+`
  app: {kind: quantum}
endpoints:
  Z.file.example.: {canonical: acct.file.core.windows.net, identity: backup}
  a.example: {authority: https://login.example/, resource: https://storage.example}
refresh: {at: 7%, before_expiry: 90s,
  jitter: 0.25, concurrency: 3}
upcall: {mode: cifs, deadline: 4500ms}
proxy: http://user:hunter2@proxy.example:3128
metrics: {socket: on, textfile: /var/lib/x/azfilesauth.prom}
no_proxy: [acct.file.core.windows.net, 10.0.0.0/8]
`)
	want := []string{
		"1 USER_UID 1001", "2 KRB5_CC_NAME /run/azfilesauth/krb5cc_1001", "4 LOG_DESTINATION journal", "5 LOG_FILE_PATH /x.log", "0 LOG_FORMAT text", "0 LOG_LEVEL info",
		"6 CURL_CONNECT_TIMEOUT 7s", "7 CURL_TOTAL_TIMEOUT 1m39s", "11 default_identity user-assigned client_id=" + guid, "0 mount_options ",
		"19 refresh.at 7%", "19 refresh.before_expiry 1m30s", "20 refresh.jitter 25%", "20 refresh.concurrency 3",
		"21 upcall.mode cifs", "21 upcall.deadline 4.5s", "23 metrics.socket on", "23 metrics.textfile /var/lib/x/azfilesauth.prom", "0 metrics.listen ", "22 proxy http://REDACTED@proxy.example:3128", "24 no_proxy acct.file.core.windows.net,10.0.0.0/8", "0 token_cache keyring",
		"15 identities.app not usable: its kind is not known to this version",
		"13 identities.backup user-assigned client_id=" + guid,
		"17 endpoints.Z.file.example. identity=backup canonical=acct.file.core.windows.net",
		"18 endpoints.a.example authority=https://login.example/ resource=https://storage.example",
		"10 ENVIRONMENT.A REDACTED", "9 ENVIRONMENT.B_SECRET REDACTED",
	}
	if got := lines(c); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestProxyWithoutLoginIsShown(t *testing.T) {
	c := load(t, "proxy: http://proxy.example:3128\n")
	if got := lines(c); !slices.Contains(got, "1 proxy http://proxy.example:3128") {
		t.Errorf("got %q", got)
	}
}

// users is a machine whose users are those of one file.
func users(passwd string) host.Host {
	h := host.Real()
	h.Passwd, h.Exec = passwd, nil
	return h
}

func TestCRUID(t *testing.T) {
	passwd := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(passwd, []byte("root:x:0:0::/root:/bin/sh\nshort:x:7\nann:x:1001:1001::/:/bin/sh\nodd:x:abc:1::/:/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, "USER_UID: 1001\n")
	for want, uid := range map[string]int{"": 1001, "0": 0, "root": 0, "ann": 1001, "1001": 1001} {
		if got, err := c.CRUID(want, users(passwd)); err != nil || got != uid {
			t.Errorf("%q: %d, %v", want, got, err)
		}
	}
	for _, want := range []string{"nobody-knows", "7", "short", "odd", "-1", "1002"} {
		if got, err := c.CRUID(want, users(passwd)); !fault.Is(err, fault.UIDUnknown) {
			t.Errorf("%q: %d, %v", want, got, err)
		}
	}
	if got, err := c.CRUID("1001", users(passwd+"none")); !fault.Is(err, fault.UIDUnknown) {
		t.Errorf("without a file: %d, %v", got, err)
	}
	if got, err := c.CRUID("root", users(passwd+"none")); err != nil || got != 0 {
		t.Errorf("root without a file: %d, %v", got, err)
	}
}

// TestCRUIDOfADirectory: a user whom only a name service knows, here a real one of the C library, is as good as one of
// /etc/passwd, by number and by name, in an option and in USER_UID.
func TestCRUIDOfADirectory(t *testing.T) {
	const name, uid = "ann.far", 1507005289
	needs.DirectoryUser(t, name, uid, "/home/ann.far")
	h := host.Real()
	if _, err := h.LocalUser(name); !errors.Is(err, host.ErrNoUser) {
		t.Fatalf("%s is in a file: %v", name, err)
	}
	c := load(t, "USER_UID: 1507005289\n")
	for _, want := range []string{"", "1507005289", name} {
		if got, err := c.CRUID(want, h); err != nil || got != uid {
			t.Errorf("%q: %d, %v", want, got, err)
		}
	}
	if got, err := c.CRUID("bob.far", h); !fault.Is(err, fault.UIDUnknown) {
		t.Errorf("somebody else: %d, %v", got, err)
	}
}
