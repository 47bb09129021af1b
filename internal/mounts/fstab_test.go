package mounts

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParseFstab(t *testing.T) {
	const table = `# /etc/fstab: static file system information.
UUID=0a-1b / ext4 errors=remount-ro 0 1

	//acct.file.core.windows.net/My\040Docs	/mnt/my\040docs   azfiles _netdev,identity=system,,context="a,b",x-systemd.requires=a.service 0 0
  # another comment
#//acct.file.core.windows.net/off /off azfiles _netdev
//acct.file.core.windows.net/short /short cifs
two fields
\\acct.file.core.windows.net\share /back\134slash cifs sec=ntlmssp,sec=krb5`
	want := []FstabLine{
		{2, "UUID=0a-1b", "/", "ext4", []string{"errors=remount-ro"}},
		{
			4, "//acct.file.core.windows.net/My Docs", "/mnt/my docs", "azfiles",
			[]string{"_netdev", "identity=system", `context="a,b"`, "x-systemd.requires=a.service"},
		},
		{7, "//acct.file.core.windows.net/short", "/short", "cifs", nil},
		{9, `\\acct.file.core.windows.net\share`, `/back\slash`, "cifs", []string{"sec=ntlmssp", "sec=krb5"}},
	}
	for name, text := range map[string]string{"without a last line end": table, "with one": table + "\n"} {
		got, err := ParseFstab(iotest.OneByteReader(strings.NewReader(text)))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v, %v\nwant %+v", name, got, err, want)
		}
	}
}

func TestFstabOption(t *testing.T) {
	l := FstabLine{Options: []string{"_netdev", "sec=none", "username=a=b", "sec=krb5"}}
	tests := map[string]struct {
		value string
		ok    bool
	}{"_netdev": {"", true}, "sec": {"krb5", true}, "username": {"a=b", true}, "user": {"", false}, "se": {"", false}}
	for name, want := range tests {
		if value, ok := l.Option(name); value != want.value || ok != want.ok {
			t.Errorf("%s: %q, %v", name, value, ok)
		}
	}
}

func TestFstabBounds(t *testing.T) {
	const entry = "//h/s /t azfiles _netdev 0 0\n"
	got, err := ParseFstab(strings.NewReader("//h/s /t azfiles x=" + strings.Repeat("x", 1<<20) + "\n" + entry))
	if err != nil || len(got) != 1 || got[0].Line != 2 {
		t.Errorf("a long line: %d entries, %v", len(got), err)
	}
	got, err = ParseFstab(strings.NewReader(strings.Repeat(entry, maxFstabLines+5)))
	if err != nil || len(got) != maxFstabLines {
		t.Errorf("many lines: %d entries, %v", len(got), err)
	}
	broken := errors.New("broken")
	if _, err := ParseFstab(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func FuzzFstab(f *testing.F) {
	f.Fuzz(func(t *testing.T, table string) {
		got, err := ParseFstab(strings.NewReader(table))
		if err != nil {
			t.Fatal(err)
		}
		last := 0
		for _, l := range got {
			if l.Spec == "" || l.Target == "" || l.Type == "" || l.Line <= last {
				t.Fatalf("got %+v behind line %d", l, last)
			}
			last = l.Line
			for _, option := range l.Options {
				if option == "" || strings.Contains(option, ",") && !strings.Contains(option, `"`) {
					t.Fatalf("option %q", option)
				}
			}
		}
		if lines := strings.Count(table, "\n") + 1; last > lines {
			t.Fatalf("line %d of %d", last, lines)
		}
	})
}
