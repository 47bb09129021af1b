//go:build runtime

package test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The accounts of the lab's guest: the node's own mount is of one, the driver's volume of the other.
const (
	nodesAccount  = "acct.file.core.windows.net"
	nodesMount    = "/mnt/share"
	volumeAccount = "acct2.file.core.windows.net"
	volumeMount   = "/var/lib/kubelet/plugins/kubernetes.io/csi/file.csi.azure.com/x/globalmount"
	managed       = "11111111-1111-1111-1111-111111111111" // an identity of the node
	driversCache  = "/var/lib/kubelet/kerberos/krb5cc_0"
)

// lifetime is how long Azure's tickets last in the guest, in whose emulated processor all takes its time.
const lifetime = 60 * time.Second

// guest is the whole of the lab's guest as a node: its root, its kernel with an SMB client, its network with Azure and Samba.
type guest struct {
	*node
	csi      workload
	driver   *pod
	plugin   string // the containers of the driver's pod
	sidecar  string
	readable map[string]string // what the files below the mount points hold
}

// TestGuest runs the pods of kustomize and of the chart on a node with a real kernel, which mounts real shares with the tickets of
// the daemons in the pods. "make test-kubernetes-guest" boots it.
func TestGuest(t *testing.T) {
	if os.Getenv("GUEST") == "" {
		t.Skip("needs the lab's guest: make test-kubernetes-guest")
	}
	dir, err := os.MkdirTemp("", "pods")
	must(t, err)
	c := &cluster{
		t: t, life: t, dir: dir, hosts: "/etc/hosts", ca: "/etc/ssl/certs/ca-certificates.crt",
		azure: []string{os.Getenv("AZUREFAKE")}, control: "10.99.0.1:8765", patience: 4 * time.Minute,
	}
	c.start(map[string]string{"azfilesauth": "azfilesauth-amd64", "azurefile-csi-azfilesauth": "driver"})
	for _, from := range []struct{ name, node, remove string }{{"kustomize", "../node", "../remove"}, {"chart", "testdata/chart", "testdata/chart"}} {
		t.Run(from.name, func(t *testing.T) {
			own := *c
			own.t, own.life = t, t
			new(guest).lives(t, &own, rendered(t, from.node, "azfilesauth"), rendered(t, from.remove, "azfilesauth-remove"))
		})
		if t.Failed() {
			return // the node is no longer what it was
		}
	}
}

// lives is a node's life with us, from the first pod to the last.
func (g *guest) lives(t *testing.T, c *cluster, ours, gone workload) {
	t.Helper()
	c.tell("clear")
	c.tell("order", `{"target":"storage","lifetime":"`+lifetime.String()+`"}`)
	before := c.files()
	g.node = c.newNode(ours)
	g.readable = map[string]string{}
	steps := []struct {
		name string
		do   func(*testing.T)
	}{
		{"install", g.node.installs},
		{"watch", func(t *testing.T) { g.begin(t, g.watch) }},
		{"metrics", g.hasMetrics},
		{"mount", g.mounts},
		{"driver", g.startsDriver},
		{"stage", g.stages},
		{"refresh", g.refreshes},
		{"restart", g.restarts},
		{"update", g.updatesDriver},
		{"outage", g.losesRole},
		{"remove", func(t *testing.T) {
			must(t, g.pod.remove())
			c.removes(t, gone, before, "/etc/azfilesauth/config.yaml", "/etc/krb5.conf")
			g.reads(t)
		}},
		{"stock", g.outlivesUs},
	}
	for _, step := range steps {
		if !t.Run(step.name, func(t *testing.T) {
			c.t = t
			step.do(t)
		}) {
			break
		}
	}
	c.t = t
	g.cleans(t)
}

// hasMetrics: they are served where the manifest names a port.
func (g *guest) hasMetrics(t *testing.T) {
	if len(g.watch.Ports) == 0 {
		if resp, err := http.Get("http://127.0.0.1:9799/metrics"); err == nil {
			_ = resp.Body.Close()
			t.Error("metrics are served, and nobody has asked for them")
		}
		return
	}
	resp, err := http.Get("http://127.0.0.1:9799/metrics")
	must(t, err)
	text, err := io.ReadAll(resp.Body)
	if must(t, errors.Join(err, resp.Body.Close())); !strings.Contains(string(text), "azfilesauth_") {
		t.Errorf("%s", text)
	}
}

// mounts mounts a share on the node itself, with what the init container has put there.
func (g *guest) mounts(t *testing.T) {
	must(t, os.MkdirAll(nodesMount, 0o755))
	if out, err := exec.Command("mount", "-t", "azfiles", "-o", "identity=system", "//"+nodesAccount+"/share", nodesMount).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g.writes(t, nodesMount)
	g.until("the daemon in the pod has the node's mount", func() bool {
		_, out := g.exec(g.id, "azfilesauth", "status", "--json")
		return strings.Contains(out, nodesMount)
	})
	g.ready(t, g.id)
}

// startsDriver starts the driver's pod, whose init container truncates the configuration and names another cache.
func (g *guest) startsDriver(t *testing.T) {
	g.csi = rendered(t, deployment(t, "../csi", "", manifests[0]), "csi-azurefile-node")
	g.driver = g.sandbox("driver", g.csi)
	if status, said := g.driver.run(container(t, g.csi.spec.InitContainers, "install-azurefile-proxy")); status != 0 {
		t.Fatalf("%d\n%s", status, said)
	}
	g.plugin, _ = g.driver.create(container(t, g.csi.spec.Containers, "azurefile"))
	g.startsSidecar(t)
	shown := ""
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the configuration of the node's daemon:\n%s", shown)
		}
	})
	g.until("the node's daemon follows", func() bool {
		_, shown = g.exec(g.id, "azfilesauth", "config", "show", "--json")
		return strings.Contains(shown, driversCache) && (len(g.maps["azfilesauth"].Data) == 0 || strings.Contains(shown, "nothing.example"))
	})
	g.until("the node's mount has a ticket in the driver's cache", func() bool {
		_, out := g.exec(g.id, "azfilesauth", "list", "--json")
		return strings.Contains(out, nodesAccount)
	})
	g.ready(t, g.id)
	g.reads(t)
}

func (g *guest) startsSidecar(t *testing.T) {
	t.Helper()
	refresh := container(t, g.csi.spec.Containers, "azfilesrefresh")
	g.sidecar, _ = g.driver.create(refresh)
	g.until("the sidecar's probe succeeds", func() bool { return g.probe(g.sidecar, refresh.LivenessProbe) == 0 })
}

// stages does what the driver does for a volume: it has a ticket made, and mounts with it.
func (g *guest) stages(t *testing.T) {
	if status, said := g.exec(g.plugin, "azfilesauthmanager", "set", "https://"+volumeAccount, "--imds-client-id", managed); status != 0 {
		t.Fatalf("%d %s", status, said)
	}
	const with = "file_mode=0777,dir_mode=0777,actimeo=30,mfsymlinks,nosharesock,username=" + managed
	const mount = `mkdir -p "$2"; mount -t cifs -o "sec=krb5,cruid=0,upcall_target=mount,$3" "$1" "$2" && exit
dmesg | grep -q "Unknown parameter 'upcall_target'" || exit 32 # Linux 6.1 does not know it
exec mount -t cifs -o "sec=krb5,cruid=0,$3" "$1" "$2"`
	if status, said := g.exec(g.plugin, "sh", "-c", mount, "sh", "//"+volumeAccount+"/share", volumeMount, with); status != 0 {
		t.Fatalf("%d %s", status, said)
	}
	g.writes(t, volumeMount) // on the node, where a pod would have it bound
	g.until("both daemons have the volume", func() bool { return g.keeps(g.id, volumeAccount) && g.keeps(g.sidecar, volumeAccount) })
	g.ready(t, g.id, g.sidecar)
}

// refreshes: each ticket is replaced before its end, by whichever daemon is first, and the sessions that the kernel
// opens after the end of the first tickets have the new ones.
func (g *guest) refreshes(t *testing.T) {
	began := time.Now()
	was := map[string]int{nodesAccount: g.exchanges(nodesAccount), volumeAccount: g.exchanges(volumeAccount)}
	g.until("the first tickets have ended", func() bool { return time.Since(began) > lifetime })
	for account, before := range was {
		now := g.exchanges(account)
		t.Logf("%s: %d tickets in %v", account, now-before, time.Since(began).Round(time.Second))
		if now == before {
			t.Errorf("%s: no ticket was replaced in %v", account, lifetime)
		}
	}
	g.ready(t, g.id, g.sidecar)
	g.logsInAnew(t)
}

// restarts: a daemon that is killed is started again by the kubelet; the other one renews meanwhile, and every mount stays.
func (g *guest) restarts(t *testing.T) {
	g.kills(t, g.id)
	was := g.exchanges(volumeAccount)
	g.until("the sidecar goes on", func() bool { return g.exchanges(volumeAccount) > was })
	g.reads(t)
	if status, said := g.run(g.install); status != 0 || !strings.Contains(said, "changes made: 0") {
		t.Errorf("installed again: %d\n%s", status, said)
	}
	g.begins(t)
	g.kills(t, g.sidecar)
	was = g.exchanges(volumeAccount)
	g.until("the node's daemon goes on", func() bool { return g.exchanges(volumeAccount) > was })
	g.startsSidecar(t)
	g.ready(t, g.id, g.sidecar)
	g.logsInAnew(t)
}

// begins starts the daemon anew, beside mounts whose tickets may be at their end.
func (g *guest) begins(t *testing.T) {
	t.Helper()
	g.id, _ = g.create(g.watch)
	g.until("the startup probe succeeds", func() bool { return g.probe(g.id, g.watch.StartupProbe) == 0 })
	g.ready(t, g.id)
}

// updatesDriver: the driver's pod goes with its containers, and comes again; its volumes stay on the node.
func (g *guest) updatesDriver(t *testing.T) {
	must(t, g.driver.remove())
	if table, err := os.ReadFile("/proc/self/mountinfo"); err != nil || !strings.Contains(string(table), volumeMount) {
		t.Fatalf("the volume went with the pod: %v", err)
	}
	g.logsInAnew(t)
	g.startsDriver(t)
	g.until("the new sidecar has the volume", func() bool { return g.keeps(g.sidecar, volumeAccount) })
	g.ready(t, g.id, g.sidecar)
}

// losesRole: where Azure refuses, the pods are not ready, and live; when it does not, all is well again by itself.
func (g *guest) losesRole(t *testing.T) {
	g.tell("clear")
	g.tell("order", `{"target":"storage","status":403,"code":"AuthorizationPermissionMismatch","message":"This request is not authorized to perform this operation using this permission."}`)
	g.until("the node's pod is not ready", func() bool { return g.probe(g.id, g.watch.ReadinessProbe) == 2 })
	if live := g.probe(g.id, g.watch.LivenessProbe); live != 0 {
		t.Errorf("liveness is %d", live)
	}
	if _, said := g.exec(g.id, "azfilesauth", "status"); !strings.Contains(said, "AZF-ROLE-MISSING") || strings.Contains(said, "systemctl") {
		t.Errorf("%s", said)
	}
	g.tell("clear")
	g.ready(t, g.id, g.sidecar) // the next tickets last as long as Azure's do
	g.logsInAnew(t)
}

// outlivesUs: without us on the node the mounts stay, and Debian's handler answers with the tickets that the driver's sidecar
// keeps in the cache that the node's krb5.conf names.
func (g *guest) outlivesUs(t *testing.T) {
	g.logsInAnew(t)
	if out, err := exec.Command("mount", "-t", "azfiles", "-o", "identity=system", "//"+nodesAccount+"/share", "/mnt").CombinedOutput(); err == nil {
		t.Errorf("mount.azfiles is there\n%s", out)
	}
}

// ready waits until daemons have tickets for all that they see.
func (g *guest) ready(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		g.until("a daemon has all tickets", func() bool {
			live, ready := g.probe(id, g.watch.LivenessProbe), g.probe(id, g.watch.ReadinessProbe)
			if live != 0 {
				t.Errorf("liveness is %d", live)
			}
			return ready == 0
		})
	}
}

// writes writes a file below a mount point, which every later step reads.
func (g *guest) writes(t *testing.T, target string) {
	t.Helper()
	path, text := filepath.Join(target, filepath.Base(target)), "written through "+target
	g.readable[path] = text
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

// reads reads what was written, past what the kernel still knows. A connection that is made anew may be a moment late.
func (g *guest) reads(t *testing.T) {
	t.Helper()
	for path, want := range g.readable {
		g.until(path+" is read", func() bool {
			must(t, os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0))
			got, err := os.ReadFile(path)
			if err != nil {
				t.Log(err)
			}
			return string(got) == want
		})
	}
}

// logsInAnew has the server end every session, so that the kernel asks for tickets again, and reads.
func (g *guest) logsInAnew(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", "kill -9 $(smbstatus -p | awk '$1 ~ /^[0-9]+$/ {print $1}')").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g.reads(t)
}

// kills kills a container's process, as the kernel does where memory is short.
func (g *guest) kills(t *testing.T, id string) {
	t.Helper()
	must(t, exec.Command("kill", "-KILL", g.pid(id)).Run())
	g.until("it is gone", func() bool { return g.status(id).State == cri.ContainerState_CONTAINER_EXITED })
	if status := g.status(id).ExitCode; status != 137 {
		t.Errorf("it ended with %d", status)
	}
}

// cleans makes the node one that has seen neither us nor the driver.
func (g *guest) cleans(t *testing.T) {
	t.Helper()
	if g.driver != nil {
		_ = g.driver.remove()
	}
	for path := range g.readable {
		_ = os.Remove(path)
		if out, err := exec.Command("umount", filepath.Dir(path)).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	for _, path := range []string{"/etc/azfilesauth", "/etc/krb5.conf", "/var/lib/kubelet", "/run/azfilesauth", "/var/log/azfilesrefresh.log"} {
		must(t, os.RemoveAll(path))
	}
}
