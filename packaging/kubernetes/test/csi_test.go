package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/resmap"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

const fixtures = "testdata/azurefile-csi-driver"

// deployment makes a kustomization of the driver's manifests, by their names in fixtures, with components
// and more lines, and gives its directory.
func deployment(t *testing.T, component, more string, manifests ...string) string {
	t.Helper()
	dir := t.TempDir()
	var resources []string
	for _, name := range manifests {
		resources = append(resources, strings.ReplaceAll(name, "/", "-"))
		write(t, filepath.Join(dir, resources[len(resources)-1]), string(file(t, filepath.Join(fixtures, name))), 0o600)
	}
	text := "resources: [" + strings.Join(resources, ", ") + "]\n" + more
	if component != "" {
		absolute, err := filepath.Abs(component)
		if err != nil {
			t.Fatal(err)
		}
		relative, err := filepath.Rel(dir, absolute)
		if err != nil {
			t.Fatal(err)
		}
		text += "components: [" + relative + "]\n"
	}
	write(t, filepath.Join(dir, "kustomization.yaml"), text, 0o600)
	return dir
}

var manifests = []string{
	"manifests/csi-azurefile-node.yaml", "manifests/csi-azurefile-node-windows.yaml",
	"manifests/csi-azurefile-controller.yaml",
}

func kustomized(t *testing.T, dir string) resmap.ResMap {
	t.Helper()
	out, err := kustomize(dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// changes are the differences between two values as decoded from JSON, each "path: before -> after".
func changes(path string, before, after any) []string {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	var all []string
	switch was := before.(type) {
	case map[string]any:
		is, ok := after.(map[string]any)
		if !ok {
			return []string{path + ": another kind"}
		}
		for key := range was {
			all = append(all, changes(path+"/"+key, was[key], is[key])...)
		}
		for key := range is {
			if _, there := was[key]; !there {
				all = append(all, path+"/"+key+": added")
			}
		}
		slices.Sort(all)
		return all
	case []any:
		is, ok := after.([]any)
		if !ok || len(is) != len(was) {
			return []string{path + ": another length"}
		}
		for i := range was {
			name := path + "/?"
			if m, ok := was[i].(map[string]any); ok && m["name"] != nil {
				name = path + "/" + m["name"].(string)
			}
			all = append(all, changes(name, was[i], is[i])...)
		}
		return all
	case string:
		if is, ok := after.(string); ok {
			return []string{path + ": " + was + " -> " + is}
		}
	}
	return []string{path + ": another value"}
}

// TestComponentChangesTheThreeContainersAlone compares the whole of what is deployed with and without the
// component, in both layouts, for the driver's image, a mirror's and one that the user names by images:.
func TestComponentChangesTheThreeContainersAlone(t *testing.T) {
	const official = "mcr.microsoft.com/oss/v2/kubernetes-csi/azurefile-csi:v1.35.7"
	const mirror = "mirror.example:5000/oss/v2/kubernetes-csi/azurefile-csi:v1.35.7"
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("../csi/copy", copied, mirror, "mirror.example:5000/ours:v1.35.7").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []struct {
		component, more, was, is string
		manifests                []string
	}{
		{"../csi", "", official, "azurefile-csi-azfilesauth:v1.35.7", manifests},
		{"../csi", "", official, "azurefile-csi-azfilesauth:v1.35.7", append(slices.Clone(manifests[:1]), "manifests/csi-azurefile-node-windows-hostprocess.yaml")},
		{"../csi", "images: [{name: azurefile-csi-azfilesauth, newName: registry.example/x, newTag: v9}]\n", official, "registry.example/x:v9", manifests},
		{"../csi/chart", "", official, "azurefile-csi-azfilesauth:v1.35.7", []string{"chart/default.yaml"}},
		{filepath.Join(copied, "chart"), "", mirror, "mirror.example:5000/ours:v1.35.7", []string{"chart/mirror.yaml"}},
	} {
		before, after := kustomized(t, deployment(t, "", "", test.manifests...)), kustomized(t, deployment(t, test.component, test.more, test.manifests...))
		if before.Size() != after.Size() {
			t.Fatalf("%d resources, were %d", after.Size(), before.Size())
		}
		var got []string
		for i, was := range before.Resources() {
			is := after.Resources()[i]
			one, err := was.Map()
			if err != nil {
				t.Fatal(err)
			}
			other, err := is.Map()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, changes(was.GetKind()+" "+was.GetName(), one, other)...)
			if was.GetKind() == "DaemonSet" && is.GetName() == "csi-azurefile-node" {
				decode(t, []byte(is.MustYaml()))
			}
		}
		pod := "DaemonSet csi-azurefile-node/spec/template"
		image := ": " + test.was + " -> " + test.is
		want := []string{
			pod + "/metadata/annotations: added",
			pod + "/spec/containers/azfilesrefresh/image" + image, pod + "/spec/containers/azfilesrefresh/livenessProbe: added",
			pod + "/spec/containers/azurefile/image" + image, pod + "/spec/initContainers/install-azurefile-proxy/image" + image,
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s on %s changes\n%s\nnot\n%s", test.component, test.manifests, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestComponentProbe: the daemon's probe can fail, and an expired ticket does not restart it.
func TestComponentProbe(t *testing.T) {
	pod := build(t, deployment(t, "../csi", "", manifests[0]))[0].Spec.Template
	refresh := container(t, pod.Spec.Containers, "azfilesrefresh")
	if refresh.LivenessProbe == nil || !slices.Equal(refresh.LivenessProbe.Exec.Command, []string{"azfilesauth", "status", "--check=3"}) ||
		refresh.LivenessProbe.TimeoutSeconds < 3 {
		t.Errorf("probe %+v", refresh.LivenessProbe)
	}
	if slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return c.Name != "azfilesrefresh" && c.Name != "node-driver-registrar" && c.LivenessProbe != nil && c.LivenessProbe.Exec != nil
	}) {
		t.Error("another container has the probe")
	}
	if pod.Annotations["kubectl.kubernetes.io/default-container"] != "azurefile" {
		t.Errorf("annotations %v", pod.Annotations)
	}
}

func TestComponentRefusesWhatDoesNotFit(t *testing.T) {
	for _, test := range []struct{ name, component, manifest, want string }{
		{"the image latest", "../csi", "manifests-latest/csi-azurefile-node.yaml", "test failed"},
		{"a driver before azfilesrefresh", "../csi", "manifests-1.33/csi-azurefile-node.yaml", ""},
		{"the manifests' order for the chart", "../csi", "chart/default.yaml", "test failed"},
		{"the chart's order for the manifests", "../csi/chart", manifests[0], ""},
		{"a chart without managed identity", "../csi/chart", "chart/keys.yaml", "missing path"},
		{"a mirror without its copy", "../csi/chart", "chart/mirror.yaml", "test failed"},
		{"no Linux node plugin", "../csi", manifests[1], "nothing selected"},
	} {
		if _, err := kustomize(deployment(t, test.component, "", test.manifest)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestCopyRefuses(t *testing.T) {
	const driver, ours = "mirror.example:5000/azurefile-csi:v1.35.7", "mirror.example:5000/ours:1"
	fresh := func() string { return filepath.Join(t.TempDir(), "copy") }
	for _, args := range [][]string{
		{},
		{fresh(), driver},
		{fresh(), "mirror.example/azurefile-csi:latest", ours},
		{fresh(), "mirror.example:5000/azurefile-csi", ours},
		{fresh(), "mirror.example/azurefile-csi:v1.33.10", ours},
		{fresh(), "mirror.example/azurefile-csi:v1.9.0", ours},
		{fresh(), driver, "ours"},
		{fresh(), driver, "a|b:1"},
		{t.TempDir(), driver, ours},
	} {
		out, err := exec.Command("../csi/copy", args...).CombinedOutput()
		if err == nil || len(out) == 0 {
			t.Errorf("%q: %v %s", args, err, out)
		}
		if len(args) > 0 {
			if entries, err := os.ReadDir(args[0]); err == nil && len(entries) > 0 {
				t.Errorf("%q left %v", args, entries)
			}
		}
	}
}
