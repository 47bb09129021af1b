package setup

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

var program = host.Bin(programName)

// bare is a node without our package.
var bare = map[string]string{
	"/usr/bin/": "", "/usr/lib/": "", "/opt/": "", "/var/lib/": "", "/etc/request-key.d/": "",
	"/usr/sbin/mount.cifs 0755": "elf", "/usr/sbin/request-key 0755": "elf",
	"/sbin":                               "->usr/sbin",
	"/etc/request-key.d/cifs.spnego.conf": "create cifs.spnego * * /usr/sbin/cifs.upcall %k\n",
}

// pod is a Node for a machine, of a version whose program holds that version.
func pod(t *testing.T, h Host, version string, layers map[string]string) Node {
	t.Helper()
	dir := t.TempDir()
	n := Node{Host: h, Program: dir + "/azfilesauth", Version: version, Layers: dir}
	must(t, os.WriteFile(n.Program, []byte(version+strings.Repeat("x", maxFile)), 0o600)) // as large as a program
	for name, text := range layers {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return n
}

func installed(t *testing.T, n Node) (said string, changes int) {
	t.Helper()
	var out strings.Builder
	made, err := n.Install(context.Background(), &out)
	must(t, err)
	return out.String(), len(made)
}

// versionOf is what a program on the node is of, "" for none.
func (h Host) versionOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(h.Path(path))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	must(t, err)
	return strings.TrimRight(string(text), "x")
}

// TestNode gives a node all, twice, and takes all back: byte for byte, mode for mode.
func TestNode(t *testing.T) {
	h := tree(t, bare)
	before := snapshot(t, h.Root)
	n := pod(t, h, "2.0.0", map[string]string{"60-pod.yaml": "proxy: http://proxy.example:3128\n", "..data": "of the volume"})
	if said, changes := installed(t, n); changes != 9 || !strings.HasSuffix(said, rulePath+": make the file, "+by(n.ownedState(isFile, 0o644))+"\n") {
		t.Errorf("%d changes; the rule is not the last:\n%s", changes, said)
	}
	whole, err := wholeConfig()
	must(t, err)
	for path, want := range map[string]string{
		"/usr/bin/azfilesauthmanager": "2.0.0", "/usr/sbin/mount.azfiles": "2.0.0", "/usr/sbin/azfiles.upcall": "2.0.0",
		rulePath: shippedText(t, "request-key.d/azfiles.conf"), "/etc/azfilesauth/config.d/60-pod.yaml": "proxy: http://proxy.example:3128\n", "/etc/azfilesauth/config.yaml": string(whole),
	} {
		if got := h.versionOf(t, path); got != want {
			t.Errorf("%s holds %q", path, got)
		}
	}
	if info, err := os.Stat(h.Path(program)); err != nil || info.Mode() != 0o755 {
		t.Errorf("the program: %v, %v", info, err)
	}
	if said, changes := installed(t, n); changes != 0 || said != "" {
		t.Errorf("the second time: %d changes\n%s", changes, said)
	}
	must(t, RemoveNode(context.Background(), h, io.Discard))
	unchanged(t, h, before, "removed")
	must(t, RemoveNode(context.Background(), h, io.Discard))
	unchanged(t, h, before, "removed twice")
}

// TestNodeVersions: only what is older and the node's record's is replaced, so pods of two versions do not take turns.
func TestNodeVersions(t *testing.T) {
	h := tree(t, bare)
	before := snapshot(t, h.Root)
	for _, step := range []struct{ version, want string }{
		{"2.0.0", "2.0.0"},
		{"2.1.0-rc1", "2.1.0-rc1"},
		{"2.0.9", "2.1.0-rc1"},
		{"2.1.0", "2.1.0"},
		{"2.1.0-rc2", "2.1.0"},
		{"2.10.0~git20261127", "2.10.0~git20261127"},
		{"2.10.0", "2.10.0"},
		{"2.10.0~git20261128", "2.10.0"},
		{"2.9.0", "2.10.0"},
	} {
		installed(t, pod(t, h, step.version, nil))
		if got := h.versionOf(t, program); got != step.want {
			t.Errorf("after %s it is %s, not %s", step.version, got, step.want)
		}
	}
	must(t, RemoveNode(context.Background(), h, io.Discard))
	unchanged(t, h, before, "removed")
}

// TestNodeKeepsWhatOthersPut: a package's files, and those that somebody changed, stay at installation and removal.
func TestNodeKeepsWhatOthersPut(t *testing.T) {
	packaged := map[string]string{
		program + " 0755": "the package's", "/usr/bin/azfilesauthmanager": "->azfilesauth", "/usr/sbin/mount.azfiles": "->/usr/bin/azfilesauth",
		"/usr/sbin/azfiles.upcall": "->/usr/bin/azfilesauth", rulePath: ourRule, "/etc/azfilesauth/config.yaml 0600": "USER_UID: 7\n", "/etc/azfilesauth/config.d/60-pod.yaml": "# the administrator's\n",
	}
	h := tree(t, bare, packaged)
	before := snapshot(t, h.Root)
	said, changes := installed(t, pod(t, h, "9.0.0", map[string]string{"60-pod.yaml": "proxy: http://proxy.example:3128\n"}))
	if changes != 0 || !strings.Contains(said, program+": kept, because") || !strings.Contains(said, "60-pod.yaml: kept, because") {
		t.Errorf("%d changes\n%s", changes, said)
	}
	unchanged(t, h, before, "installed beside the package")

	h = tree(t, bare)
	installed(t, pod(t, h, "2.0.0", nil))
	must(t, os.WriteFile(h.Path(program), []byte("the administrator's"), 0o600))
	installed(t, pod(t, h, "3.0.0", nil))
	err := RemoveNode(context.Background(), h, io.Discard)
	if !fault.Is(err, fault.SetupChanged) || h.versionOf(t, program) != "the administrator's" || h.content(t, rulePath) != "missing" {
		t.Errorf("%v; the program holds %q", err, h.versionOf(t, program))
	}
}

// packageOver makes of a machine that was prepared one that got a package afterwards, and gives what is there then.
func packageOver(t *testing.T, h Host) map[string]string {
	t.Helper()
	for key, text := range map[string]string{
		program + " 0755": "the package's", host.Bin("azfilesauthmanager"): "->azfilesauth", config.ShippedPath: "USER_UID: 0\n",
		"/usr/lib/systemd/system/" + unitName: "[Service]\n", unitsDir + "/multi-user.target.wants/" + unitName: "->/usr/lib/systemd/system/" + unitName,
	} {
		path, _, _ := strings.Cut(key, " ")
		if err := os.Remove(h.Root + path); !errors.Is(err, os.ErrNotExist) {
			must(t, err)
		}
		put(t, h.Root, key, text)
	}
	return snapshot(t, h.Root)
}

// stays compares what is there with what a package left there.
func stays(t *testing.T, h Host, before map[string]string) {
	t.Helper()
	now := snapshot(t, h.Root)
	for _, path := range []string{
		program, host.Bin("azfilesauthmanager"), mountHelper, host.Sbin("azfiles.upcall"), rulePath, configPath, config.ShippedPath,
		unitsDir + "/multi-user.target.wants/" + unitName,
	} {
		if now[path] == "" || now[path] != before[path] {
			t.Errorf("%s: %q, was %q", path, now[path], before[path])
		}
	}
	for _, path := range []string{host.NodeRecord, journalPath, "/etc/azfilesauth/config.d/60-pod.yaml", krb5Backup} {
		if now[path] != "" {
			t.Errorf("%s is still there", path)
		}
	}
}

// TestNodeGotAPackage: what a package has put over the node's is the package's; the layers are still the cluster's.
func TestNodeGotAPackage(t *testing.T) {
	layers := map[string]string{"60-pod.yaml": "proxy: http://proxy.example:3128\n"}
	for _, restarted := range []bool{false, true} {
		h := tree(t, bare)
		installed(t, pod(t, h, "2.0.0", layers))
		before := packageOver(t, h)
		if restarted {
			layers["60-pod.yaml"] = "proxy: http://other.example:3128\n"
			if _, changes := installed(t, pod(t, h, "9.0.0", layers)); changes != 1 {
				t.Errorf("%d changes", changes)
			}
		}
		must(t, RemoveNode(context.Background(), h, io.Discard))
		stays(t, h, before)
	}
}

// TestNodeKeepsTheProgramOfARule: an edited rule stays when the node is given up, and with it what it names.
func TestNodeKeepsTheProgramOfARule(t *testing.T) {
	h := tree(t, bare)
	before := snapshot(t, h.Root)
	installed(t, pod(t, h, "2.0.0", nil))
	must(t, os.WriteFile(h.Path(rulePath), []byte("# mine\n"+h.content(t, rulePath)), 0o644))
	if err := RemoveNode(context.Background(), h, io.Discard); !fault.Is(err, fault.SetupChanged) {
		t.Errorf("got %v", err)
	}
	if h.versionOf(t, "/usr/sbin/azfiles.upcall") != "2.0.0" || h.content(t, "/usr/sbin/mount.azfiles") != "missing" {
		t.Error("the rule's program is gone, or more than it is still there")
	}
	must(t, os.Remove(h.Path(rulePath)))
	must(t, RemoveNode(context.Background(), h, io.Discard))
	unchanged(t, h, before, "removed at last")
}

// TestNodeBesideTheDriver: its init container writes its own three lines at each start, which is no reason to fail.
func TestNodeBesideTheDriver(t *testing.T) {
	h := tree(t, bare)
	installed(t, pod(t, h, "2.0.0", nil))
	const drivers = "USER_UID: 0\nKRB5_CC_NAME: /var/lib/kubelet/kerberos/krb5cc_0\nLOG_DESTINATION: \"file\"\n"
	must(t, os.WriteFile(h.Path("/etc/azfilesauth/config.yaml"), []byte(drivers), 0o600))
	if _, changes := installed(t, pod(t, h, "2.0.0", nil)); changes != 0 || h.content(t, "/etc/azfilesauth/config.yaml") != drivers {
		t.Errorf("%d changes; the configuration is %q", changes, h.content(t, "/etc/azfilesauth/config.yaml"))
	}
	must(t, RemoveNode(context.Background(), h, io.Discard))
	if h.content(t, "/etc/azfilesauth/config.yaml") != drivers || h.content(t, program) != "missing" || h.content(t, host.NodeRecord) != "missing" {
		t.Errorf("left: %q", h.content(t, "/etc/azfilesauth/config.yaml"))
	}
}

// TestNodeLayers: a layer follows its ConfigMap, and goes when it is not in it any more.
func TestNodeLayers(t *testing.T) {
	h := tree(t, bare)
	for _, step := range []map[string]string{{"60-a.yaml": "token_cache: off\n"}, {"60-a.yaml": "token_cache: keyring\n", "61-b.yaml": "USER_UID: 1\n"}, {"61-b.yaml": "USER_UID: 1\n"}, {}} {
		installed(t, pod(t, h, "2.0.0", step))
		now := map[string]string{}
		names, err := filepath.Glob(h.Path("/etc/azfilesauth/config.d") + "/*")
		must(t, err)
		for _, name := range names {
			now[filepath.Base(name)] = h.versionOf(t, "/etc/azfilesauth/config.d/"+filepath.Base(name))
		}
		if !maps.Equal(now, step) {
			t.Errorf("the layers are %v, not %v", now, step)
		}
	}
}

// TestNodeRefusesALayer: a slip in the values of a chart leaves a node with the layer that it has.
func TestNodeRefusesALayer(t *testing.T) {
	const site = "identities: {app: {kind: workload, tenant_id: contoso.example, client_id: 00000000-0000-4000-8000-00000000000a, token_file: /t}}\n"
	h := tree(t, bare, map[string]string{"/etc/azfilesauth/config.yaml 0600": site})
	good := map[string]string{"60-pod.yaml": "default_identity: app\n"}
	installed(t, pod(t, h, "2.0.0", good))
	before := snapshot(t, h.Root)
	for _, wrong := range []string{"default_identity: nobody\n", "refresh: {at: soon}\n", "proxy: [\n", "identities: 7\n"} {
		_, err := pod(t, h, "2.1.0", map[string]string{"60-pod.yaml": wrong, "70-more.yaml": "token_cache: off\n"}).Install(context.Background(), io.Discard)
		if !fault.Is(err, fault.ConfigInvalid) || !strings.Contains(err.Error(), layersDir+"/60-pod.yaml") {
			t.Errorf("%s: %v", wrong, err)
		}
		unchanged(t, h, before, wrong)
	}
	if _, changes := installed(t, pod(t, h, "2.0.0", good)); changes != 0 {
		t.Errorf("%d changes", changes)
	}
}

// TestNodeWithoutPrograms: nothing is given to a node where no mount could succeed.
func TestNodeWithoutPrograms(t *testing.T) {
	h := tree(t, bare, map[string]string{"/usr/sbin/mount.cifs 0755": "gone", "/usr/sbin/request-key 0755": "gone"})
	before := snapshot(t, h.Root)
	_, err := pod(t, h, "2.0.0", nil).Install(context.Background(), io.Discard)
	if f := fault.From(err); !fault.Is(err, fault.NodePrograms) || !strings.Contains(f.Fix(), "cifs-utils,keyutils") {
		t.Errorf("got %v", err)
	}
	unchanged(t, h, before, "refused")
}

// ownMounts gives the test a mount namespace of its own.
func ownMounts(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with its mounts
	must(t, unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_FS))
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
}

// readOnly makes a directory one that nothing can be written to: for root by a mount of its own.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		must(t, os.Chmod(dir, 0o555)) //nolint:gosec // a directory is searched
		return
	}
	ownMounts(t)
	must(t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
	must(t, unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// TestNodeReadOnly: an image with a read-only /usr gets the program elsewhere, and a rule that names it there.
func TestNodeReadOnly(t *testing.T) {
	h := tree(t, bare)
	before := snapshot(t, h.Root)
	readOnly(t, h.Path("/usr/bin"))
	said, _ := installed(t, pod(t, h, "2.0.0", nil))
	if !strings.Contains(said, "/usr is read-only") || h.versionOf(t, "/opt/azfilesauth/bin/azfiles.upcall") != "2.0.0" ||
		h.content(t, rulePath) != strings.ReplaceAll(shippedText(t, "request-key.d/azfiles.conf"), "/usr/sbin/", "/opt/azfilesauth/bin/") {
		t.Errorf("the rule is %q\n%s", h.content(t, rulePath), said)
	}
	if _, changes := installed(t, pod(t, h, "2.0.0", nil)); changes != 0 {
		t.Errorf("%d changes the second time", changes)
	}
	must(t, RemoveNode(context.Background(), h, io.Discard))
	if os.Geteuid() == 0 {
		unchanged(t, h, before, "removed")
	}
}

// TestNodeInterrupted: what an installation that was cut short left is taken back whole.
func TestNodeInterrupted(t *testing.T) {
	for _, after := range []int{0, 1, 2, 4} {
		h := tree(t, bare)
		before := snapshot(t, h.Root)
		ctx, cancel := context.WithCancel(context.Background())
		_, err := pod(t, h, "2.0.0", nil).Install(ctx, cutAfter{after, cancel}.writer())
		if err == nil {
			t.Error("it was not cut short")
		}
		must(t, RemoveNode(context.Background(), h, io.Discard))
		unchanged(t, h, before, "cut short and removed")
	}
}

// cutAfter cancels a context after some lines.
type cutAfter struct {
	lines  int
	cancel func()
}

func (c cutAfter) writer() io.Writer {
	left := c.lines
	if left == 0 {
		c.cancel()
	}
	return writerFunc(func(p []byte) (int, error) {
		if left--; left <= 0 {
			c.cancel()
		}
		return len(p), nil
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
