package keyring_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

func TestParseDescription(t *testing.T) {
	nobody := ^uint32(0) // the kernel prints it as -1
	const spnego = "ver=0x2;host=acct.file.core.windows.net;ip4=10.0.0.4;sec=krb5;uid=0x0;creduid=0x0;pid=0x4d2"
	for text, want := range map[string]keyring.Description{
		"cifs.spnego;0;0;39010000;" + spnego: {Type: "cifs.spnego", Perm: 0x39010000, Text: spnego},
		"user;1000;100;3f010000;":            {Type: "user", UID: 1000, GID: 100, Perm: 0x3f010000},
		"keyring;0;-1;1f3f0000;_uid.0":       {Type: "keyring", GID: int(nobody), Perm: 0x1f3f0000, Text: "_uid.0"},
		"user;0;0;ffffffff;;;\n;":            {Type: "user", Perm: 0xffffffff, Text: ";;\n;"},
	} {
		if got, err := keyring.ParseDescription(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseDescriptionRefuses(t *testing.T) {
	for _, text := range []string{
		"", ";", ";;;;", ";0;0;39010000;x", "user;0;0;39010000", "user;;0;39010000;x", "user;0;;39010000;x", "user;0;0;;x",
		"user;x;0;39010000;x", "user;0;x;39010000;x", "user;0;0;xyz;x", "user;0;0;139010000;x", "user; 0;0;39010000;x",
		"user;4294967296;0;39010000;x", "user;0;0;-1;x",
	} {
		if got, err := keyring.ParseDescription(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestDescribeAKeyThatIsNotThere(t *testing.T) {
	for key, want := range map[keyring.Serial]unix.Errno{0x7ffffffe: unix.ENOKEY, 0: unix.EINVAL, -99: unix.EINVAL} {
		if got, err := keyring.Describe(key); !errors.Is(err, want) {
			t.Errorf("%d: %+v, %v; want %v", key, got, err, want)
		}
	}
}

// What is accepted is what the kernel would have written from the same values.
func FuzzParseDescription(f *testing.F) {
	f.Add("cifs.spnego;0;0;39010000;ver=0x2;host=acct.file.core.windows.net;ip4=10.0.0.4;sec=krb5")
	f.Add("user;-1;4294967295;3f010000;;")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := keyring.ParseDescription(text)
		if err != nil {
			return
		}
		if strings.Contains(d.Type, ";") || !strings.HasSuffix(text, ";"+d.Text) {
			t.Fatalf("%q: %+v", text, d)
		}
		written := fmt.Sprintf("%s;%d;%d;%08x;%s", d.Type, int32(d.UID), int32(d.GID), d.Perm, d.Text)
		if again, err := keyring.ParseDescription(written); err != nil || again != d {
			t.Fatalf("%q: got %+v, %v; want %+v", written, again, err, d)
		}
	})
}
