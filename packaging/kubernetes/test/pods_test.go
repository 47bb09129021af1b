//go:build runtime

package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What the pods see of their node: these directories lie in a scratch directory that stands for it.
var nodeDirs = []string{"/usr", "/etc", "/opt", "/var/lib", "/run"}

// account is the storage account of the fake of Azure, which has its address.
const (
	account = "acct1.file.core.windows.net"
	azureIP = "10.99.0.1"
	imdsIP  = "169.254.169.254"
)

// newCluster makes a node of a scratch directory and a network of its own, with the containerd of $CONTAINERD and the fake of
// Azure of $AZUREFAKE.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, life: t, bin: os.Getenv("CONTAINERD"), node: t.TempDir(), control: "127.0.0.1:8765", patience: time.Minute}
	dir, err := os.MkdirTemp("", "pods") // a short path: the name of a socket is bounded
	must(t, err)
	c.dir, c.hosts, c.ca = dir, dir+"/hosts", dir+"/ca.pem"
	for _, d := range append(slices.Clone(nodeDirs), "/usr/bin", "/usr/sbin", "/etc/request-key.d", "/var/lib/kubelet/kerberos") {
		must(t, os.MkdirAll(c.node+d, 0o755))
	}
	must(t, os.Symlink("usr/sbin", c.node+"/sbin"))
	script := `set -e
ip link set lo up; ip addr add ` + imdsIP + `/32 dev lo; ip addr add ` + azureIP + `/32 dev lo
mount --bind "$1" "$1"; mount --make-rshared "$1"
shift; exec "$@"`
	ours := "azfilesauth-" + runtime.GOARCH
	c.start(map[string]string{"azfilesauth": ours, "azurefile-csi-azfilesauth": ours}, // unshare and sh become containerd
		"unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script, "sh", c.node)
	c.azure = []string{"nsenter", "--target", c.pidOfRuntime, "--net", os.Getenv("AZUREFAKE")}
	c.serveAzure()
	return c
}

// serveAzure starts the fake of Azure on the node's network, as the real one is reached there.
func (c *cluster) serveAzure() {
	c.t.Helper()
	cmd := exec.Command(c.azure[0], append(c.azure[1:len(c.azure):len(c.azure)], "-storage", azureIP+":443", "-imds", imdsIP+":80",
		"-control", c.control, "-host", account, "-ca-out", c.ca, "-ready", c.dir+"/ready")...)
	must(c.t, cmd.Start())
	c.life.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c.until("Azure answers", func() bool { _, err := os.Stat(c.dir + "/ready"); return err == nil })
	must(c.t, os.WriteFile(c.hosts, []byte("127.0.0.1 localhost\n"+azureIP+" "+account+"\n"), 0o644))
}

// TestPods runs the pods that the chart renders in containerd and runc, driven by CRI, beside the driver's own pod and what its
// init container does.
func TestPods(t *testing.T) {
	c := newCluster(t)
	n := c.newNode(rendered(t, "testdata/chart", "azfilesauth"))
	n.needsPrograms(t)
	before := c.files()
	n.installs(t)
	n.starts(t)
	sidecar := besideTheDriver(t, n)
	n.fails(t, sidecar)
	c.removes(t, rendered(t, "testdata/chart", "azfilesauth-remove"), before, "/etc/azfilesauth/config.yaml", mountTable)
}

// needsPrograms: a node without cifs-utils and keyutils is not ready, with the reason.
func (n *node) needsPrograms(t *testing.T) {
	t.Helper()
	if status, said := n.run(n.install); status == 0 || !strings.Contains(said, "AZF-NODE-PROGRAMS") {
		t.Fatalf("%d\n%s", status, said)
	}
	for _, name := range []string{"mount.cifs", "request-key"} {
		write(t, n.node+"/usr/sbin/"+name, "", 0o755)
		must(t, os.Chmod(n.node+"/usr/sbin/"+name, 0o755))
	}
}

// mountTable is on the node, and stands for /proc/1/mountinfo and /proc/self/mountinfo: this kernel has no SMB client.
const mountTable = "/etc/azfilesauth/mountinfo"

// starts starts the daemon with a table of its own.
func (n *node) starts(t *testing.T) {
	t.Helper()
	write(t, n.node+mountTable, "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n", 0o644)
	watch := n.watch
	if got := watch.Command[len(watch.Command)-1]; got != "--mountinfo=/proc/1/mountinfo" {
		t.Fatalf("the manifest's daemon reads %s", got)
	}
	watch.Command = append(watch.Command[:len(watch.Command)-1:len(watch.Command)-1], "--mountinfo="+mountTable)
	n.begin(t, watch)
}

// besideTheDriver runs the driver's own pod with our image, from the driver's manifests and the component, and makes a ticket
// as the driver does. Both daemons see the volume; the ticket is asked for once.
func besideTheDriver(t *testing.T, n *node) (sidecar string) {
	t.Helper()
	// What the driver's init container does at each of its starts: the layer stays in force, the cache is the driver's.
	write(t, n.node+"/etc/azfilesauth/config.yaml", "USER_UID: 0\nKRB5_CC_NAME: /var/lib/kubelet/kerberos/krb5cc_0\nLOG_DESTINATION: \"file\"\n", 0o644)
	_, shown := n.exec(n.id, "azfilesauth", "config", "show", "--json")
	for _, want := range []string{"/var/lib/kubelet/kerberos/krb5cc_0", "nothing.example"} {
		if !strings.Contains(shown, want) || !json.Valid([]byte(shown)) {
			t.Errorf("no %s in\n%s", want, shown)
		}
	}

	csi := rendered(t, deployment(t, "../csi", "", manifests[0]), "csi-azurefile-node")
	refresh := container(t, csi.spec.Containers, "azfilesrefresh")
	refresh.Command = append(refresh.Command[:1:1], "--mountinfo="+mountTable)
	driver := n.sandbox("driver", csi)
	driver.has = []string{"/run"} // it is Debian's
	sidecar, _ = driver.create(refresh)
	n.until("the sidecar's probe succeeds", func() bool { return n.probe(sidecar, refresh.LivenessProbe) == 0 })
	if live := n.probe(n.id, n.watch.LivenessProbe); live != 0 {
		t.Errorf("beside the sidecar, liveness is %d", live)
	}
	if log, err := os.ReadFile(n.node + "/var/log/azfilesrefresh.log"); err != nil || !bytes.Contains(log, []byte("AZ Files Refresh Daemon started.")) {
		t.Errorf("the sidecar's log: %v\n%s", err, log)
	}

	// The driver's call for a volume; without an answer of Azure's it says what works in a pod.
	if status, said := n.exec(sidecar, "azfilesauthmanager", "set", "https://nothing.file.core.windows.net", "--system"); status == 0 ||
		!strings.Contains(said, "kubectl debug node/NODE") || strings.Contains(said, "systemctl") {
		t.Errorf("%d %s", status, said)
	}
	if status, said := n.exec(sidecar, "azfilesauthmanager", "set", "https://"+account, "--system"); status != 0 {
		t.Errorf("%d %s", status, said)
	}
	_, listed := n.exec(n.id, "azfilesauth", "list")
	if asked := n.exchanges(account); asked != 1 || !strings.Contains(listed, account) {
		t.Errorf("%d exchanges; the node's daemon sees\n%s", asked, listed)
	}
	volume := "36 20 0:40 / /var/lib/kubelet/plugins/kubernetes.io/csi/file.csi.azure.com/x/globalmount rw - cifs //" + account + "/share rw,vers=3.1.1,sec=krb5,cruid=0,username=root,addr=" + azureIP + "\n"
	n.replaceTable(t, volume)
	n.until("both keep the volume", func() bool {
		return n.probe(n.id, n.watch.ReadinessProbe) == 0 && n.keeps(n.id, account) && n.keeps(sidecar, account)
	})
	must(t, os.Remove(n.node+"/var/lib/kubelet/kerberos/krb5cc_0"))
	n.until("the ticket is there again", func() bool {
		_, out := n.exec(n.id, "azfilesauth", "list", "--json")
		return strings.Contains(out, account)
	})
	n.until("both have seen it", func() bool {
		return n.probe(n.id, n.watch.ReadinessProbe) == 0 && n.probe(sidecar, n.watch.ReadinessProbe) == 0
	})
	if asked := n.exchanges(account); asked != 2 {
		t.Errorf("%d exchanges after the loss of the cache: both daemons asked", asked)
	}
	return sidecar
}

// replaceTable puts a mount into the table, and has the daemons look at it: a file has no events as the kernel's table has.
func (n *node) replaceTable(t *testing.T, line string) {
	t.Helper()
	f, err := os.OpenFile(n.node+mountTable, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(line)
	must(t, errors.Join(err, f.Close()))
	for _, c := range n.all(t) {
		must(t, exec.Command("kill", "-HUP", n.pid(c)).Run())
	}
}

// all are the containers that run.
func (c *cluster) all(t *testing.T) (ids []string) {
	t.Helper()
	got, err := c.runtime.ListContainers(t.Context(), &cri.ListContainersRequest{Filter: &cri.ContainerFilter{State: &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}}})
	must(t, err)
	for _, k := range got.Containers {
		ids = append(ids, k.Id)
	}
	return ids
}

// fails: a daemon that hangs fails the probe within its time; one that was killed is started again; what is there stays.
func (n *node) fails(t *testing.T, sidecar string) {
	t.Helper()
	must(t, exec.Command("kill", "-STOP", n.pid(n.id)).Run())
	at := time.Now()
	if status := n.probe(n.id, n.watch.LivenessProbe); status != 3 || time.Since(at) > time.Duration(n.watch.LivenessProbe.TimeoutSeconds)*time.Second {
		t.Errorf("a daemon that hangs: %d after %v", status, time.Since(at))
	}
	must(t, exec.Command("kill", "-KILL", n.pid(n.id)).Run())
	n.until("it is gone", func() bool { return n.status(n.id).State == cri.ContainerState_CONTAINER_EXITED })
	if status := n.status(n.id).ExitCode; status != 137 {
		t.Errorf("it ended with %d", status)
	}
	if live := n.probe(sidecar, n.watch.LivenessProbe); live != 0 {
		t.Errorf("without the node's daemon, the sidecar's liveness is %d", live)
	}
	if status, said := n.run(n.install); status != 0 || !strings.Contains(said, "changes made: 0") {
		t.Errorf("installed again: %d\n%s", status, said)
	}
	n.starts(t)
}
