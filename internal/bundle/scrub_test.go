package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// What looks like a secret is found by its looks alone.
func TestScrubByLooks(t *testing.T) {
	for text, secret := range map[string]string{
		"got eyJhbGciOiJub25lIn0.eyJhIjoxfQ.abc today":                       "eyJhIjoxfQ",
		"Authorization: Basic cm9ib3Q6cHc=":                                  "cm9ib3Q6cHc",
		"proxy http://robot:hunter2@proxy:3128":                              "hunter2",
		"//me:hun/ter2@acct.file.core.windows.net/share":                     "ter2",
		"GET /x?sv=1&sig=hunter2&x":                                          "hunter2",
		"client_secret = hunter2":                                            "hunter2",
		`{"access_token": "hunter2"}`:                                        "hunter2",
		"PASSWORD: hunter2":                                                  "hunter2",
		"rw,pass=hunter2,seal":                                               "hunter2",
		"key 00112233445566778899aabbccddeeff":                               "00112233",
		"dump 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff":               "33 44 55",
		"blob " + strings.Repeat("aB3", 12):                                  "aB3aB3",
		"-----BEGIN RSA PRIVATE KEY-----\nab\n-----END RSA PRIVATE KEY-----": "ab\n",
	} {
		if got := (&secrets{}).scrub(text); strings.Contains(got, secret) || !strings.Contains(got, "REDACTED") {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// What this machine holds is known, however it looks.
func TestKnownSecrets(t *testing.T) {
	c := canaries{}
	s, err := doctor.New(doctor.Options{Host: host.Beneath(machineOf(t, c)).Trusting(os.Geteuid())})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{Subject: s, secrets: &secrets{}}
	m.findSecrets()
	for _, name := range []string{"session key", "ticket", "secret file", "secret file of a drop-in", "token file", "private key"} {
		if !slices.Contains(m.secrets.texts, string(c[name])) {
			t.Errorf("%s is not known", name)
		}
	}
	if got := m.secrets.scrub("x" + string(c["secret file"]) + "y"); got != "xREDACTEDy" {
		t.Errorf("got %q", got)
	}
}

// Nobody keeps root busy with a cache of his own, whatever is in it.
func TestForeignCachesAreNotRead(t *testing.T) {
	needs.Root(t)
	root := t.TempDir()
	const entries = 20000
	var foreign ccache.Cache
	for i := range entries {
		foreign.Credentials = append(foreign.Credentials, ccache.Credential{Server: ccache.Principal{Realm: "R", Components: []string{"cifs", fmt.Sprint(i)}}})
	}
	put(t, root, "/tmp/krb5cc_1000", string(foreign.Marshal()))
	sparse := filepath.Join(root, "tmp/krb5cc_1001")
	fifo := filepath.Join(root, "tmp/krb5cc_1002")
	link := filepath.Join(root, "tmp/krb5cc_1003")
	if err := errors.Join(os.WriteFile(sparse, nil, 0o600), os.Truncate(sparse, 1<<40), unix.Mkfifo(fifo, 0o600), os.Symlink("krb5cc_1000", link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(root, "tmp/krb5cc_1000"), sparse, fifo, link} {
		if err := os.Lchown(path, 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	s, err := doctor.New(doctor.Options{Host: host.Beneath(root)})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{Subject: s, secrets: &secrets{}}
	m.findSecrets()
	text, err := m.caches(t.Context())
	if err != nil || len(m.secrets.texts) > 0 || strings.Count(text, errForeign.Error()) != 4 {
		t.Errorf("%v, %d secrets in\n%.2000s", err, len(m.secrets.texts), text)
	}
}
