package spnego_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/spnego"
)

const krb5Conf = `[libdefaults]
	default_realm = ` + testRealm + `
	dns_lookup_kdc = false
	dns_lookup_realm = false
	rdns = false
	permitted_enctypes = aes256-sha2 aes128-sha2 aes256-sha1 aes128-sha1
`

// accepted is what MIT's acceptor says about a token.
type accepted struct {
	Error, Key, Client, Server string
	Complete                   bool
	Flags                      int
}

// accept lets MIT's libgssapi take the tokens as a server with the keys of the keytab.
func accept(t *testing.T, service *keytab.Keytab, tokens [][]byte) []accepted {
	t.Helper()
	dir := t.TempDir()
	table, err := service.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "keytab"), table)
	writeFile(t, filepath.Join(dir, "krb5.conf"), []byte(krb5Conf))
	var in, stderr bytes.Buffer
	for _, token := range tokens {
		fmt.Fprintln(&in, hex.EncodeToString(token))
	}
	cmd := exec.Command("/usr/bin/python3", "testdata/accept.py")
	cmd.Env = []string{
		"KRB5_KTNAME=FILE:" + dir + "/keytab", "KRB5_CONFIG=" + dir + "/krb5.conf",
		"KRB5RCACHENAME=file2:" + dir + "/rcache", "PYTHONDONTWRITEBYTECODE=1",
	}
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("MIT's acceptor: %v (apt-get install python3-gssapi)\n%s", err, stderr.String())
	}
	return readAccepted(t, out, len(tokens))
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readAccepted(t *testing.T, out []byte, want int) (list []accepted) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var a accepted
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	if len(list) != want {
		t.Fatalf("%d results for %d tokens", len(list), want)
	}
	return list
}

func TestMITAccepts(t *testing.T) {
	service, now := newKeytab(t), time.Now()
	type login struct {
		name   string
		client ccache.Principal
		answer answer
	}
	var logins []login
	add := func(name string, serviceEtype, sessionEtype uint16, client ccache.Principal, mech spnego.Mechanism) {
		cred := newCredential(t, service, serviceEtype, sessionEtype, client, now)
		logins = append(logins, login{name, client, open(t, payloadOf(t, cred, mech, now), service)})
	}
	for _, etype := range etypes {
		add(fmt.Sprint(etype, " krb5"), etype, etype, alice(), spnego.Krb5)
		add(fmt.Sprint(etype, " mskrb5"), etype, etype, alice(), spnego.MSKrb5)
		add(fmt.Sprint("18 with a session key of ", etype), 18, etype, alice(), spnego.Krb5)
	}
	for name, components := range map[string][]string{
		"several components": {"host", "node-1.example.org", "x"},
		"not ASCII":          {"Jürgen Ödön 日本"},
		"GUID":               {"00000000-0000-0000-0000-000000000001"},
		"enterprise name":    {"user@contoso.com"},
	} {
		add(name, 18, 18, ccache.Principal{NameType: 1, Realm: testRealm, Components: components}, spnego.Krb5)
	}
	add("negative name type", 18, 18, ccache.Principal{NameType: 0xffffff80, Realm: testRealm, Components: []string{"alice"}}, spnego.Krb5)
	add("other realm", 18, 18, ccache.Principal{NameType: 1, Realm: "ÄNDERE.TEST", Components: []string{"alice"}}, spnego.Krb5)

	tokens := make([][]byte, len(logins))
	for i, l := range logins {
		tokens[i] = l.answer.token
	}
	for i, got := range accept(t, service, tokens) {
		l := logins[i]
		if got.Error != "" || !got.Complete {
			t.Errorf("%s: refused: %s", l.name, got.Error)
			continue
		}
		if got.Key != hex.EncodeToString(l.answer.key) {
			t.Errorf("%s: the server's key is not the kernel's", l.name)
		}
		if got.Client != l.client.String() || !strings.HasPrefix(got.Server, "cifs/"+testHost) {
			t.Errorf("%s: %s at %s", l.name, got.Client, got.Server)
		}
		if got.Flags&2 != 0 { // GSS_C_MUTUAL_FLAG
			t.Errorf("%s: the server thinks that it has to authenticate too", l.name)
		}
	}
}

// The acceptor does say no: to a token that it has seen, that was changed, or whose time is past.
func TestMITRefuses(t *testing.T) {
	service, now := newKeytab(t), time.Now()
	cred := newCredential(t, service, 18, 18, alice(), now)
	good := open(t, payloadOf(t, cred, spnego.Krb5, now), service)
	changed := bytes.Clone(good.token)
	changed[len(changed)-1] ^= 1
	early := cred
	early.EndTime = now.Add(-time.Hour)
	past := open(t, payloadOf(t, early, spnego.Krb5, now.Add(-2*time.Hour)), service)

	got := accept(t, service, [][]byte{good.token, good.token, changed, past.token})
	if got[0].Error != "" {
		t.Fatal(got[0].Error)
	}
	for i, want := range map[int]string{1: "replay", 2: "ntegrity", 3: "skew"} {
		if !strings.Contains(got[i].Error, want) {
			t.Errorf("token %d: %q does not speak of %q", i, got[i].Error, want)
		}
	}
}
