//go:build runtime

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/yaml"
)

// kubelet is a kubelet without an API server, which runs the pods in a directory of manifests.
type kubelet struct {
	*cluster
	port int // where it tells what its pods are
}

// TestKubelet has a kubelet run the pods of kustomize: it makes their volumes, starts their containers in their order, asks the
// probes, and starts again what has ended or hangs.
func TestKubelet(t *testing.T) {
	if os.Getenv("KUBELET") == "" {
		t.Skip("needs a kubelet: make test-kubelet")
	}
	c := newCluster(t)
	before := c.files()
	k := c.newKubelet()
	k.apply("azfilesauth", "../node")
	k.until("the pod tells why it is not ready", func() bool {
		s := k.container("install")
		return s.LastTerminationState.Terminated != nil && strings.Contains(s.LastTerminationState.Terminated.Message, "AZF-NODE-PROGRAMS")
	})
	if k.container("watch").Ready {
		t.Error("it is ready without the programs of the node")
	}
	programs := []string{"/usr/sbin/mount.cifs", "/usr/sbin/request-key"}
	for _, path := range programs {
		write(t, c.node+path, "", 0o755)
		must(t, os.Chmod(c.node+path, 0o755))
	}
	k.ready(0)
	if _, err := os.Stat(c.node + "/etc/request-key.d/azfiles.conf"); err != nil {
		t.Errorf("ready before the node has its rule: %v", err)
	}
	must(t, exec.Command("kill", "-KILL", k.daemon()).Run())
	k.ready(1)
	must(t, exec.Command("kill", "-STOP", k.daemon()).Run()) // the liveness probe finds it
	k.ready(2)

	must(t, os.Remove(c.dir+"/manifests/azfilesauth.yaml"))
	k.until("the pod is gone", func() bool { return k.container("watch").Name == "" })
	k.apply("azfilesauth-remove", "../remove")
	k.until("the node's pod has removed what it was given", func() bool { return k.container("stay").Ready })
	c.compare(t, before, programs...)
}

// newKubelet starts the kubelet of $KUBELET.
func (c *cluster) newKubelet() *kubelet {
	c.t.Helper()
	k := &kubelet{cluster: c, port: freePort(c.t)}
	c.ctr("tag", c.images["azfilesauth"], "docker.io/library/azfilesauth:2.0.0") // as the manifests name it
	config := fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
staticPodPath: %[1]s/manifests
containerRuntimeEndpoint: unix://%[1]s/sock
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
address: 127.0.0.1
port: %[2]d
readOnlyPort: %[3]d
healthzPort: 0
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
makeIPTablesUtilChains: false
fileCheckFrequency: 1s
syncFrequency: 1s
localStorageCapacityIsolation: false
evictionHard: {memory.available: 1Mi}
featureGates: {KubeletInUserNamespace: true} # the tests run in a container, too
`, c.dir, freePort(c.t), k.port)
	must(c.t, os.MkdirAll(c.dir+"/manifests", 0o755))
	must(c.t, os.WriteFile(c.dir+"/kubelet.yaml", []byte(config), 0o644))
	log, err := os.Create(c.dir + "/kubelet.log")
	must(c.t, err)
	cmd := exec.Command("nsenter", "--target", c.pidOfRuntime, "--mount", os.Getenv("KUBELET"), "--config", c.dir+"/kubelet.yaml",
		"--root-dir", c.dir+"/kubelet", "--cert-dir", c.dir+"/pki", "--hostname-override", "node")
	cmd.Stdout, cmd.Stderr = log, log
	must(c.t, cmd.Start())
	c.life.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, _ := os.ReadFile(log.Name()); c.life.Failed() {
			c.t.Logf("the kubelet: %s", text[max(0, len(text)-6000):])
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		all, err := c.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
		if err != nil {
			c.t.Error(err)
		}
		for _, p := range all.GetItems() {
			_ = (&pod{cluster: c, id: p.Id}).remove()
		}
	})
	return k
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// apply gives the kubelet the pod of a DaemonSet. Its probes come oftener, and its ConfigMap, which has nothing and is
// optional, is an empty directory: both would take an API server or minutes.
func (k *kubelet) apply(name, dir string) {
	k.t.Helper()
	spec := rendered(k.t, dir, name).spec
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if v.HostPath != nil {
			v.HostPath.Path = k.node + v.HostPath.Path
			continue
		}
		v.VolumeSource = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	}
	for _, p := range []*corev1.Probe{spec.Containers[0].LivenessProbe, spec.Containers[0].ReadinessProbe} {
		if p != nil {
			p.PeriodSeconds = 2
		}
	}
	text, err := yaml.Marshal(corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system"}, Spec: spec,
	})
	must(k.t, err)
	write(k.t, k.dir+"/manifests/"+name+".yaml", string(text), 0o644)
}

// container is what the kubelet says of a container; nothing of one that is not there.
func (k *kubelet) container(name string) corev1.ContainerStatus {
	k.t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/pods", k.port))
	if err != nil {
		return corev1.ContainerStatus{} // it has not begun
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	must(k.t, err)
	var pods corev1.PodList
	must(k.t, json.Unmarshal(text, &pods))
	for _, p := range pods.Items {
		for _, s := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			if s.Name == name {
				return s
			}
		}
	}
	return corev1.ContainerStatus{}
}

// ready waits until the daemon is ready, and was started again so many times.
func (k *kubelet) ready(restarts int32) {
	k.t.Helper()
	k.until(fmt.Sprintf("the daemon is ready after %d restarts", restarts), func() bool {
		s := k.container("watch")
		if s.RestartCount > restarts {
			k.t.Fatalf("it was started again %d times, not %d", s.RestartCount, restarts)
		}
		return s.Ready && s.RestartCount == restarts
	})
}

// daemon is the process of the daemon.
func (k *kubelet) daemon() string {
	k.t.Helper()
	return k.pid(strings.TrimPrefix(k.container("watch").ContainerID, "containerd://"))
}
