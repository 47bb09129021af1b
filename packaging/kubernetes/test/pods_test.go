//go:build runtime

package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// files are the files of the node but for the caches, with their modes and contents.
func (c *cluster) files() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	must(c.t, filepath.WalkDir(c.node, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "/run/") || strings.Contains(path, "/var/log/") || strings.Contains(path, "/var/lib/kubelet/kerberos/") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, _ := os.ReadFile(path)
		all[strings.TrimPrefix(path, c.node)] = fmt.Sprintf("%v %.80q", info.Mode(), text)
		return nil
	}))
	return all
}

// node are the pods of the node's manifests, with what the story needs of them.
type node struct {
	*pod
	install, watch corev1.Container
	id             string // of the daemon's container
}

// TestPods runs the pods of the manifests in containerd and runc, driven by CRI, beside the driver's own pod and what its
// init container does.
func TestPods(t *testing.T) {
	c := newCluster(t)
	layers := t.TempDir() // as the kubelet makes the volume of a ConfigMap
	write(t, layers+"/..2026/60-cluster.yaml", "no_proxy: [nothing.example]\n", 0o644)
	must(t, errors.Join(os.Symlink("..2026", layers+"/..data"), os.Symlink("..data/60-cluster.yaml", layers+"/60-cluster.yaml")))
	spec := build(t, "../node")[0].Spec.Template.Spec
	n := &node{pod: c.sandbox("node", spec, layers), install: container(t, spec.InitContainers, "install"), watch: container(t, spec.Containers, "watch")}

	n.needsPrograms(t)
	before := c.files()
	if status, said := n.run(n.install); status != 0 || !strings.Contains(said, "azfiles.conf: make the file") {
		t.Fatalf("%d\n%s", status, said)
	}
	if out, err := exec.Command(c.node+"/usr/bin/azfilesauth", "--version").CombinedOutput(); err != nil {
		t.Errorf("what the node got does not run: %v\n%s", err, out)
	}
	n.starts(t)
	sidecar := besideTheDriver(t, n, layers)
	n.fails(t, sidecar)

	gone := build(t, "../remove")[0].Spec.Template.Spec
	if status, said := c.sandbox("remove", gone, layers).run(container(t, gone.InitContainers, "remove")); status != 0 {
		t.Fatalf("%d\n%s", status, said)
	}
	after := c.files()
	delete(after, "/etc/azfilesauth/config.yaml") // the driver's
	delete(after, mountTable)
	if got, want := fmt.Sprint(after), fmt.Sprint(before); got != want {
		t.Errorf("after removal the node holds\n%s\nnot\n%s", got, want)
	}
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

// starts starts the daemon: its probes succeed, and its rights are those of the manifest.
func (n *node) starts(t *testing.T) {
	t.Helper()
	write(t, n.node+mountTable, "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n", 0o644)
	watch := n.watch
	if got := watch.Command[len(watch.Command)-1]; got != "--mountinfo=/proc/1/mountinfo" {
		t.Fatalf("the manifest's daemon reads %s", got)
	}
	watch.Command = append(watch.Command[:len(watch.Command)-1:len(watch.Command)-1], "--mountinfo="+mountTable)
	n.id, _ = n.start(watch)
	n.until("the startup probe succeeds", func() bool { return n.probe(n.id, watch.StartupProbe) == 0 })
	if live, ready := n.probe(n.id, watch.LivenessProbe), n.probe(n.id, watch.ReadinessProbe); live != 0 || ready != 0 {
		t.Errorf("liveness %d, readiness %d", live, ready)
	}
	if status, err := os.ReadFile("/proc/" + n.pid(n.id) + "/status"); err != nil || !bytes.Contains(status, []byte("NoNewPrivs:\t1")) ||
		!bytes.Contains(status, []byte("Seccomp:\t2")) || !bytes.Contains(status, []byte("CapEff:\t000000000000000b")) {
		t.Errorf("%v\n%s", err, status)
	}
}

// besideTheDriver runs the driver's own pod with our image, from the driver's manifests and the component, and makes a ticket
// as the driver does. Both daemons see the volume; the ticket is asked for once.
func besideTheDriver(t *testing.T, n *node, layers string) (sidecar string) {
	t.Helper()
	// What the driver's init container does at each of its starts: the layer stays in force, the cache is the driver's.
	write(t, n.node+"/etc/azfilesauth/config.yaml", "USER_UID: 0\nKRB5_CC_NAME: /var/lib/kubelet/kerberos/krb5cc_0\nLOG_DESTINATION: \"file\"\n", 0o644)
	_, shown := n.exec(n.id, "azfilesauth", "config", "show", "--json")
	for _, want := range []string{"/var/lib/kubelet/kerberos/krb5cc_0", "nothing.example"} {
		if !strings.Contains(shown, want) || !json.Valid([]byte(shown)) {
			t.Errorf("no %s in\n%s", want, shown)
		}
	}

	spec := build(t, deployment(t, "../csi", "", manifests[0]))[0].Spec.Template.Spec
	refresh := container(t, spec.Containers, "azfilesrefresh")
	refresh.Command = append(refresh.Command[:1:1], "--mountinfo="+mountTable)
	driver := n.sandbox("driver", spec, layers)
	driver.has = []string{"/run"} // it is Debian's
	sidecar, _ = driver.start(refresh)
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
	if asked := n.exchanges(); asked != "1" || !strings.Contains(listed, account) {
		t.Errorf("%s exchanges; the node's daemon sees\n%s", asked, listed)
	}
	volume := "36 20 0:40 / /var/lib/kubelet/plugins/kubernetes.io/csi/file.csi.azure.com/x/globalmount rw - cifs //" + account + "/share rw,vers=3.1.1,sec=krb5,cruid=0,username=root,addr=" + azureIP + "\n"
	n.replaceTable(t, volume)
	n.until("both keep the volume", func() bool {
		return n.probe(n.id, n.watch.ReadinessProbe) == 0 && n.keeps(n.id) && n.keeps(sidecar)
	})
	must(t, os.Remove(n.node+"/var/lib/kubelet/kerberos/krb5cc_0"))
	n.until("the ticket is there again", func() bool {
		_, out := n.exec(n.id, "azfilesauth", "list", "--json")
		return strings.Contains(out, account)
	})
	n.until("both have seen it", func() bool {
		return n.probe(n.id, n.watch.ReadinessProbe) == 0 && n.probe(sidecar, n.watch.ReadinessProbe) == 0
	})
	if asked := n.exchanges(); asked != "2" {
		t.Errorf("%s exchanges after the loss of the cache: both daemons asked", asked)
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

// keeps reports whether a container's daemon has the account's volume.
func (c *cluster) keeps(id string) bool {
	_, out := c.exec(id, "azfilesauth", "status", "--json")
	return strings.Contains(out, account) && strings.Contains(out, "globalmount")
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
