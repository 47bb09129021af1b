package test

import (
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kustomize runs it on a directory.
func kustomize(dir string) (resmap.ResMap, error) {
	return krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
}

// build runs kustomize on a directory, and decodes the DaemonSets of what comes out.
func build(t *testing.T, dir string) []appsv1.DaemonSet {
	t.Helper()
	out, err := kustomize(dir)
	if err != nil {
		t.Fatal(err)
	}
	var sets []appsv1.DaemonSet
	for _, r := range out.Resources() {
		if r.GetKind() != "DaemonSet" {
			continue
		}
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, decode(t, text))
	}
	return sets
}

// decode is strict: a key that the API does not know is an error.
func decode(t *testing.T, text []byte) appsv1.DaemonSet {
	t.Helper()
	var d appsv1.DaemonSet
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if d.APIVersion != "apps/v1" || d.Kind != "DaemonSet" {
		t.Fatalf("it is a %s %s", d.APIVersion, d.Kind)
	}
	return d
}

func file(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func container(t *testing.T, all []corev1.Container, name string) corev1.Container {
	t.Helper()
	i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no container %s", name)
	}
	return all[i]
}

// TestNode: what the pods of the node may do, which is what the chart renders.
func TestNode(t *testing.T) {
	for _, dir := range []string{"node", "remove"} {
		decode(t, file(t, "../"+dir+"/daemonset.yaml"))
		sets := build(t, "../"+dir)
		if len(sets) != 1 || sets[0].Namespace != "kube-system" {
			t.Fatalf("%d sets", len(sets))
		}
		pod := sets[0].Spec.Template.Spec
		if pod.HostPID != (dir == "node") || !pod.HostNetwork || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken ||
			pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || pod.PriorityClassName == "" {
			t.Errorf("%s: the pod must see the node's mount table and identity service, and needs no API token", dir)
		}
		if sets[0].Spec.Selector.MatchLabels["app.kubernetes.io/name"] != sets[0].Spec.Template.Labels["app.kubernetes.io/name"] {
			t.Error("the selector does not select the pods")
		}
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			checkContainer(t, c, pod.Volumes)
		}
	}
	pod := build(t, "../node")[0].Spec.Template.Spec
	watch, install := container(t, pod.Containers, "watch"), container(t, pod.InitContainers, "install")
	if got := strings.Join(watch.Command, " "); got != "azfilesauth watch --mountinfo=/proc/1/mountinfo" {
		t.Errorf("command %s", got)
	}
	if install.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
		t.Error("kubectl describe pod does not tell why a node is not ready")
	}
	for name, probe := range map[string]*corev1.Probe{"3": watch.LivenessProbe, "2": watch.ReadinessProbe} {
		if probe == nil || !slices.Equal(probe.Exec.Command, []string{"azfilesauth", "status", "--check=" + name}) || probe.TimeoutSeconds < 3 {
			t.Errorf("probe %+v", probe)
		}
	}
	for _, path := range []string{"/run/azfilesauth", "/var/lib/kubelet/kerberos"} { // the caches of packages and of the driver
		i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.HostPath != nil && v.HostPath.Path == path })
		if i < 0 || *pod.Volumes[i].HostPath.Type != corev1.HostPathDirectoryOrCreate ||
			!slices.ContainsFunc(watch.VolumeMounts, func(m corev1.VolumeMount) bool {
				return m.Name == pod.Volumes[i].Name && m.MountPath == path && !m.ReadOnly
			}) {
			t.Errorf("the daemon does not see %s", path)
		}
	}
}

// checkContainer: it has few rights, bounds, and its volumes.
func checkContainer(t *testing.T, c corev1.Container, volumes []corev1.Volume) {
	t.Helper()
	if c.Image != "azfilesauth:2.0.0" || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s: image %s, limits %v", c.Name, c.Image, c.Resources.Limits)
	}
	s := c.SecurityContext
	if s == nil || s.Privileged != nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
		s.SELinuxOptions == nil || s.SELinuxOptions.Type != "spc_t" {
		t.Errorf("%s: security %+v", c.Name, s)
	}
	for _, m := range c.VolumeMounts {
		if !slices.ContainsFunc(volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
			t.Errorf("%s: no volume %s", c.Name, m.Name)
		}
	}
}
