package ccache_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

// mit runs one of MIT's own programs with a configuration that lets it ask nobody.
func mit(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install krb5-user (Debian, Ubuntu) or krb5-workstation (RHEL)", err)
	}
	conf := filepath.Join(t.TempDir(), "krb5.conf")
	must(t, os.WriteFile(conf, []byte("[libdefaults]\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"+
		" dns_canonicalize_hostname = false\n rdns = false\n"), 0o600))
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"KRB5_CONFIG=" + conf, "TZ=UTC", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// lasting is ticket with times that MIT's programs accept: they have no clock but the real one.
func lasting(host, realm string, n uint64) ccache.Credential {
	cred := ticket(host, realm, n)
	now := time.Now()
	cred.AuthTime, cred.StartTime, cred.EndTime = now.Add(-time.Minute), now.Add(-time.Minute), now.Add(time.Hour)
	return cred
}

func TestKlistShowsWhatWeWrote(t *testing.T) {
	path := filepath.Join(folder(t), "cc")
	put(t, open(t, path), lasting(host, realm, 1), of(lasting(other, realm, 2), "alice", realm))
	out, err := mit(t, "klist", "-C", "-e", "-f", "-c", "FILE:"+path)
	must(t, err)
	for _, want := range []string{
		"Default principal: alice@" + realm, "cifs/" + host + "@" + realm, "cifs/" + other + "@" + realm,
		"Flags: T", "aes256-cts-hmac-sha1-96",
		`config: azfilesauth(cifs/` + other + "@" + realm + `)`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	// klist breaks long values into lines of its own making.
	if flat := strings.Join(strings.Fields(out), ""); !strings.Contains(flat, "=v1;obtained=2026-11-23T15:48:24Z;refreshable=yes;identity=system") {
		t.Errorf("the record is not shown:\n%s", out)
	}
	if out, err := mit(t, "klist", "-c", "FILE:"+path); err != nil || strings.Contains(out, "X-CACHECONF") || strings.Contains(out, "azfilesauth") {
		t.Errorf("without -C the records are shown: %v\n%s", err, out)
	}
	if _, err := mit(t, "klist", "-s", "-c", "FILE:"+path); err != nil {
		t.Log("klist -s wants a ticket-granting ticket") // as without our records
	}
}

// found asks libkrb5 for cifs/host as cifs.upcall does: by service and host, without a realm.
func found(t *testing.T, path, host string) (string, bool) {
	t.Helper()
	out, err := mit(t, "kvno", "--cached-only", "-c", "FILE:"+path, "-S", "cifs", host)
	return out, err == nil
}

func TestKvnoFindsTicketsAndAliases(t *testing.T) {
	for _, client := range []string{realm, "TENANT.EXAMPLE"} {
		path := filepath.Join(folder(t), "cc")
		s := open(t, path)
		for n := range uint64(2) { // again, so that replaced labels are looked up too
			must(t, s.Update(t.Context(), func(c *ccache.Cache) error {
				c.Put(of(lasting(host, realm, n), "alice", client), withAliases(private))
				return nil
			}))
		}
		for _, name := range []string{host, private} {
			if out, ok := found(t, path, name); !ok {
				t.Errorf("client realm %s: %s is not found: %s", client, name, out)
			}
			if out, err := mit(t, "kvno", "--cached-only", "-c", "FILE:"+path, "cifs/"+name+"@"+realm); err != nil {
				t.Errorf("client realm %s: cifs/%s@%s is not found: %s", client, name, realm, out)
			}
		}
		if _, ok := found(t, path, other); ok {
			t.Error("a ticket that nobody put is found")
		}
		must(t, s.Update(t.Context(), func(c *ccache.Cache) error { c.Remove(spn); return nil }))
		for _, name := range []string{host, private} {
			if _, ok := found(t, path, name); ok {
				t.Errorf("%s is found after Remove", name)
			}
		}
		if out, err := mit(t, "klist", "-C", "-c", "FILE:"+path); err != nil || strings.Contains(out, "azfilesauth") {
			t.Errorf("the emptied cache: %v\n%s", err, out)
		}
	}
}

// TestMITReadsTheSameFile shows that version3 of these tests, and so our reader, is right about the format.
func TestMITReadsTheSameFile(t *testing.T) {
	path := filepath.Join(folder(t), "cc")
	must(t, os.WriteFile(path, version3(t, vector(t, "ccalias")), 0o600))
	out, err := mit(t, "klist", "-e", "-c", "FILE:"+path)
	if err != nil || !strings.Contains(out, spn+"@"+realm) || !strings.Contains(out, "aes256") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMITUnparsesAlike(t *testing.T) {
	for _, test := range oddPrincipals {
		path := filepath.Join(folder(t), "cc")
		c := ccache.Cache{Principal: test.principal}
		must(t, os.WriteFile(path, c.Marshal(), 0o600))
		out, err := mit(t, "klist", "-C", "-c", "FILE:"+path)
		if err != nil || !strings.Contains(out, "Default principal: "+test.text+"\n") {
			t.Errorf("want %s: %v\n%s", test.text, err, out)
		}
	}
}
