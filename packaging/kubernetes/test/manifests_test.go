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

func TestNode(t *testing.T) {
	decode(t, file(t, "../node/daemonset.yaml"))
	sets := build(t, "../node")
	if len(sets) != 1 || sets[0].Namespace != "kube-system" {
		t.Fatalf("%d sets", len(sets))
	}
	pod := sets[0].Spec.Template.Spec
	if !pod.HostPID || !pod.HostNetwork || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod must see the node's mount table and identity service, and needs no API token")
	}
	if sets[0].Spec.Selector.MatchLabels["app.kubernetes.io/name"] != sets[0].Spec.Template.Labels["app.kubernetes.io/name"] {
		t.Error("the selector does not select the pods")
	}
	var volumes []string
	for _, v := range pod.Volumes {
		volumes = append(volumes, v.Name)
	}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		if c.Image != "azfilesauth:2.0.0" || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: image %s, limits %v", c.Name, c.Image, c.Resources.Limits)
		}
		s := c.SecurityContext
		if s == nil || s.Privileged != nil || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: security %+v", c.Name, s)
		}
		for _, m := range c.VolumeMounts {
			if !slices.Contains(volumes, m.Name) {
				t.Errorf("%s: no volume %s", c.Name, m.Name)
			}
		}
	}
	watch := container(t, pod.Containers, "watch")
	if got := strings.Join(watch.Command, " "); got != "azfilesauth watch --mountinfo /proc/1/mountinfo" {
		t.Errorf("command %s", got)
	}
}
