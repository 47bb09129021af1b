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
	"slices"
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
		{2, "UUID=0a-1b", "/", "ext4", items("errors=remount-ro"), nil},
		{
			4, "//acct.file.core.windows.net/My Docs", "/mnt/my docs", "azfiles",
			items("_netdev", "identity=system", `context="a,b"`, "x-systemd.requires=a.service"), nil,
		},
		{7, "//acct.file.core.windows.net/short", "/short", "cifs", nil, nil},
		{9, `\\acct.file.core.windows.net\share`, `/back\slash`, "cifs", items("sec=ntlmssp", "sec=krb5"), nil},
	}
	for name, text := range map[string]string{"without a last line end": table, "with one": table + "\n"} {
		got, _, err := ParseFstab(iotest.OneByteReader(strings.NewReader(text)))
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
		got, _, err := ParseFstab(strings.NewReader("//h/s /t " + line + "\n"))
		if err != nil || len(got) != 1 || got[0].WantsTicket() != want {
			t.Errorf("%s: %+v, %v, want %v", line, got, err, want)
		}
	}
}

func TestFstabBounds(t *testing.T) {
	const entry = "//h/s /t azfiles _netdev 0 0\n"
	got, _, err := ParseFstab(strings.NewReader("//h/s /t azfiles x=" + strings.Repeat("x", 1<<20) + "\n" + entry))
	if err != nil || len(got) != 1 || got[0].Line != 2 {
		t.Errorf("a long line: %d entries, %v", len(got), err)
	}
	got, _, err = ParseFstab(strings.NewReader(strings.Repeat(entry, maxFstabLines+5)))
	if err != nil || len(got) != maxFstabLines {
		t.Errorf("many lines: %d entries, %v", len(got), err)
	}
	broken := errors.New("broken")
	if _, _, err := ParseFstab(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func FuzzFstab(f *testing.F) {
	f.Fuzz(func(t *testing.T, table string) {
		got, _, err := ParseFstab(strings.NewReader(table))
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
	ours, flaws, err := ParseFstab(bytes.NewReader(text))
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
	if len(flaws) != strings.Count(complaints.String(), "parse error") {
		t.Errorf("%v; findmnt: %s", flaws, &complaints)
	}
	for _, flaw := range flaws {
		if !strings.Contains(complaints.String(), fmt.Sprintf("at line %d ", flaw.Line)) {
			t.Errorf("findmnt takes line %d: %s", flaw.Line, flaw.Problem)
		}
	}
}

// At boot it is systemd that reads the table. What we take for a line's fields is what its real generator writes into the
// unit, but for pairs of backslashes, of which it makes one, as getmntent(3) does: the doctor tells that.
func TestFstabAsSystemd(t *testing.T) {
	generator := needs.Program(t, "/usr/lib/systemd/system-generators/systemd-fstab-generator", "systemd")
	text, err := os.ReadFile("testdata/fstab")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for line := range strings.Lines(strings.ReplaceAll(string(text), "@\n", "\r\n")) {
		ours, _, err := ParseFstab(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if len(ours) == 0 || strings.HasSuffix(line, "\r\n") { // to systemd, a carriage return belongs to the last field
			continue
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "fstab")
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(generator, dir, dir, dir)
		cmd.Env = append(os.Environ(), "SYSTEMD_FSTAB="+path, "SYSTEMD_LOG_TARGET=console")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
		units, _ := filepath.Glob(filepath.Join(dir, "*.mount"))
		if len(units) != 1 {
			t.Errorf("%q: units %q", line, units)
			continue
		}
		unit, err := os.ReadFile(units[0])
		if err != nil {
			t.Fatal(err)
		}
		l := ours[0]
		if decoded := string(unit) == unescape(string(unit)); decoded != (len(l.MountOnly) == 0) {
			t.Errorf("%q: told are %q, and systemd has %s", line, l.MountOnly, unit)
		}
		if len(l.MountOnly) > 0 {
			continue
		}
		for key, value := range map[string]string{"What": strings.ReplaceAll(l.Spec, `\\`, `\`), "Where": l.Target, "Type": l.Type, "Options": l.Options.String()} {
			if want := key + "=" + value; value != "" && !slices.Contains(strings.Split(string(unit), "\n"), want) {
				t.Errorf("%q: no %s in %s", line, want, unit)
			}
		}
		compared++
	}
	if compared < 7 {
		t.Errorf("only %d lines were compared", compared)
	}
}
