package keyring_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

func TestParseKeys(t *testing.T) {
	f, err := os.Open("testdata/proc_keys")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := keyring.ParseKeys(f)
	if err != nil {
		t.Fatal(err)
	}
	const spnego = ";sec=krb5;uid=0x0;creduid=0x0;"
	want := []keyring.Key{
		{Serial: 0x0c711344, Flags: "I------", Type: "keyring", Description: ".blacklist: empty", Expiry: "perm"},
		{Serial: 0x1a2b3c01, Flags: "I------", Type: "keyring", Description: ".cifs_spnego: 3", Expiry: "perm"},
		{
			Serial: 0x1a2b3c02, Flags: "I--Q-N-", Type: "cifs.spne", Negative: true, Expiry: "2s",
			Description: "ver=0x2;host=acct.file.core.windows.net;ip4=10.0.0.4" + spnego + "user=root;pid=0x4d2",
		},
		{
			Serial: 0x1a2b3c03, Flags: "----U--", Type: "cifs.spne", UnderConstruction: true, Expiry: "expd",
			Description: "ver=0x2;host=;ip4=10.0.0.5" + spnego + "pid=0x4d3",
		},
		{Serial: 0x1eab2d45, Flags: "I--Q---", Type: "keyring", Description: "_uid.0: empty", Expiry: "perm"},
		{Serial: 0x2f00aa10, Flags: "I--Q--i", Type: "user", Description: " two  spaces : 5", Expiry: "3d"},
		{Serial: 0x2f00aa11, Flags: "IRDQ---", Type: "logon", Description: "x: 1", Expiry: "10w"},
		{Serial: 0x2f00aa12, Flags: "I--Q---", Type: "user", Description: "a description", Expiry: "4h"},
		{Serial: 0x2f00aa13, Flags: "I--Q---", Type: "big_key_x", Expiry: "perm"},
		{Serial: 0x2f00aa18, Flags: "I--Q---", Type: "keyring", Description: "the last, without a newline", Expiry: "perm"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestHasType(t *testing.T) {
	for _, c := range []struct {
		shown, name string
		want        bool
	}{
		{"cifs.spne", "cifs.spnego", true},
		{"user", "user", true},
		{"keyring", "keyring", true},
		{"cifs.spne", "cifs.idmap", false},
		{"user", "use", false},
		{"use", "user", false},
		{"", "user", false},
	} {
		if got := (keyring.Key{Type: c.shown}).HasType(c.name); got != c.want {
			t.Errorf("%q has type %q: %t", c.shown, c.name, got)
		}
	}
}

const goodLine = "2f00aa13 I--Q---     1 perm 3f010000     0     0 user      good\n"

func TestParseKeysSkipsAnOverlongLine(t *testing.T) {
	for _, n := range []int{4095, 8 << 10, 1 << 20} {
		long := strings.TrimSuffix(goodLine, "\n") + strings.Repeat("x", n)
		want := 2
		if n == 4095 { // as long as the kernel lets it be
			want = 3
		}
		got, err := keyring.ParseKeys(strings.NewReader(goodLine + long + "\n" + goodLine))
		if err != nil || len(got) != want {
			t.Errorf("%d: %d keys, %v; want %d", n, len(got), err, want)
		}
		got, err = keyring.ParseKeys(strings.NewReader(goodLine + long))
		if err != nil || len(got) != want-1 {
			t.Errorf("%d, at the end: %d keys, %v; want %d", n, len(got), err, want-1)
		}
	}
}

func TestParseKeysIsBounded(t *testing.T) {
	// One good line, then a line that never ends.
	endless := io.MultiReader(strings.NewReader(goodLine), zeros{})
	if got, err := keyring.ParseKeys(endless); !errors.Is(err, keyring.ErrTable) || len(got) != 1 {
		t.Fatalf("%d keys, %v", len(got), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestParseKeysReportsAReadError(t *testing.T) {
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader(goodLine+strings.TrimSuffix(goodLine, "\n")), iotest.ErrReader(broken))
	if got, err := keyring.ParseKeys(r); !errors.Is(err, broken) || len(got) != 1 {
		t.Fatalf("%d keys, %v", len(got), err)
	}
}

// A key that is written as the kernel writes it is read as the same key.
func FuzzParseKeys(f *testing.F) {
	table, err := os.ReadFile("testdata/proc_keys")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(table)
	f.Fuzz(func(t *testing.T, table []byte) {
		keys, err := keyring.ParseKeys(strings.NewReader(string(table)))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			padding := strings.Repeat(" ", 9-len(k.Type)) // the kernel counts bytes
			line := fmt.Sprintf("%08x %s %5d %4s %08x %5d %5d %s %s\n", int(k.Serial), k.Flags, 1, k.Expiry, 0, 0, 0, k.Type+padding, k.Description)
			again, err := keyring.ParseKeys(strings.NewReader(line))
			if err != nil || len(again) != 1 || again[0] != k {
				t.Fatalf("%q: got %+v, %v; want %+v", line, again, err, k)
			}
		}
	})
}
