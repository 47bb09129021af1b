package golden

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

const (
	repository = "../../.."
	inside     = "GOLDEN_INSIDE" // is set in the namespaces: the directory with the binary and its names
	update     = "UPDATE_GOLDEN"
	clientA    = "aaaaaaaa-2222-3333-4444-555555555555"
	clientB    = "bbbbbbbb-2222-3333-4444-555555555555"
)

var hosts = []string{"acct.file.core.windows.net", "other.file.core.windows.net"}

// TestMain starts this binary again in namespaces of its own, where root can have a machine to play with.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	os.Exit(again())
}

func again() int {
	dir, err := os.MkdirTemp("", "golden")
	must(err)
	defer func() { must(os.RemoveAll(dir)) }()
	binary := os.Getenv("GOLDEN_BINARY")
	if binary == "" {
		binary = filepath.Join(dir, "built")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-X main.version=2.0.0", "-o", binary, ".")
		build.Dir, build.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			panic(string(out))
		}
	}
	for _, name := range []string{"azfilesauth", "azfilesauthmanager", "azfilesrefresh", "mount.azfiles", "azfiles.upcall"} {
		must(os.Symlink(binary, filepath.Join(dir, name)))
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdout, os.Stderr, append(os.Environ(), inside+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		return exit.ExitCode()
	} else if err != nil {
		panic(err)
	}
	return 0
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// watchSources looks at what the binary is made of: "go test" takes an earlier result as long as nothing
// changed that the test looked at, and does not see what a build reads.
func watchSources(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"main.go", "go.mod", "mounthelper", "upcall", "watcher", "internal", "packaging/man"} {
		check(t, filepath.WalkDir(filepath.Join(repository, dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil && !strings.Contains(path, "testdata") {
				_, err = os.Stat(path)
			}
			return err
		}))
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noon is a time zone, named UTC, in which it is between 12 and 13 o'clock (tzfile(5), version 1): what is printed names the
// day of what is not today.
func noon(now time.Time) []byte {
	const types, abbreviation = 1, "UTC\x00"
	zone := append([]byte("TZif"), make([]byte, 16)...)
	for _, count := range []uint32{0, 0, 0, 0, types, uint32(len(abbreviation))} {
		zone = binary.BigEndian.AppendUint32(zone, count)
	}
	zone = binary.BigEndian.AppendUint32(zone, uint32((12-now.UTC().Hour())*3600))
	return append(append(zone, 0, 0), abbreviation...)
}

// machine gives the namespaces a fresh /etc, /run and /usr/sbin with files, and an Azure, until the test ends.
func machine(t *testing.T, files []txtar.File) {
	t.Helper()
	layers := t.TempDir()
	mount := func(kind, target, data string) {
		t.Helper()
		check(t, os.MkdirAll(target, 0o755))
		check(t, syscall.Mount(kind, target, kind, 0, data))
		t.Cleanup(func() { check(t, syscall.Unmount(target, syscall.MNT_DETACH)) })
	}
	mount("tmpfs", layers, "")
	for _, dir := range []string{"/etc", "/usr/sbin"} {
		upper, work := layers+dir+"-upper", layers+dir+"-work"
		check(t, os.MkdirAll(upper, 0o755))
		check(t, os.MkdirAll(work, 0o755))
		mount("overlay", dir, "lowerdir="+dir+",upperdir="+upper+",workdir="+work)
	}
	for _, dir := range []string{"/run", "/mnt", "/var/opt"} {
		mount("tmpfs", dir, "mode=755")
	}
	fake, err := azurefake.Start(azurefake.Options{
		Hosts: hosts, StorageAddr: "127.0.0.1:443", IMDSAddr: "169.254.169.254:80", Arc: true, ArcAddr: "127.0.0.1:40342",
		Identities: []azurefake.ManagedIdentity{{ClientID: clientA, ObjectID: clientA}, {ClientID: clientB, ObjectID: clientB}},
	})
	check(t, err)
	t.Cleanup(fake.Close)
	for name, text := range map[string]string{
		"etc/hosts": "127.0.0.1 localhost " + strings.Join(hosts, " ") + "\n", "etc/nsswitch.conf": "hosts: files\n", "etc/fstab": "",
		"etc/ssl/certs/ca-certificates.crt": string(fake.CA()), "etc/azfilesauth/config.yaml": "USER_UID: 0\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\n",
		"run/token": fake.MintToken(azurefake.MintOptions{}) + "\n", "run/share/dir": "", "etc/os-release": "ID=debian\n", "etc/localtime": string(noon(time.Now())),
		"usr/sbin/mount.cifs": "#!/bin/sh\nshift 2; echo \"$@\" >/run/mount.cifs\n",
	} {
		files = append([]txtar.File{{Name: name, Data: []byte(text)}}, files...)
	}
	for _, f := range files {
		path := "/" + f.Name
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // a link leads out of the layers, to the true machine
			t.Fatal(err)
		}
		check(t, os.WriteFile(path, f.Data, 0o600))
	}
	check(t, os.Chmod("/usr/sbin/mount.cifs", 0o755))
}

// bash runs a script on the machine and returns what it prints.
func bash(t *testing.T, script string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = "/run"
	cmd.Env = []string{"PATH=" + os.Getenv(inside) + ":/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/root", "SOURCE=" + source(t), "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out
}

// words stand for what is different in each run.
var words = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC|[+-]\d\d:\d\d)?`), "TIME"},
	{regexp.MustCompile(`\d\d/\d\d/\d\d \d\d:\d\d:\d\d UTC \(epoch: \d+\)`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d \((in )?[\dhms]+( ago)?\)`), "TIME"},
	{regexp.MustCompile(`\b(\d+h\d\dm|\d+m\d\ds|\d+s) (left|ago)`), "SPAN $2"},
	{regexp.MustCompile(`  (59m\d\ds|1h00m)  `), "  SPAN    "},
	{regexp.MustCompile(`("(seconds_left|pid|holder_pid|bytes|milliseconds)": )\d+`), "${1}N"},
	{regexp.MustCompile(`pid \d+|process \d+`), "pid N"},
	{regexp.MustCompile(`\d+ bytes`), "N bytes"},
	{regexp.MustCompile(`,rasize=\d+,`), ","}, // on newer kernels alone
	{regexp.MustCompile(`"(commit|built|go|platform|kernel)": "[^"]*"`), `"$1": "..."`},
	{regexp.MustCompile(`(?m),nosharesock\b|^mount\.cifs: +nosharesock\n`), ""}, // as the kernel needs it
	{regexp.MustCompile(`\b(commit|go|linux/)[0-9a-z.+]{3,}`), `$1...`},
}

func normal(out []byte) []byte {
	for _, w := range words {
		out = w.pattern.ReplaceAll(out, []byte(w.word))
	}
	return out
}

func TestGolden(t *testing.T) {
	needs.Root(t)
	needs.Capability(t, "CAP_SYS_ADMIN", "CAP_NET_ADMIN")
	needs.Program(t, "ip", "iproute2")
	watchSources(t)
	out, err := exec.Command("sh", "-c", "ip link set lo up && ip addr add 169.254.169.254/32 dev lo").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) < 4 {
		t.Fatal(scripts, err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			check(t, err)
			last := len(archive.Files) - 1
			if last < 0 || archive.Files[last].Name != "want" {
				t.Fatal("the last file is not want")
			}
			machine(t, archive.Files[:last])
			got := normal(bash(t, string(archive.Comment)))
			if os.Getenv(update) != "" {
				archive.Files[last].Data = got
				check(t, os.WriteFile(path, txtar.Format(archive), 0o644))
				return
			}
			if diff := cmp.Diff(strings.Split(string(archive.Files[last].Data), "\n"), strings.Split(string(got), "\n")); diff != "" {
				t.Errorf("- recorded, + now (%s=1 records it):\n%s", update, diff)
			}
			if bytes.Contains(got, []byte("eyJ")) {
				t.Error("a token was printed")
			}
		})
	}
}

func source(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(repository)
	check(t, err)
	return dir
}
