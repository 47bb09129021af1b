// Package etc_test reads the files as they are installed.
package etc_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// exposure is what systemd-analyze(1) may find at most, in tenths: 100 is a unit without a sandbox.
var exposure = map[string]int{"azfilesrefresh.service": 24, "azfilesrefresh-provision.service": 24, "azfiles-mount-retry.service": 18}

// tool gives a program of systemd.
func tool(t *testing.T, name string) string {
	t.Helper()
	return needs.Program(t, name, "systemd")
}

// units writes the units to a folder, with programs that every machine has: verify looks for them.
func units(t *testing.T) (paths []string) {
	t.Helper()
	names, err := filepath.Glob("systemd/*.service")
	if err != nil || len(names) != len(exposure) {
		t.Fatalf("units %q, %v", names, err)
	}
	dir := t.TempDir()
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.NewReplacer("/usr/bin/azfilesrefresh", "/bin/true", "/usr/lib/azfilesauth/azfiles-mount-retry", "/bin/true")
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, []byte(plain.Replace(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestUnitsAreRight(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	for _, unit := range units(t) {
		out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
		if err != nil || len(out) > 0 { // an unknown key is but a warning
			t.Errorf("verify %s: %v\n%s", filepath.Base(unit), err, out)
		}
	}
}

func TestUnitsAreSandboxed(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	for _, unit := range units(t) {
		most := strconv.Itoa(exposure[filepath.Base(unit)])
		out, err := exec.Command(analyze, "security", "--no-pager", "--offline=true", "--threshold="+most, unit).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err != nil {
			t.Errorf("%s: more than %s tenths: %v: %s", filepath.Base(unit), most, err, lines[len(lines)-1])
		}
	}
}

// What would undo what the unit promises, though systemd takes it.
func TestTheDaemonsUnit(t *testing.T) {
	text, err := os.ReadFile("systemd/azfilesrefresh.service")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, want := range []string{
		"Type=notify", "WatchdogSec=300", "Alias=azfilesauth.service",
		"Wants=network-online.target remote-fs-pre.target", "Before=remote-fs-pre.target", // at boot: up before the mounts
		"RuntimeDirectoryPreserve=yes", // the tickets of live mounts
		"ProtectSystem=strict",
		"InaccessiblePaths=-/run/dbus -/run/systemd/private", // root's ways out of the sandbox
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("the unit has no line %s", want)
		}
	}
	for _, l := range lines {
		key, _, _ := strings.Cut(l, "=")
		if slices.Contains([]string{"PrivateTmp", "PrivateUsers", "DynamicUser", "PrivateNetwork", "RootDirectory"}, key) {
			t.Errorf("%s hides the mounts, the caches or Azure", l)
		}
	}
}

// sandbox gives the settings of a unit that are not its start and stop.
func sandbox(t *testing.T, name string) (settings []string) {
	t.Helper()
	text, err := os.ReadFile("systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n[Service]\n")
	service, _, _ := strings.Cut(rest, "\n[Install]\n")
	for line := range strings.Lines(service) {
		key, _, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && key[0] != '#' && !slices.Contains([]string{"Type", "ExecStart", "ExecReload", "Restart", "RestartSec", "WatchdogSec", "TimeoutStopSec", "TimeoutStartSec"}, key) {
			settings = append(settings, strings.TrimSpace(line))
		}
	}
	return settings
}

// TestProvisioning holds that the tickets of fstab are fetched beside the boot, in the daemon's sandbox.
func TestProvisioning(t *testing.T) {
	const unit = "azfilesrefresh-provision.service"
	daemon, own := sandbox(t, "azfilesrefresh.service"), sandbox(t, unit)
	if len(own) < 20 || !slices.Equal(daemon, own) {
		t.Errorf("the daemon's sandbox is\n%s\nthat of %s\n%s", strings.Join(daemon, "\n"), unit, strings.Join(own, "\n"))
	}
	for name, lines := range map[string][]string{
		"azfilesrefresh.service": {"Wants=" + unit},
		unit:                     {"Type=oneshot", "ExecStart=/usr/bin/azfilesrefresh --provision", "After=azfilesrefresh.service network-online.target"},
	} {
		text, err := os.ReadFile("systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range lines {
			if !slices.Contains(strings.Split(string(text), "\n"), want) {
				t.Errorf("%s has no line %s", name, want)
			}
		}
		if name == unit && strings.Contains(string(text), "\nBefore=") {
			t.Error("something waits for the tickets")
		}
	}
}

func TestRunFolder(t *testing.T) {
	needs.Root(t) // systemd-tmpfiles gives the directory to root
	root := t.TempDir()
	text, err := os.ReadFile("tmpfiles.d/azfilesauth.conf")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(tool(t, "systemd-tmpfiles"), "--root="+root, "--create", "-")
	c.Stdin = bytes.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Stat(filepath.Join(root, "run/azfilesauth"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeDir|0o711 {
		t.Errorf("/run/azfilesauth is %v", info.Mode())
	}
}

func TestGenerator(t *testing.T) {
	tool(t, "systemd-escape")
	const line = "//acct.file.core.windows.net/share "
	for name, c := range map[string]struct {
		fstab string
		want  []string
	}{
		"one line":           {line + "/mnt/share azfiles _netdev,nofail 0 0\n", []string{"mnt-share.mount"}},
		"no end of line":     {line + "/mnt/share azfiles _netdev", []string{"mnt-share.mount"}},
		"tabs, no numbers":   {"\t" + line + "\t/srv/a-b\tazfiles\t_netdev\n", []string{`srv-a\x2db.mount`}},
		"a space":            {line + `/mnt/my\040share azfiles _netdev 0 0` + "\n", []string{`mnt-my\x20share.mount`}},
		"automount":          {line + "/mnt/a azfiles noauto,x-systemd.automount 0 0\n", []string{"mnt-a.automount"}},
		"two among others":   {"UUID=1 / ext4 defaults 0 1\n\n" + line + "/a azfiles rw 0 0\n" + line + "/b azfiles rw 0 0\n", []string{"a.mount", "b.mount"}},
		"by hand":            {line + "/mnt/share azfiles _netdev,noauto 0 0\n", nil},
		"comments":           {"#" + line + "/mnt/share azfiles _netdev 0 0\n# azfiles azfiles azfiles\n", nil},
		"others":             {line + "/mnt/share cifs _netdev 0 0\nserver:/x /x nfs _netdev 0 0\n", nil},
		"an empty file":      {"", nil},
		"automount, disused": {line + "/mnt/a azfiles x-systemd.automount2 0 0\n", []string{"mnt-a.mount"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := generate(t, c.fstab); !slices.Equal(got, c.want) {
				t.Errorf("units %q, not %q", got, c.want)
			}
		})
	}
}

// What a generator says is in the journal of each boot.
func TestGeneratorWithoutFstab(t *testing.T) {
	dir := t.TempDir()
	c := exec.Command("systemd/azfiles-generator", dir, dir, dir)
	c.Env = append(os.Environ(), "SYSTEMD_FSTAB="+filepath.Join(dir, "none"))
	if said, err := c.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("%v: %s", err, said)
	}
}

// A line that makes no sense does not end the others, and each one is read as systemd reads it.
func TestGeneratorReadsAsSystemd(t *testing.T) {
	tool(t, "systemd-escape")
	const theirs = "/usr/lib/systemd/system-generators/systemd-fstab-generator"
	if _, err := os.Stat(theirs); err != nil {
		t.Skip("needs " + theirs)
	}
	linked := filepath.Join(t.TempDir(), "mnt") // as on image-based systems, whose /mnt leads to /var/mnt
	if err := os.Symlink("var/mnt", linked); err != nil {
		t.Fatal(err)
	}
	for _, rest := range []string{
		linked + "/share azfiles _netdev", linked + " azfiles _netdev,x-systemd.automount", linked + `/a\040b azfiles _netdev`,
		"--x azfiles _netdev", "none azfiles _netdev", "mnt azfiles _netdev", "", "/a", `"/a b" azfiles _netdev`,
		"/a azfiles", `/a azfiles "noauto",_netdev`, "/a azfiles NOAUTO,_netdev", `/a azfiles x="a,noauto,b",_netdev`,
		`/a azfiles x=a\,noauto\,b,_netdev`, "/a azfiles X-SYSTEMD.AUTOMOUNT,_netdev", "/a azfiles noauto,x-systemd.automount=no,_netdev",
		"/a azfiles _netdev,comment=systemd.automount", "/a azfiles noauto,auto,_netdev", "/a azfiles auto,noauto,_netdev",
		"/a azfiles noauto,_netdev,x-systemd.wanted-by=foo.target", "/a azfiles _netdev,noauto", "/a/ azfiles _netdev", "//a//b azfiles _netdev",
		`/a\134x azfiles _netdev`, `/a\x41 azfiles _netdev`, `/a\nb azfiles _netdev`, `/a\c/b azfiles _netdev`, "/ azfiles _netdev",
		"/a AZFILES _netdev", "/a fuse.azfiles _netdev",
	} {
		const before = "//acct.file.core.windows.net/share "
		fstab := before + rest + "\n" + before + "/last azfiles _netdev 0 0\n"
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "fstab"), []byte(fstab), 0o644); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(theirs, dir, dir, dir)
		c.Env = append(os.Environ(), "SYSTEMD_FSTAB="+filepath.Join(dir, "fstab"))
		_ = c.Run() // it complains of what makes no sense
		var want []string
		links, _ := filepath.Glob(dir + "/*.target.*/*mount")
		for _, link := range links {
			name := filepath.Base(link)
			unit, _ := os.ReadFile(filepath.Join(dir, strings.TrimSuffix(name, filepath.Ext(name))+".mount"))
			if bytes.Contains(unit, []byte("\nType=azfiles\n")) {
				want = append(want, filepath.Base(link))
			}
		}
		got := generate(t, fstab)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: units %q, systemd mounts %q", rest, got, want)
		}
	}
}

// generate gives the units that the generator makes start the retries.
func generate(t *testing.T, fstab string) (names []string) {
	t.Helper()
	dir := t.TempDir()
	table := filepath.Join(dir, "fstab")
	if err := os.WriteFile(table, []byte(fstab), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	c := exec.Command("systemd/azfiles-generator", out, out+".early", out+".late")
	c.Env = append(os.Environ(), "SYSTEMD_FSTAB="+table)
	if said, err := c.CombinedOutput(); err != nil || len(said) > 0 {
		t.Fatalf("%v: %s", err, said)
	}
	files, err := filepath.Glob(filepath.Join(out, "*.d", "azfiles-retry.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil || string(text) != "[Unit]\nOnFailure=azfiles-mount-retry.service\n" {
			t.Errorf("%s: %q, %v", f, text, err)
		}
		names = append(names, strings.TrimSuffix(filepath.Base(filepath.Dir(f)), ".d"))
	}
	return names
}
