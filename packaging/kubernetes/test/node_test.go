//go:build runtime

package test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// othersDirs are the node's directories that are not compared: what runs there, and what is the driver's or a test's.
var othersDirs = []string{"/dev", "/lab", "/mnt", "/proc", "/run", "/srv", "/sys", "/tmp", "/var/cache", "/var/lib/kubelet", "/var/lib/samba", "/var/log"}

// files are the files of the node, with their modes and contents.
func (c *cluster) files() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	must(c.t, filepath.WalkDir(c.node+"/", func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, c.node)
		if err == nil && d.IsDir() && slices.Contains(othersDirs, name) {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		link, _ := os.Readlink(path)
		all[name] = fmt.Sprintf("%v %s %d %v", info.Mode(), link, info.Size(), info.ModTime())
		if info.Mode().IsRegular() && info.Size() < 1<<16 {
			text, _ := os.ReadFile(path)
			all[name] = fmt.Sprintf("%v %q", info.Mode(), text)
		}
		return nil
	}))
	return all
}

// node are the pods of the node's manifests, with what the stories need of them.
type node struct {
	*pod
	install, watch corev1.Container
	id             string // of the daemon's container
}

func (c *cluster) newNode(w workload) *node {
	c.t.Helper()
	return &node{pod: c.sandbox("node", w), install: container(c.t, w.spec.InitContainers, "install"), watch: container(c.t, w.spec.Containers, "watch")}
}

// installs runs the init container, which gives the node our programs.
func (n *node) installs(t *testing.T) {
	t.Helper()
	if status, said := n.run(n.install); status != 0 || !strings.Contains(said, "azfiles.conf: make the file") {
		t.Fatalf("%d\n%s", status, said)
	}
	if out, err := exec.Command(n.node+"/usr/bin/azfilesauth", "--version").CombinedOutput(); err != nil {
		t.Errorf("what the node got does not run: %v\n%s", err, out)
	}
}

// begin starts the daemon: its probes succeed, and its rights are those of the manifest.
func (n *node) begin(t *testing.T, watch corev1.Container) {
	t.Helper()
	n.id, _ = n.create(watch)
	n.until("the startup probe succeeds", func() bool { return n.probe(n.id, watch.StartupProbe) == 0 })
	if live, ready := n.probe(n.id, watch.LivenessProbe), n.probe(n.id, watch.ReadinessProbe); live != 0 || ready != 0 {
		t.Errorf("liveness %d, readiness %d", live, ready)
	}
	if status, err := os.ReadFile("/proc/" + n.pid(n.id) + "/status"); err != nil || !bytes.Contains(status, []byte("NoNewPrivs:\t1")) ||
		!bytes.Contains(status, []byte("Seccomp:\t2")) || !bytes.Contains(status, []byte("CapEff:\t000000000000000b")) {
		t.Errorf("%v\n%s", err, status)
	}
}

// keeps reports whether a container's daemon has an account's volume.
func (c *cluster) keeps(id, account string) bool {
	_, out := c.exec(id, "azfilesauth", "status", "--json")
	return strings.Contains(out, account) && strings.Contains(out, "globalmount")
}

// removes runs what takes back what the node was given: its files are those of before, but for those of others.
func (c *cluster) removes(t *testing.T, w workload, before map[string]string, others ...string) {
	t.Helper()
	p := c.sandbox("remove", w)
	if status, said := p.run(container(t, w.spec.InitContainers, "remove")); status != 0 {
		t.Fatalf("%d\n%s", status, said)
	}
	c.compare(t, before, others...)
}

// compare compares the files of the node with those of before, but for those of others.
func (c *cluster) compare(t *testing.T, before map[string]string, others ...string) {
	t.Helper()
	after := c.files()
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] != after[name] && !slices.Contains(others, name) {
			t.Errorf("after removal %s is %q, and was %q", name, after[name], before[name])
		}
	}
	for name := range before {
		if after[name] == "" {
			t.Errorf("after removal there is no %s", name)
		}
	}
}
