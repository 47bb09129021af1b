package mounts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
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

// Our reading is that of the real util-linux: which lines it takes, and what it makes of them.
func TestFstabAsFindmnt(t *testing.T) {
	findmnt := needs.Program(t, "findmnt", "util-linux")
	text, err := os.ReadFile("testdata/fstab")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("@\n"), []byte("\r\n"))
	path := filepath.Join(t.TempDir(), "fstab")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(findmnt, "--tab-file", path, "--json", "-o", "SOURCE,TARGET,FSTYPE,OPTIONS")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &complaints)
	}
	var theirs struct {
		Filesystems []struct{ Source, Target, FSType, Options string }
	}
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ours, err := ParseFstab(bytes.NewReader(text))
	if err != nil || len(ours) != len(theirs.Filesystems) {
		t.Fatalf("%d lines, findmnt %d, %v", len(ours), len(theirs.Filesystems), err)
	}
	for i, l := range ours {
		got := struct{ Source, Target, FSType, Options string }{l.Spec, l.Target, l.Type, l.Options.String()}
		if got != theirs.Filesystems[i] {
			t.Errorf("line %d: %+v, findmnt %+v", l.Line, got, theirs.Filesystems[i])
		}
		if again := unescape(EscapeFstab(l.Spec)); again != l.Spec || strings.ContainsAny(EscapeFstab(l.Spec), " \t\n") {
			t.Errorf("%q is written as %q", l.Spec, EscapeFstab(l.Spec))
		}
	}
	flaws, err := FstabFlaws(bytes.NewReader(text))
	if err != nil || len(flaws) != strings.Count(complaints.String(), "parse error") {
		t.Errorf("%v, %v; findmnt: %s", flaws, err, &complaints)
	}
	for _, flaw := range flaws {
		if !strings.Contains(complaints.String(), fmt.Sprintf("at line %d ", flaw.Line)) {
			t.Errorf("findmnt takes line %d: %s", flaw.Line, flaw.Problem)
		}
	}
}
