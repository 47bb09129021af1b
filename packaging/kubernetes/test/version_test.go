package test

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the version into the chart and the kustomizations")

// TestVersion: the chart and the kustomizations are of the release that packaging/version knows. A new one is written by
// go test -update here, and then in packaging/helm/test, which renders the manifests.
func TestVersion(t *testing.T) {
	out, err := exec.Command("../../version").Output()
	if err != nil {
		t.Fatal(err)
	}
	release, _, _ := strings.Cut(strings.TrimSpace(string(out)), "~") // the chart between two releases is that of the coming one
	for path, line := range map[string]string{
		"../../helm/azfilesauth/Chart.yaml": `(?m)^((?:appV|v)ersion: )(.*)$`,
		"../node/kustomization.yaml":        `(?m)^(    newTag: )(.*)$`,
		"../remove/kustomization.yaml":      `(?m)^(    newTag: )(.*)$`,
	} {
		text, form := string(file(t, path)), regexp.MustCompile(line)
		if !form.MatchString(text) {
			t.Errorf("%s names no version", path)
		}
		want := form.ReplaceAllString(text, "${1}"+release)
		if *update && want != text {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if want != text {
			t.Errorf("%s is not of %s; go test -update writes it", path, release)
		}
	}
}

// TestBases: what an image is built on is a stage before it, named by whoever builds it, or pinned by its digest.
func TestBases(t *testing.T) {
	stages := map[string]bool{"scratch": true, "${DRIVER}": true}
	for _, path := range []string{"../Dockerfile", "../Dockerfile.csi"} {
		for _, m := range regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)(?: AS (\S+))?$`).FindAllStringSubmatch(string(file(t, path)), -1) {
			if !stages[m[1]] && !regexp.MustCompile(`^[a-z/.]+:[0-9a-z.-]+@sha256:[0-9a-f]{64}$`).MatchString(m[1]) {
				t.Errorf("%s: %s is not pinned", path, m[1])
			}
			stages[m[2]] = true
		}
	}
}
