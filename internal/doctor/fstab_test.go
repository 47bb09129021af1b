package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fstabOf is what the doctor says of a machine whose fstab has one line.
func fstabOf(t *testing.T, line string) Finding {
	t.Helper()
	files := healthyFiles()
	files["proc/1/mountinfo"], files["etc/fstab"], files["run/m/a/.keep"] = "", line, ""
	for _, f := range reported(t, Options{Host: machine(build(t, files))}).Checks {
		if f.ID == "fstab" {
			return f
		}
	}
	t.Fatal("fstab was not looked at")
	return Finding{}
}

// Each line of the files, alone in fstab, is judged as mount(8) acts on it.
func TestFstabAsMountReadsIt(t *testing.T) {
	for name, wants := range map[string][]string{
		"fails": {
			"mount(8) ignores the line", "cannot take a comma", "split its value at the comma", "it needs a value", "did you mean client_id?",
			"did you mean identity?", "unmounts the share", "mkdir -p /srv/nowhere",
			"with / in front", "write azfiles as the type of /etc/fstab:1", "write azfiles as the type of /etc/fstab:1",
			"type the space between source and mount point of /etc/fstab:1 again", "a character that cannot be seen", "option identity: a character that cannot be seen",
			"ls -ld '/etc/passwd'; name a directory as the mount point",
		},
		"mounts":  {"", ""},
		"escaped": {`write //acct1.file.core.windows.net/share/My\040Docs as`},
	} {
		content, err := os.ReadFile(filepath.Join("testdata", "fstab", name))
		must(t, err)
		lines := strings.SplitAfter(strings.TrimSuffix(string(content), "\n"), "\n")
		if len(lines) != len(wants) {
			t.Fatalf("%s has %d lines", name, len(lines))
		}
		for i, line := range lines {
			f := fstabOf(t, line)
			if said := strings.Join(f.Evidence, "\n") + "\n" + f.Fix; f.found() != (wants[i] != "") || !strings.Contains(said, wants[i]) {
				t.Errorf("%q: %s %s, want %q", line, f.Status, said, wants[i])
			}
		}
	}
}

func TestFstabOfSystemd(t *testing.T) {
	f := fstabOf(t, `\\acct.file.core.windows.net\share /run/m/a azfiles _netdev`+"\n")
	if said := strings.Join(f.Evidence, "\n"); f.Status != Warning || !strings.Contains(said, "two backslashes as one") {
		t.Errorf("%s %s", f.Status, said)
	}
	f = fstabOf(t, `//acct.file.core.windows.net/share\043 /run/m/a azfiles _netdev,identity=system`+"\n")
	if said := strings.Join(f.Evidence, "\n"); f.Status != Warning || !strings.Contains(said, `systemd does not decode \043 as`) {
		t.Errorf("%s %s", f.Status, said)
	}
}

func TestFstabWithTwoLinesForAMountPoint(t *testing.T) {
	line := func(share, options string) string {
		return "//acct.file.core.windows.net/" + share + " /run/m/a azfiles _netdev,identity=system" + options + " 0 0\n"
	}
	f := fstabOf(t, line("a", "")+"# x\n"+line("b", ""))
	if said := strings.Join(f.Evidence, "\n"); f.Status != Warning || !strings.Contains(said, "/etc/fstab:3: line 1 has the mount point /run/m/a already") || f.Fix != "remove line 1 or 3 of /etc/fstab" {
		t.Errorf("%s %s, fix %s", f.Status, said, f.Fix)
	}
	if f = fstabOf(t, line("a", "")+line("b", ",noauto")); f.found() {
		t.Errorf("%s %v", f.Status, f.Evidence)
	}
}
