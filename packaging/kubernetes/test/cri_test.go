//go:build runtime

package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/yaml"
)

// cluster is a node of one: containerd with our image, and Azure beside it. What a kubelet does by CRI is done here.
type cluster struct {
	t         *testing.T        // fails
	life      *testing.T        // ends what was started
	bin       string            // where containerd and runc are installed; "" is where Debian has them
	dir       string            // of containerd's state and of what the kubelet would have
	node      string            // the directory that stands for the node's root; "" is the root
	hosts, ca string            // what containers get in the place of their /etc/hosts, and of the authorities that the image trusts
	images    map[string]string // the image that is loaded, by what the manifests name before the tag
	runtime   cri.RuntimeServiceClient
	azure     []string // what runs azurefake's commands
	control   string   // where it takes them
	patience  time.Duration
	made      int

	pidOfRuntime string // of containerd, in its namespaces
}

// pod is a sandbox.
type pod struct {
	*cluster
	workload
	id     string
	config *cri.PodSandboxConfig
	has    []string // directories that the image of these containers has beside what ours has
}

// workload is a DaemonSet's pod, with the ConfigMaps that are rendered beside it.
type workload struct {
	spec corev1.PodSpec
	maps map[string]corev1.ConfigMap
}

// rendered gives the DaemonSet of a name of what kustomize makes of a directory.
func rendered(t *testing.T, dir, name string) workload {
	t.Helper()
	w := workload{maps: map[string]corev1.ConfigMap{}}
	for _, r := range kustomized(t, dir).Resources() {
		text, err := r.AsYAML()
		must(t, err)
		if r.GetKind() == "ConfigMap" {
			var m corev1.ConfigMap
			must(t, yaml.UnmarshalStrict(text, &m))
			w.maps[m.Name] = m
		}
		if r.GetKind() == "DaemonSet" && r.GetName() == name {
			w.spec = decode(t, text).Spec.Template.Spec
		}
	}
	if len(w.spec.Containers) == 0 {
		t.Fatalf("%s has no DaemonSet %s", dir, name)
	}
	return w
}

// start runs containerd with a state of its own, by a command in whose place it gets, and imports the archives in $IMAGES.
func (c *cluster) start(images map[string]string, command ...string) {
	c.t.Helper()
	if os.Geteuid() != 0 {
		c.t.Skip("needs root: containers are made")
	}
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
	command = append(command, c.bin+"/usr/bin/containerd", "--config", c.dir+"/config.toml")
	daemon := exec.Command(command[0], command[1:]...)
	daemon.Env = append(os.Environ(), "PATH="+c.bin+"/usr/bin:"+c.bin+"/usr/sbin:"+os.Getenv("PATH"))
	daemon.Stdout, daemon.Stderr = log, log
	must(c.t, daemon.Start())
	c.pidOfRuntime = strconv.Itoa(daemon.Process.Pid)
	client, err := grpc.NewClient("unix://"+c.dir+"/sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(c.t, err)
	c.runtime = cri.NewRuntimeServiceClient(client)
	c.life.Cleanup(func() {
		_ = client.Close()
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
		_ = log.Close()
		if c.life.Failed() {
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
	c.images = map[string]string{}
	for name, archive := range images {
		c.images[name] = c.load(archive)
	}
	c.load("pause")
}

// load imports an archive, and gives the image's name.
func (c *cluster) load(name string) (image string) {
	c.t.Helper()
	out := c.ctr("import", filepath.Join(os.Getenv("IMAGES"), name+".oci.tar"))
	for line := range strings.Lines(out) {
		if _, after, ok := strings.Cut(line, "unpacking "); ok {
			image = strings.Fields(after)[0]
		}
	}
	if image == "" {
		c.t.Fatalf("%s: %s", name, out)
	}
	return image
}

// ctr runs a command about images.
func (c *cluster) ctr(args ...string) string {
	c.t.Helper()
	cmd := exec.Command(c.bin+"/usr/bin/ctr", append([]string{"--address", c.dir + "/sock", "--namespace", "k8s.io", "images"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// tell runs a command of the fake of Azure.
func (c *cluster) tell(verb string, args ...string) string {
	c.t.Helper()
	command := slices.Concat(c.azure, []string{verb, "-control", c.control}, args)
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// exchanges is how many tickets for an account Azure was asked for.
func (c *cluster) exchanges(account string) int {
	c.t.Helper()
	n, err := strconv.Atoi(c.tell("count", "-target", "storage", "-host", account))
	must(c.t, err)
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) until(what string, done func() bool) {
	c.t.Helper()
	for end := time.Now().Add(c.patience); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("not within %v: %s", c.patience, what)
		}
	}
}

// sandbox makes the sandbox of a pod.
func (c *cluster) sandbox(name string, w workload) *pod {
	c.t.Helper()
	p := &pod{cluster: c, workload: w, config: &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: "kube-system"},
		LogDirectory: filepath.Join(c.dir, name),
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: namespaces(w.spec), Privileged: slices.ContainsFunc(w.spec.Containers, privileged), Seccomp: runtimeDefault(),
		}},
	}}
	must(c.t, os.MkdirAll(p.config.LogDirectory, 0o755))
	got, err := c.runtime.RunPodSandbox(c.t.Context(), &cri.RunPodSandboxRequest{Config: p.config})
	must(c.t, err)
	p.id = got.PodSandboxId
	c.life.Cleanup(func() { _ = p.remove() })
	return p
}

// remove ends the pod.
func (p *pod) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, stopped := p.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id})
	_, removed := p.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.id})
	return errors.Join(stopped, removed)
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
	if s.SELinuxOptions != nil {
		rights.SelinuxOptions = &cri.SELinuxOption{Type: s.SELinuxOptions.Type}
	}
	if s.Capabilities != nil {
		for _, name := range s.Capabilities.Add {
			rights.Capabilities.AddCapabilities = append(rights.Capabilities.AddCapabilities, string(name))
		}
		for _, name := range s.Capabilities.Drop {
			rights.Capabilities.DropCapabilities = append(rights.Capabilities.DropCapabilities, string(name))
		}
	}
	name, _, _ := strings.Cut(k.Image, ":")
	if p.images[name] == "" {
		p.t.Fatalf("there is no image %s", k.Image)
	}
	var variables []*cri.KeyValue
	for _, v := range k.Env {
		variables = append(variables, &cri.KeyValue{Key: v.Name, Value: []byte(v.Value)})
	}
	last := fmt.Sprintf("%s/%s-%d", p.config.LogDirectory, k.Name, p.made)
	must(p.t, os.WriteFile(last, nil, 0o666))
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: k.Name, Attempt: uint32(p.made)},
		Image:    &cri.ImageSpec{Image: p.images[name]}, Command: k.Command, Args: k.Args, Envs: variables, LogPath: fmt.Sprintf("%s-%d.log", k.Name, p.made),
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
		{ContainerPath: "/etc/hosts", HostPath: p.hosts},
		{ContainerPath: "/etc/ssl/certs/ca-certificates.crt", HostPath: p.ca, Readonly: true},
	}
	for _, d := range p.has {
		must(p.t, os.MkdirAll(p.config.LogDirectory+d, 0o755))
		all = append(all, &cri.Mount{ContainerPath: d, HostPath: p.config.LogDirectory + d})
	}
	for _, m := range k.VolumeMounts {
		v := p.spec.Volumes[slices.IndexFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })]
		from := ""
		if v.ConfigMap != nil {
			from = filepath.Join(p.configMap(v), m.SubPath)
		} else if v.HostPath != nil {
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

// configMap makes the volume of a ConfigMap as the kubelet does, where each file is a link.
func (p *pod) configMap(v corev1.Volume) string {
	p.t.Helper()
	from, there := p.maps[v.ConfigMap.Name]
	if !there && (v.ConfigMap.Optional == nil || !*v.ConfigMap.Optional) {
		p.t.Fatalf("there is no ConfigMap %s", v.ConfigMap.Name)
	}
	dir := filepath.Join(p.config.LogDirectory, p.id, v.Name) // the pods of two lives of a node have one name
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	must(p.t, errors.Join(os.MkdirAll(dir+"/..2026", 0o755), os.Symlink("..2026", dir+"/..data")))
	for key, text := range from.Data {
		path := key
		if len(v.ConfigMap.Items) > 0 {
			i := slices.IndexFunc(v.ConfigMap.Items, func(item corev1.KeyToPath) bool { return item.Key == key })
			if i < 0 {
				continue
			}
			path = v.ConfigMap.Items[i].Path
		}
		write(p.t, dir+"/..2026/"+path, text, 0o644)
		must(p.t, os.Symlink("..data/"+path, filepath.Join(dir, path)))
	}
	return dir
}

// create starts a container, and gives its id.
func (p *pod) create(k corev1.Container) (id string, log string) {
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
	id, log := p.create(k)
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
