package azurefake_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/jcmturner/gokrb5/v8/messages"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// TestMITOpensTickets lets MIT's kvno open the tickets of every etype with the keytab. It takes the
// ticket from a credential cache, since there is no KDC.
func TestMITOpensTickets(t *testing.T) {
	for etype, keyLength := range map[int32]int{17: 16, 18: 32, 19: 16, 20: 32, 23: 16} {
		t.Run(fmt.Sprint(etype), func(t *testing.T) {
			// MIT's tools have no clock but the system's.
			f, err := azurefake.Start(azurefake.Options{Hosts: []string{host}, Etype: etype})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(f.Close)
			dir := t.TempDir()
			writeKeytab(t, f, dir)
			_, body := exchange(t, f)
			a := decode(t, body)
			if len(a.sessionKey) != keyLength {
				t.Errorf("the session key has %d bytes, want %d", len(a.sessionKey), keyLength)
			}
			writeCache(t, dir, a)
			if out, err := kvno(t, dir); err != nil || !strings.Contains(out, "keytab entry valid") {
				t.Errorf("%v: %s", err, out)
			}

			f.Order(azurefake.Order{Target: azurefake.TargetStorage, Secret: "another"})
			_, body = exchange(t, f)
			writeCache(t, dir, decode(t, body))
			if out, err := kvno(t, dir); err == nil {
				t.Errorf("a ticket with another service key: %s", out)
			}
		})
	}
}

func kvno(t *testing.T, dir string) (string, error) {
	t.Helper()
	cmd := exec.Command(needs.Program(t, "kvno", "krb5-user"), "-k", filepath.Join(dir, "keytab"), "cifs/"+host+"@"+azurefake.DefaultRealm)
	cmd.Env = []string{"KRB5_CONFIG=" + filepath.Join(dir, "krb5.conf"), "KRB5CCNAME=FILE:" + filepath.Join(dir, "cc"), "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func writeKeytab(t *testing.T, f *azurefake.Fake, dir string) {
	t.Helper()
	keytab, err := f.Keytab()
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "keytab", keytab)
	put(t, dir, "krb5.conf", []byte("[libdefaults]\nallow_weak_crypto = true\nallow_rc4 = true\ndns_lookup_kdc = false\n"))
}

func put(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeCache writes a version 4 credential cache with the answer's ticket and nothing else; see
// "Credential cache file format" of the MIT Kerberos documentation.
func writeCache(t *testing.T, dir string, a answer) {
	t.Helper()
	var b bytes.Buffer
	number := func(v any) { _ = binary.Write(&b, binary.BigEndian, v) } // a Buffer does not fail
	data := func(p []byte) { number(uint32(len(p))); b.Write(p) }
	name := func(nameType int32, realm string, parts []string) {
		number(nameType)
		number(uint32(len(parts)))
		data([]byte(realm))
		for _, p := range parts {
			data([]byte(p))
		}
	}
	info := a.part.TicketInfo[0]
	ticket := a.cred.Tickets[0]
	number(uint16(0x0504))
	number(uint16(0)) // no header
	for range 2 {     // the default principal and the credential's client
		name(info.PName.NameType, info.PRealm, info.PName.NameString)
	}
	name(info.SName.NameType, info.SRealm, info.SName.NameString)
	number(uint16(info.Key.KeyType))
	data(info.Key.KeyValue)
	for _, at := range []time.Time{info.AuthTime, info.StartTime, info.EndTime} {
		number(uint32(at.Unix()))
	}
	number(uint32(0)) // renew till
	number(uint8(0))
	b.Write(info.Flags.Bytes)
	number(uint64(0)) // no addresses, no authorization data
	data(der(t, ticket))
	data(nil) // no second ticket
	put(t, dir, "cc", b.Bytes())
}

// der is the ticket as it stood in the KRB-CRED: both sides write DER.
func der(t *testing.T, ticket messages.Ticket) []byte {
	t.Helper()
	b, err := ticket.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
