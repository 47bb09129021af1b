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
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// What the pods see of their node: these directories lie in a scratch directory that stands for it.
var nodeDirs = []string{"/usr", "/etc", "/opt", "/var/lib", "/run"}

// cluster is containerd with our image, and a directory that stands for a node.
type cluster struct {
	t          *testing.T
	bin        string // of containerd, ctr and runc
	dir, node  string
	image      string
	containers int
}

// newCluster starts the containerd of $CONTAINERD with a state of its own, and imports the archive in $IMAGES.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: containers are made")
	}
	c := &cluster{t: t, bin: os.Getenv("CONTAINERD"), node: t.TempDir()}
	dir, err := os.MkdirTemp("", "pods") // a short path: the name of a socket is bounded
	must(t, err)
	c.dir = dir
	for _, d := range append(slices.Clone(nodeDirs), "/usr/bin", "/usr/sbin", "/etc/request-key.d", "/var/lib/kubelet/kerberos") {
		must(t, os.MkdirAll(c.node+d, 0o755))
	}
	must(t, os.Symlink("usr/sbin", c.node+"/sbin"))
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n", dir+"/root", dir+"/state", dir+"/sock")
	must(t, os.WriteFile(dir+"/config.toml", []byte(config), 0o600))
	log, err := os.Create(dir + "/log")
	must(t, err)
	daemon := exec.Command(c.bin+"/usr/bin/containerd", "--config", dir+"/config.toml")
	daemon.Env = append(os.Environ(), "PATH="+c.bin+"/usr/bin:"+c.bin+"/usr/sbin:"+os.Getenv("PATH"))
	daemon.Stdout, daemon.Stderr = log, log
	must(t, daemon.Start())
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
		_ = log.Close()
		_ = os.RemoveAll(dir)
	})
	c.until("containerd answers", func() bool { _, err := c.try("version"); return err == nil })
	for line := range strings.Lines(c.ctr("images", "import", filepath.Join(os.Getenv("IMAGES"), "azfilesauth-"+runtime.GOARCH+".oci.tar"))) {
		if _, after, ok := strings.Cut(line, "unpacking "); ok {
			c.image = strings.Fields(after)[0]
		}
	}
	if c.image == "" {
		t.Fatal("the archive held no image")
	}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) until(what string, done func() bool) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// try runs ctr, and gives what it printed.
func (c *cluster) try(args ...string) (string, error) {
	cmd := exec.Command(c.bin+"/usr/bin/ctr", append([]string{"--address", c.dir + "/sock"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+c.bin+"/usr/bin:"+c.bin+"/usr/sbin:"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cluster) ctr(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("ctr %q: %v\n%s", args, err, out)
	}
	return out
}

// arguments are those of ctr run for a container as its manifest has it: rights, seccomp, namespaces, mounts, limits.
func (c *cluster) arguments(pod corev1.PodSpec, k corev1.Container, layers string) []string {
	c.t.Helper()
	c.containers++
	id := fmt.Sprintf("%s-%d", k.Name, c.containers)
	args := []string{"run", "--runc-binary", c.bin + "/usr/sbin/runc", "--net-host", fmt.Sprintf("--memory-limit=%d", k.Resources.Limits.Memory().Value())}
	if pod.HostPID {
		args = append(args, "--with-ns", fmt.Sprintf("pid:/proc/%d/ns/pid", os.Getpid()))
	}
	if k.SecurityContext.Privileged != nil && *k.SecurityContext.Privileged {
		args = append(args, "--privileged")
	} else {
		args = append(args, c.confined(k)...)
	}
	for _, m := range k.VolumeMounts {
		v := pod.Volumes[slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })]
		from := layers
		if v.HostPath != nil {
			from = c.node + v.HostPath.Path
			must(c.t, os.MkdirAll(from, 0o755)) // DirectoryOrCreate
			resolved, err := filepath.EvalSymlinks(from)
			must(c.t, err)
			from = resolved
		}
		options := "rbind:rw"
		if m.ReadOnly {
			options = "rbind:ro"
		}
		if m.MountPropagation != nil {
			options += map[corev1.MountPropagationMode]string{corev1.MountPropagationBidirectional: ":rshared", corev1.MountPropagationHostToContainer: ":rslave"}[*m.MountPropagation]
		}
		args = append(args, "--mount", "type=bind,src="+from+",dst="+m.MountPath+",options="+options)
	}
	return append(args, c.image, id)
}

// confined are the arguments for what is not privileged.
func (c *cluster) confined(k corev1.Container) []string {
	args := []string{"--read-only", "--seccomp"}
	for _, name := range []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"} {
		if !slices.Contains(k.SecurityContext.Capabilities.Add, corev1.Capability(strings.TrimPrefix(name, "CAP_"))) {
			args = append(args, "--cap-drop", name)
		}
	}
	return args
}

// run runs a container to its end, as an init container.
func (c *cluster) run(pod corev1.PodSpec, k corev1.Container, layers string) (string, error) {
	c.t.Helper()
	args := slices.Insert(c.arguments(pod, k, layers), 1, "--rm")
	return c.try(append(args, k.Command...)...)
}

// start starts a container, and gives its id.
func (c *cluster) start(pod corev1.PodSpec, k corev1.Container, layers string) string {
	c.t.Helper()
	args := slices.Insert(c.arguments(pod, k, layers), 1, "--detach")
	id := args[len(args)-1]
	c.ctr(append(args, k.Command...)...)
	c.t.Cleanup(func() {
		_, _ = c.try("tasks", "kill", "--signal", "SIGKILL", id)
		_, _ = c.try("tasks", "delete", "--force", id)
		_, _ = c.try("containers", "delete", id)
	})
	return id
}

// exec runs a command in a container, as a probe, and gives its exit status.
func (c *cluster) exec(id string, command ...string) (int, string) {
	c.t.Helper()
	c.containers++
	out, err := c.try(append([]string{"tasks", "exec", "--exec-id", fmt.Sprintf("exec-%d", c.containers), id}, command...)...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), out
	}
	must(c.t, err)
	return 0, out
}

func (c *cluster) probe(id string, p *corev1.Probe) int {
	c.t.Helper()
	status, _ := c.exec(id, p.Exec.Command...)
	return status
}

// pid is the process of a container's task.
func (c *cluster) pid(id string) string {
	c.t.Helper()
	for line := range strings.Lines(c.ctr("tasks", "list")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == id {
			return f[1]
		}
	}
	c.t.Fatalf("no task %s", id)
	return ""
}

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

// TestPods runs the pods of the manifests in containerd and runc, beside what the driver's init container does.
func TestPods(t *testing.T) {
	c := newCluster(t)
	pod, removal := build(t, "../node")[0].Spec.Template.Spec, build(t, "../remove")[0].Spec.Template.Spec
	install, watch := container(t, pod.InitContainers, "install"), container(t, pod.Containers, "watch")
	layers := t.TempDir() // as the kubelet makes the volume of a ConfigMap
	write(t, layers+"/..2026/60-cluster.yaml", "proxy: http://proxy.example:3128\n", 0o644)
	must(t, errors.Join(os.Symlink("..2026", layers+"/..data"), os.Symlink("..data/60-cluster.yaml", layers+"/60-cluster.yaml")))

	// A node without cifs-utils and keyutils: not ready, with the reason.
	if out, err := c.run(pod, install, layers); err == nil || !strings.Contains(out, "AZF-NODE-PROGRAMS") {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"mount.cifs", "request-key"} {
		write(t, c.node+"/usr/sbin/"+name, "", 0o755)
		must(t, os.Chmod(c.node+"/usr/sbin/"+name, 0o755))
	}
	before := c.files()
	if out, err := c.run(pod, install, layers); err != nil || !strings.Contains(out, "azfiles.conf: make the file") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(c.node+"/usr/bin/azfilesauth", "--version").CombinedOutput(); err != nil {
		t.Errorf("what the node got does not run: %v\n%s", err, out)
	}

	id := c.start(pod, watch, layers)
	c.until("the startup probe succeeds", func() bool { return c.probe(id, watch.StartupProbe) == 0 })
	if live, ready := c.probe(id, watch.LivenessProbe), c.probe(id, watch.ReadinessProbe); live != 0 || ready != 0 {
		t.Errorf("liveness %d, readiness %d", live, ready)
	}
	if status, err := os.ReadFile("/proc/" + c.pid(id) + "/status"); err != nil || !bytes.Contains(status, []byte("NoNewPrivs:\t1")) ||
		!bytes.Contains(status, []byte("Seccomp:\t2")) || !bytes.Contains(status, []byte("CapEff:\t000000000000000b")) {
		t.Errorf("%v\n%s", err, status)
	}

	// What the driver's init container does at each of its starts: the layer stays in force, the cache is the driver's.
	write(t, c.node+"/etc/azfilesauth/config.yaml", "USER_UID: 0\nKRB5_CC_NAME: /var/lib/kubelet/kerberos/krb5cc_0\nLOG_DESTINATION: \"file\"\n", 0o644)
	_, shown := c.exec(id, "azfilesauth", "config", "show", "--json")
	for _, want := range []string{"/var/lib/kubelet/kerberos/krb5cc_0", "http://proxy.example:3128"} {
		if !strings.Contains(shown, want) || !json.Valid([]byte(shown)) {
			t.Errorf("no %s in\n%s", want, shown)
		}
	}

	// Beside it the driver's own container with our image, from the driver's manifests and the component.
	driver := build(t, deployment(t, "../csi", "", manifests[0]))[0].Spec.Template.Spec
	refresh := container(t, driver.Containers, "azfilesrefresh")
	sidecar := c.start(driver, refresh, layers)
	c.until("the sidecar's probe succeeds", func() bool { return c.probe(sidecar, refresh.LivenessProbe) == 0 })
	if live := c.probe(id, watch.LivenessProbe); live != 0 {
		t.Errorf("beside the sidecar, liveness is %d", live)
	}
	if log, err := os.ReadFile(c.node + "/var/log/azfilesrefresh.log"); err != nil || !bytes.Contains(log, []byte("AZ Files Refresh Daemon started.")) {
		t.Errorf("the sidecar's log: %v\n%s", err, log)
	}

	// A daemon that hangs fails the probe within its time; one that was killed is started again.
	must(t, exec.Command("kill", "-STOP", c.pid(id)).Run())
	at := time.Now()
	if status := c.probe(id, watch.LivenessProbe); status != 3 || time.Since(at) > time.Duration(watch.LivenessProbe.TimeoutSeconds)*time.Second {
		t.Errorf("a daemon that hangs: %d after %v", status, time.Since(at))
	}
	c.ctr("tasks", "kill", "--signal", "SIGKILL", id)
	c.until("it is gone", func() bool { out, _ := c.try("tasks", "list"); return strings.Contains(out, "STOPPED") })
	if live := c.probe(sidecar, refresh.LivenessProbe); live != 0 {
		t.Errorf("without the node's daemon, the sidecar's liveness is %d", live)
	}
	if out, err := c.run(pod, install, layers); err != nil || !strings.Contains(out, "changes made: 0") {
		t.Errorf("installed again: %v\n%s", err, out)
	}
	again := c.start(pod, watch, layers)
	c.until("the startup probe succeeds again", func() bool { return c.probe(again, watch.StartupProbe) == 0 })

	if out, err := c.run(removal, container(t, removal.InitContainers, "remove"), layers); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	after := c.files()
	delete(after, "/etc/azfilesauth/config.yaml") // the driver's
	if got, want := fmt.Sprint(after), fmt.Sprint(before); got != want {
		t.Errorf("after removal the node holds\n%s\nnot\n%s", got, want)
	}
}
