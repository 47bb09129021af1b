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
		{2, "UUID=0a-1b", "/", "ext4", items("errors=remount-ro")},
		{
			4, "//acct.file.core.windows.net/My Docs", "/mnt/my docs", "azfiles",
			items("_netdev", "identity=system", `context="a,b"`, "x-systemd.requires=a.service"),
		},
		{7, "//acct.file.core.windows.net/short", "/short", "cifs", nil},
		{9, `\\acct.file.core.windows.net\share`, `/back\slash`, "cifs", items("sec=ntlmssp", "sec=krb5")},
	}
	for name, text := range map[string]string{"without a last line end": table, "with one": table + "\n"} {
		got, err := ParseFstab(iotest.OneByteReader(strings.NewReader(text)))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v, %v\nwant %+v", name, got, err, want)
		}
	}
}

func TestWantsTicket(t *testing.T) {
	for line, want := range map[string]bool{
		"azfiles":                true,
		"azfiles _netdev,nofail": true,
		"azfiles noauto":         false,
		"azfiles NoAuto":         false,
		"cifs sec=krb5":          false,
		"cifs x-systemd.requires=azfilesrefresh.service":                          false,
		"cifs sec=krb5,x-systemd.requires=azfilesrefresh.service":                 true,
		"smb3 sec=krb5i,x-systemd.requires=\"azfilesauth\"":                       true,
		"cifs sec=krb5,sec=none,x-systemd.requires=azfilesauth":                   false,
		"cifs sec=krb5,x-systemd.requires=azfilesauth,x-systemd.requires=b.mount": true,
		"cifs sec=krb5,x-systemd.requires=nothing.service":                        false,
		"cifs sec=krb5,x-systemd.after=azfilesrefresh.service":                    false,
		"ext4 sec=krb5,x-systemd.requires=azfilesauth":                            false,
	} {
		got, err := ParseFstab(strings.NewReader("//h/s /t " + line + "\n"))
		if err != nil || len(got) != 1 || got[0].WantsTicket() != want {
			t.Errorf("%s: %+v, %v, want %v", line, got, err, want)
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
			for _, o := range l.Options {
				if o == (Option{}) || strings.Contains(o.String(), ",") && !strings.Contains(o.String(), `"`) {
					t.Fatalf("option %q", o)
				}
			}
		}
		if lines := strings.Count(table, "\n") + 1; last > lines {
			t.Fatalf("line %d of %d", last, lines)
		}
	})
}
