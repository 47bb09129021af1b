package bundle

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

func TestUnitOf(t *testing.T) {
	for target, want := range map[string]string{
		"/mnt/share": "mnt-share", "/mnt/a-b": `mnt-a\x2db`, "/mnt//my share/": `mnt-my\x20share`, "/.x/y.z": `\x2ex-y.z`, "/ä": `\xc3\xa4`, "/": "",
	} {
		if got := mounts.UnitOf(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

// TestJournalOfEveryUnit: the journal is asked for the unit of every mount of ours, the retry unit and all our names.
func TestJournalOfEveryUnit(t *testing.T) {
	var asked []string
	h := host.Real()
	h.Programs = []string{t.TempDir()}
	if err := os.WriteFile(h.Programs[0]+"/journalctl", nil, 0o755); err != nil {
		t.Fatal(err)
	}
	h.Exec = func(_ context.Context, _ string, args ...string) (string, error) {
		asked = append(asked, strings.Join(args, " "))
		return "", nil
	}
	lines, _, err := mounts.ParseFstab(strings.NewReader("//a.file.core.windows.net/s /mnt/one azfiles x-systemd.automount 0 0\n/dev/sda /mnt/other ext4 defaults 0 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{Subject: &doctor.Subject{Options: doctor.Options{Host: h}, Fstab: lines}, secrets: &secrets{}}
	if _, err := m.journal(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(asked, "\n")
	for _, want := range []string{
		"-u mnt-one.mount -u mnt-one.automount", "-u azfiles*", "SYSLOG_IDENTIFIER=mount.azfiles", "SYSLOG_IDENTIFIER=azfiles.upcall", "SYSLOG_IDENTIFIER=azfilesrefresh",
		"SYSLOG_IDENTIFIER=azfiles-mount-retry",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q was not asked for in\n%s", want, all)
		}
	}
	if strings.Contains(all, "other") {
		t.Errorf("another file system's unit was asked for:\n%s", all)
	}
}
