//go:build runtime

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
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

// cluster is a node of one: containerd with our image and Azure beside it, in a network of their own, and a directory that
// stands for the node's files. What a kubelet does by CRI is done here.
type cluster struct {
	t         *testing.T
	bin       string // of containerd and runc
	dir, node string
	image     string
	runtime   cri.RuntimeServiceClient
	netns     string // a process in the network of the node
	made      int
}

// pod is a sandbox.
type pod struct {
	*cluster
	spec   corev1.PodSpec
	id     string
	config *cri.PodSandboxConfig
	layers string   // stands for the volumes that are no directories of the node
	has    []string // directories that the image of these containers has beside what ours has
}

// newCluster starts the containerd of $CONTAINERD with a state of its own, and imports the archives in $IMAGES.
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
	c.start()
	c.image = c.load("azfilesauth-" + runtime.GOARCH)
	c.load("pause")
	c.azure()
	return c
}

// start runs containerd.
func (c *cluster) start() {
	config := fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q
[grpc]
address = %[3]q
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/azfilesauth:pause"
disable_apparmor = true
restrict_oom_score_adj = true # a container that the tests run in may not lower it
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = %[4]q
`, c.dir+"/root", c.dir+"/state", c.dir+"/sock", c.bin+"/usr/sbin/runc")
	must(c.t, os.WriteFile(c.dir+"/config.toml", []byte(config), 0o600))
	log, err := os.Create(c.dir + "/log")
	must(c.t, err)
	script := `set -e
ip link set lo up; ip addr add ` + imdsIP + `/32 dev lo; ip addr add ` + azureIP + `/32 dev lo
mount --bind "$1" "$1"; mount --make-rshared "$1"
exec "$2" --config "$3"`
	daemon := exec.Command("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script, "sh", c.node, c.bin+"/usr/bin/containerd", c.dir+"/config.toml")
	daemon.Env = append(os.Environ(), "PATH="+c.bin+"/usr/bin:"+c.bin+"/usr/sbin:"+os.Getenv("PATH"))
	daemon.Stdout, daemon.Stderr = log, log
	must(c.t, daemon.Start())
	c.netns = strconv.Itoa(daemon.Process.Pid) // unshare and sh become containerd
	client, err := grpc.NewClient("unix://"+c.dir+"/sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(c.t, err)
	c.runtime = cri.NewRuntimeServiceClient(client)
	c.t.Cleanup(func() {
		_ = client.Close()
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
		_ = log.Close()
		if c.t.Failed() {
			logs, _ := filepath.Glob(c.dir + "/*/*.log")
			for _, name := range append(logs, c.node+"/var/log/azfilesrefresh.log", c.dir+"/log") {
				text, _ := os.ReadFile(name)
				c.t.Logf("%s: %s", name, text[max(0, len(text)-2000):])
			}
		}
		_ = os.RemoveAll(c.dir)
	})
	c.until("containerd answers", func() bool {
		_, err := c.runtime.Version(c.t.Context(), &cri.VersionRequest{})
		return err == nil
	})
}

// load imports an archive, and gives the image's name.
func (c *cluster) load(name string) (image string) {
	c.t.Helper()
	cmd := exec.Command(c.bin+"/usr/bin/ctr", "--address", c.dir+"/sock", "--namespace", "k8s.io", "images", "import", filepath.Join(os.Getenv("IMAGES"), name+".oci.tar"))
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if _, after, ok := strings.Cut(line, "unpacking "); ok {
			image = strings.Fields(after)[0]
		}
	}
	if err != nil || image == "" {
		c.t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return image
}

// azure starts the fake of Azure on the node's network, as the real one is reached there.
func (c *cluster) azure() {
	c.t.Helper()
	cmd := exec.Command("nsenter", "--target", c.netns, "--net", os.Getenv("AZUREFAKE"), "-storage", azureIP+":443", "-imds", imdsIP+":80",
		"-control", "127.0.0.1:8765", "-host", account, "-ca-out", c.dir+"/ca.pem", "-ready", c.dir+"/ready")
	must(c.t, cmd.Start())
	c.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c.until("Azure answers", func() bool { _, err := os.Stat(c.dir + "/ready"); return err == nil })
	must(c.t, os.WriteFile(c.dir+"/hosts", []byte("127.0.0.1 localhost\n"+azureIP+" "+account+"\n"), 0o644))
}

// exchanges is how many tickets Azure has issued.
func (c *cluster) exchanges() string {
	c.t.Helper()
	out, err := exec.Command("nsenter", "--target", c.netns, "--net", os.Getenv("AZUREFAKE"), "count", "-target", "storage").CombinedOutput()
	must(c.t, err)
	return strings.TrimSpace(string(out))
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

// sandbox makes the sandbox of a pod.
func (c *cluster) sandbox(name string, spec corev1.PodSpec, layers string) *pod {
	c.t.Helper()
	p := &pod{cluster: c, spec: spec, layers: layers, config: &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: "kube-system"},
		LogDirectory: filepath.Join(c.dir, name),
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: namespaces(spec), Privileged: slices.ContainsFunc(spec.Containers, privileged), Seccomp: runtimeDefault(),
		}},
	}}
	must(c.t, os.MkdirAll(p.config.LogDirectory, 0o755))
	got, err := c.runtime.RunPodSandbox(c.t.Context(), &cri.RunPodSandboxRequest{Config: p.config})
	must(c.t, err)
	p.id = got.PodSandboxId
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, _ = c.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id})
		_, _ = c.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.id})
	})
	return p
}

func namespaces(spec corev1.PodSpec) *cri.NamespaceOption {
	o := &cri.NamespaceOption{Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER}
	if spec.HostNetwork {
		o.Network = cri.NamespaceMode_NODE
	}
	if spec.HostPID {
		o.Pid = cri.NamespaceMode_NODE
	}
	return o
}

func runtimeDefault() *cri.SecurityProfile {
	return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault}
}

func privileged(k corev1.Container) bool {
	return k.SecurityContext != nil && k.SecurityContext.Privileged != nil && *k.SecurityContext.Privileged
}

// container gives a container of the pod as the kubelet asks the runtime for it: rights, seccomp, mounts, limits, and the file
// for its last words.
func (p *pod) container(k corev1.Container) *cri.ContainerConfig {
	p.t.Helper()
	p.made++
	s := k.SecurityContext
	rights := &cri.LinuxContainerSecurityContext{
		NamespaceOptions: namespaces(p.spec), Privileged: privileged(k), Capabilities: &cri.Capability{}, Seccomp: runtimeDefault(),
		ReadonlyRootfs: s.ReadOnlyRootFilesystem != nil && *s.ReadOnlyRootFilesystem,
		NoNewPrivs:     s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation,
	}
	if rights.Privileged {
		rights.Seccomp = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}
	} else {
		rights.MaskedPaths, rights.ReadonlyPaths = []string{"/proc/kcore", "/proc/keys", "/sys/firmware"}, []string{"/proc/sys", "/proc/sysrq-trigger"}
	}
	if s.RunAsUser != nil {
		rights.RunAsUser = &cri.Int64Value{Value: *s.RunAsUser}
	}
	if s.Capabilities != nil {
		for _, name := range s.Capabilities.Add {
			rights.Capabilities.AddCapabilities = append(rights.Capabilities.AddCapabilities, string(name))
		}
		for _, name := range s.Capabilities.Drop {
			rights.Capabilities.DropCapabilities = append(rights.Capabilities.DropCapabilities, string(name))
		}
	}
	last := fmt.Sprintf("%s/%s-%d", p.config.LogDirectory, k.Name, p.made)
	must(p.t, os.WriteFile(last, nil, 0o666))
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: k.Name, Attempt: uint32(p.made)},
		Image:    &cri.ImageSpec{Image: p.image}, Command: k.Command, Args: k.Args, LogPath: fmt.Sprintf("%s-%d.log", k.Name, p.made),
		Mounts: append(p.mounts(k), &cri.Mount{ContainerPath: "/dev/termination-log", HostPath: last}),
		Linux: &cri.LinuxContainerConfig{
			Resources: &cri.LinuxContainerResources{MemoryLimitInBytes: k.Resources.Limits.Memory().Value()}, SecurityContext: rights,
		},
	}
}

// mounts are those of a container: directories of the node, others, and the node's hosts, as all pods on its network have them.
// The authority of the fake of Azure takes the place of those that the image trusts.
func (p *pod) mounts(k corev1.Container) []*cri.Mount {
	p.t.Helper()
	all := []*cri.Mount{
		{ContainerPath: "/etc/hosts", HostPath: p.dir + "/hosts"},
		{ContainerPath: "/etc/ssl/certs/ca-certificates.crt", HostPath: p.dir + "/ca.pem", Readonly: true},
	}
	for _, d := range p.has {
		must(p.t, os.MkdirAll(p.config.LogDirectory+d, 0o755))
		all = append(all, &cri.Mount{ContainerPath: d, HostPath: p.config.LogDirectory + d})
	}
	for _, m := range k.VolumeMounts {
		v := p.spec.Volumes[slices.IndexFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })]
		from := p.layers
		if v.HostPath != nil {
			from = p.node + v.HostPath.Path
			must(p.t, os.MkdirAll(from, 0o755)) // DirectoryOrCreate
			resolved, err := filepath.EvalSymlinks(from)
			must(p.t, err)
			from = resolved
		}
		mount := &cri.Mount{ContainerPath: m.MountPath, HostPath: from, Readonly: m.ReadOnly}
		if m.MountPropagation != nil {
			mount.Propagation = map[corev1.MountPropagationMode]cri.MountPropagation{
				corev1.MountPropagationBidirectional:   cri.MountPropagation_PROPAGATION_BIDIRECTIONAL,
				corev1.MountPropagationHostToContainer: cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER,
			}[*m.MountPropagation]
		}
		all = append(all, mount)
	}
	return all
}

// start starts a container, and gives its id.
func (p *pod) start(k corev1.Container) (id string, log string) {
	p.t.Helper()
	config := p.container(k)
	got, err := p.runtime.CreateContainer(p.t.Context(), &cri.CreateContainerRequest{PodSandboxId: p.id, Config: config, SandboxConfig: p.config})
	must(p.t, err)
	_, err = p.runtime.StartContainer(p.t.Context(), &cri.StartContainerRequest{ContainerId: got.ContainerId})
	must(p.t, err)
	return got.ContainerId, filepath.Join(p.config.LogDirectory, config.LogPath)
}

// run runs a container to its end, as an init container, and gives its exit status and its log.
func (p *pod) run(k corev1.Container) (status int32, said string) {
	p.t.Helper()
	id, log := p.start(k)
	p.until(k.Name+" ends", func() bool { return p.status(id).State == cri.ContainerState_CONTAINER_EXITED })
	text, err := os.ReadFile(log)
	must(p.t, err)
	return p.status(id).ExitCode, string(text)
}

func (c *cluster) status(id string) *cri.ContainerStatus {
	c.t.Helper()
	got, err := c.runtime.ContainerStatus(c.t.Context(), &cri.ContainerStatusRequest{ContainerId: id})
	must(c.t, err)
	return got.Status
}

// exec runs a command in a container, and gives its exit status and what it printed.
func (c *cluster) exec(id string, command ...string) (status int32, out string) {
	c.t.Helper()
	got, err := c.runtime.ExecSync(c.t.Context(), &cri.ExecSyncRequest{ContainerId: id, Cmd: command, Timeout: 60})
	must(c.t, err)
	return got.ExitCode, string(got.Stdout) + string(got.Stderr)
}

// probe gives what the kubelet would see: one that takes longer than its time fails.
func (c *cluster) probe(id string, p *corev1.Probe) int32 {
	c.t.Helper()
	got, err := c.runtime.ExecSync(c.t.Context(), &cri.ExecSyncRequest{ContainerId: id, Cmd: p.Exec.Command, Timeout: int64(p.TimeoutSeconds)})
	if err != nil {
		c.t.Logf("probe: %v", err)
		return -1
	}
	return got.ExitCode
}

// pid is the process of a container.
func (c *cluster) pid(id string) string {
	c.t.Helper()
	got, err := c.runtime.ContainerStatus(c.t.Context(), &cri.ContainerStatusRequest{ContainerId: id, Verbose: true})
	must(c.t, err)
	var info struct{ PID int }
	must(c.t, json.Unmarshal([]byte(got.Info["info"]), &info))
	return strconv.Itoa(info.PID)
}
