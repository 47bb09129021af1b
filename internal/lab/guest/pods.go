package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
)

// podsTest is the test of packaging/kubernetes/test, beside the manifests that it reads.
const podsTest = "/lab/kubernetes/test/pods.test"

// runPods makes the guest a node as systemd would, with mounts that are shared and the one tree of control groups, and runs
// the test of the pods in it: all of its lives or the named ones, kustomize and chart.
func runPods(lives []string) error {
	if err := errors.Join(
		syncRun("mount", "--make-rshared", "/"), syncRun("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"), syncRun("modprobe", "overlay"),
	); err != nil {
		return err
	}
	test := exec.Command(podsTest, "-test.v", "-test.run", "^TestGuest$/^("+strings.Join(lives, "|")+")", "-test.timeout", "60m")
	test.Dir = "/lab/kubernetes/test"
	test.Env = append(os.Environ(), "IMAGES=/lab/images", "AZUREFAKE=/lab/azurefake", "GUEST=yes")
	test.Stdout, test.Stderr = os.Stdout, os.Stdout
	return test.Run()
}
