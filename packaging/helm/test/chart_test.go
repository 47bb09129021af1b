package test

import (
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write what is generated from the chart")

const chartDir = "../azfilesauth"

// everything asks for all that the chart can make.
const everything = `
config: {default_identity: app, identities: {app: {kind: service-principal, tenant_id: t, client_id: c, secret_file: /secrets/sp.contoso/secret}}}
secrets: [{name: sp.contoso}]
certificates: {configMap: authorities, key: bundle.pem}
workloadIdentity: {serviceAccountName: wi}
imagePullSecrets: [{name: registry}]
image: {repository: registry.example:5000/azfilesauth, tag: 2.0.1}
nodeSelector: {pool: files, kubernetes.io/os: linux}
affinity: {podAffinity: {}}
podAnnotations: {owner: storage}
metrics:
  enabled: true
  listen: 0.0.0.0:9801
  podMonitor: {enabled: true, labels: {release: prometheus}}
  prometheusRule: {enabled: true}
  dashboard: {enabled: true}
`

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // helm tells of each link
	flag.Parse()
	os.Exit(m.Run())
}

func load(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// render is helm template.
func render(t *testing.T, values string) (map[string]string, error) {
	t.Helper()
	c := load(t)
	v, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(c, v, chartutil.ReleaseOptions{Name: "azfilesauth", Namespace: "kube-system", IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

// documents are the parts of the rendered templates, by kind and name.
func documents(t *testing.T, values string) map[string]string {
	t.Helper()
	files, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for name, text := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			found["NOTES"] = text
			continue
		}
		for _, part := range regexp.MustCompile(`(?m)^---$`).Split(text, -1) {
			var head struct {
				Kind     string
				Metadata struct{ Name string }
			}
			if err := yaml.Unmarshal([]byte(part), &head); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, part)
			}
			if head.Kind != "" {
				found[head.Kind+" "+head.Metadata.Name] = strings.TrimSpace(part) + "\n"
			}
		}
	}
	return found
}

// kinds are the types that what is rendered is read into strictly: a key that the API does not know is an error. Those
// of the Prometheus operator are what the chart uses of them.
var kinds = map[string]func() any{
	"DaemonSet":      func() any { return new(appsv1.DaemonSet) },
	"ConfigMap":      func() any { return new(corev1.ConfigMap) },
	"Job":            func() any { return new(batchv1.Job) },
	"ServiceAccount": func() any { return new(corev1.ServiceAccount) },
	"Role":           func() any { return new(rbacv1.Role) },
	"RoleBinding":    func() any { return new(rbacv1.RoleBinding) },
	"PodMonitor":     func() any { return new(podMonitor) },
	"PrometheusRule": func() any { return new(prometheusRule) },
}

type meta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
}

type podMonitor struct {
	meta `json:",inline"`
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		PodMetricsEndpoints []struct {
			Port        string `json:"port"`
			Interval    string `json:"interval"`
			Relabelings []struct {
				SourceLabels []string `json:"sourceLabels"`
				TargetLabel  string   `json:"targetLabel"`
			} `json:"relabelings"`
		} `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

type prometheusRule struct {
	meta `json:",inline"`
	Spec struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Alert       string            `json:"alert"`
				Expr        string            `json:"expr"`
				For         string            `json:"for"`
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

func TestLint(t *testing.T) {
	for _, values := range []string{"{}", everything} {
		v, err := chartutil.ReadValues([]byte(values))
		if err != nil {
			t.Fatal(err)
		}
		result := lint.AllWithKubeVersion(chartDir, v, "kube-system", nil)
		for _, m := range result.Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %v", m.Path, m.Err)
			}
		}
	}
}

func TestTemplate(t *testing.T) {
	for name, test := range map[string]struct {
		values string
		want   []string
	}{
		"defaults": {"{}", []string{
			"ConfigMap azfilesauth", "DaemonSet azfilesauth", "DaemonSet azfilesauth-remove", "Job azfilesauth-remove", "NOTES",
			"Role azfilesauth-remove", "RoleBinding azfilesauth-remove", "ServiceAccount azfilesauth-remove",
		}},
		"nothing":         {"{config: null, nodeSelector: null, affinity: null, tolerations: null, remove: {enabled: false}}", []string{"ConfigMap azfilesauth", "DaemonSet azfilesauth", "NOTES"}},
		"without removal": {"remove: {enabled: false}", []string{"ConfigMap azfilesauth", "DaemonSet azfilesauth", "NOTES"}},
		"everything": {everything, []string{
			"ConfigMap azfilesauth", "ConfigMap azfilesauth-dashboard", "DaemonSet azfilesauth", "DaemonSet azfilesauth-remove", "Job azfilesauth-remove", "NOTES",
			"PodMonitor azfilesauth", "PrometheusRule azfilesauth", "Role azfilesauth-remove", "RoleBinding azfilesauth-remove", "ServiceAccount azfilesauth-remove",
		}},
	} {
		found := documents(t, test.values)
		if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q", name, got)
		}
		for key, text := range found {
			kind, _, _ := strings.Cut(key, " ")
			if kind == "NOTES" {
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(text), kinds[kind]()); err != nil {
				t.Errorf("%s: %s: %v\n%s", name, key, err, text)
			}
		}
	}
}

// TestValuesArrive looks at what the values change.
func TestValuesArrive(t *testing.T) {
	found := documents(t, everything)
	var set appsv1.DaemonSet
	var layers, dashboard corev1.ConfigMap
	var monitor podMonitor
	for key, into := range map[string]any{"DaemonSet azfilesauth": &set, "ConfigMap azfilesauth": &layers, "ConfigMap azfilesauth-dashboard": &dashboard, "PodMonitor azfilesauth": &monitor} {
		if err := yaml.UnmarshalStrict([]byte(found[key]), into); err != nil {
			t.Fatal(err)
		}
	}
	pod := set.Spec.Template.Spec
	watch := pod.Containers[0]
	for what, ok := range map[string]bool{
		"the image":           watch.Image == "registry.example:5000/azfilesauth:2.0.1" && pod.InitContainers[0].Image == watch.Image,
		"the port":            len(watch.Ports) == 1 && watch.Ports[0].ContainerPort == 9801 && monitor.Spec.PodMetricsEndpoints[0].Port == watch.Ports[0].Name,
		"the layer":           strings.Contains(layers.Data["60-cluster.yaml"], "secret_file: /secrets/sp.contoso/secret") && !strings.Contains(layers.Data["60-cluster.yaml"], "metrics"),
		"the metrics' layer":  layers.Data["50-metrics.yaml"] == "metrics: {listen: \"0.0.0.0:9801\"}\n",
		"the monitor's label": monitor.Metadata.Labels["release"] == "prometheus",
		"the dashboard":       strings.HasPrefix(dashboard.Data["azfilesauth.json"], "{") && dashboard.Labels["grafana_dashboard"] == "1",
		"the selector":        pod.NodeSelector["pool"] == "files" && pod.Affinity.PodAffinity != nil && set.Spec.Template.Annotations["owner"] == "storage",
		"the secret": slices.ContainsFunc(watch.VolumeMounts, func(m corev1.VolumeMount) bool {
			return m.MountPath == "/secrets/sp.contoso" && slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool {
				return v.Name == m.Name && v.Secret != nil && v.Secret.SecretName == "sp.contoso"
			})
		}),
		"the certificates": slices.ContainsFunc(watch.VolumeMounts, func(m corev1.VolumeMount) bool {
			return m.Name == "certificates" && m.MountPath == "/etc/ssl/certs/ca-certificates.crt" && m.SubPath == "bundle.pem" && m.ReadOnly
		}) && slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool {
			return v.Name == "certificates" && v.ConfigMap != nil && v.ConfigMap.Name == "authorities"
		}),
		"the account": pod.ServiceAccountName == "wi" && pod.ImagePullSecrets[0].Name == "registry",
	} {
		if !ok {
			t.Errorf("%s did not arrive\n%s", what, found["DaemonSet azfilesauth"])
		}
	}
	for _, v := range pod.Volumes {
		if wrong := validation.IsDNS1123Label(v.Name); len(wrong) > 0 {
			t.Errorf("volume %s: %v", v.Name, wrong)
		}
	}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		for _, m := range c.VolumeMounts {
			if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
				t.Errorf("%s: no volume %s", c.Name, m.Name)
			}
		}
	}
	var other appsv1.DaemonSet
	if err := yaml.Unmarshal([]byte(documents(t, "{}")["DaemonSet azfilesauth"]), &other); err != nil {
		t.Fatal(err)
	}
	if set.Spec.Template.Annotations["azfilesauth/config"] == other.Spec.Template.Annotations["azfilesauth/config"] {
		t.Error("pods are not restarted when the configuration changes")
	}
}

// TestPodsRunWhereMountsAre: on nodes with a Linux of their own, also the one that waits for the removal.
func TestPodsRunWhereMountsAre(t *testing.T) {
	for _, values := range []string{"{}", everything} {
		found := documents(t, values)
		var set, remove appsv1.DaemonSet
		var job batchv1.Job
		for key, into := range map[string]any{"DaemonSet azfilesauth": &set, "DaemonSet azfilesauth-remove": &remove, "Job azfilesauth-remove": &job} {
			if err := yaml.UnmarshalStrict([]byte(found[key]), into); err != nil {
				t.Fatal(err)
			}
		}
		want := set.Spec.Template.Spec
		terms := want.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		if e := terms[0].MatchExpressions[0]; want.NodeSelector["kubernetes.io/os"] != "linux" || e.Key != "type" || e.Operator != corev1.NodeSelectorOpNotIn || e.Values[0] != "virtual-kubelet" {
			t.Errorf("nodes %v, %v", want.NodeSelector, terms)
		}
		for what, pod := range map[string]corev1.PodSpec{"the removal": remove.Spec.Template.Spec, "what waits for it": job.Spec.Template.Spec} {
			if !maps.Equal(pod.NodeSelector, want.NodeSelector) || !reflect.DeepEqual(pod.Affinity, want.Affinity) ||
				!reflect.DeepEqual(pod.Tolerations, want.Tolerations) || !slices.Equal(pod.ImagePullSecrets, want.ImagePullSecrets) {
				t.Errorf("%s runs elsewhere: %+v", what, pod)
			}
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	for _, values := range []string{
		"imgae: {}", "image: {tag: latest}", "metrics: {listen: ':9799'}", "metrics: {listen: 'localhost:9799'}", "metrics: {enabled: 'yes'}",
		"config: {metrics: {listen: '127.0.0.1:9799'}}", "secrets: [sp]", "cacheDirectories: []", "cacheDirectories: [/tmp]", "certificates: authorities", "certificates: {configMap: a, key: ''}", "updateStrategy: {type: Recreate}",
		"config: {KRB5_CC_NAME: /var/lib/other/krb5cc_0}", "config: {KRB5_CC_NAME: 'FILE:/run/azfilesauthother/krb5cc_0'}",
	} {
		if _, err := render(t, values); err == nil {
			t.Errorf("%s is accepted", values)
		}
	}
	for _, values := range []string{
		"config: {KRB5_CC_NAME: 'FILE:/var/lib/other/krb5cc_%{uid}'}\ncacheDirectories: [/run/azfilesauth, /var/lib/other/]", "config: {KRB5_CC_NAME: /var/lib/kubelet/kerberos/krb5cc_0}",
	} {
		if _, err := render(t, values); err != nil {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// table is the README's table of values: the comment "# -- " before a key says what it is for.
func table(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(chartDir + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.ReadValues(text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| value | default | what for |\n| --- | --- | --- |\n")
	var path []string
	said := ""
	for line := range strings.Lines(string(text)) {
		trimmed := strings.TrimSpace(line)
		if after, ok := strings.CutPrefix(trimmed, "# -- "); ok {
			said = after
			continue
		}
		key, value, ok := strings.Cut(trimmed, ":")
		if !ok || strings.HasPrefix(trimmed, "#") {
			continue
		}
		depth := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		path = append(path[:min(depth, len(path))], key)
		if said == "" {
			continue
		}
		name := strings.Join(path, ".")
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, shown(t, values, path, value == ""), said)
		said = ""
	}
	return b.String()
}

func shown(t *testing.T, values map[string]any, path []string, isSection bool) string {
	t.Helper()
	var v any = values
	for _, key := range path {
		v = v.(map[string]any)[key]
	}
	if m, ok := v.(map[string]any); ok && isSection && m["requests"] == nil && m["type"] == nil {
		return ""
	}
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return "`" + strings.TrimSpace(strings.Join(strings.Fields(string(out)), " ")) + "`"
}

func TestReadmeHasEveryValue(t *testing.T) {
	const begin, end = "<!-- values begin -->\n", "<!-- values end -->\n"
	path := chartDir + "/README.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), begin)
	_, tail, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatal("README.md has no place for the table")
	}
	want := head + begin + table(t) + end + tail
	if *update {
		err = os.WriteFile(path, []byte(want), 0o644)
	} else if want != string(text) {
		err = fmt.Errorf("%s is not what values.yaml says; go test -update writes it", path)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestKustomizeIsTheChart: the manifests for kustomize are what the chart renders without values, and those that the tests of
// the pods run are what it renders with theirs.
func TestKustomizeIsTheChart(t *testing.T) {
	found := documents(t, "{}")
	values, err := os.ReadFile("../../kubernetes/test/testdata/chart/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pods := documents(t, string(values))
	for path, text := range map[string]string{
		"node/daemonset.yaml": found["DaemonSet azfilesauth"], "node/configmap.yaml": found["ConfigMap azfilesauth"], "remove/daemonset.yaml": found["DaemonSet azfilesauth-remove"],
		"test/testdata/chart/chart.yaml": pods["ConfigMap azfilesauth"] + "---\n" + pods["DaemonSet azfilesauth"] + "---\n" + pods["DaemonSet azfilesauth-remove"],
	} {
		text = plain(text)
		path = "../../kubernetes/" + path
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s is not what the chart renders; go test -update writes it: %v", path, err)
		}
	}
}

// plain is what was rendered without what only helm reads.
func plain(text string) string {
	text = regexp.MustCompile(`(?m)^ *(app\.kubernetes\.io/managed-by|helm\.sh/[a-z-]+): .*\n`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "  annotations:\nspec:", "spec:")
	return "# Generated from packaging/helm/azfilesauth: go test -update, in packaging/helm/test.\n" + text
}
