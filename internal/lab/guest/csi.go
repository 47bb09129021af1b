package main

import (
	"fmt"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// kubeletFolder is what the containers of the driver's pod share with the node, mounts included.
const kubeletFolder = "/var/lib/kubelet"

// kubelet makes the directory of the kubelet, whose mounts every container sees. It ends with the story.
func kubelet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: kubelet")
	}
	ts.Check(os.MkdirAll(kubeletFolder, 0o755))
	ts.Check(syncRun("mount", "--bind", kubeletFolder, kubeletFolder))
	ts.Defer(func() {
		_ = unmountAll() // which says again what it says when the machine is made clean
		_ = syncRun("umount", kubeletFolder)
		_ = os.RemoveAll(kubeletFolder)
	})
	ts.Check(syncRun("mount", "--make-shared", kubeletFolder))
}

// point NAME begins a part of the story that has a verdict of its own, and ends the part before.
func (m *machine) point(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: point NAME")
	}
	m.endPoint("PASS")
	m.part, m.partStart = args[0], time.Now()
}

// endPoint prints the verdict of the part under way, if there is one; see lab.Results.
func (m *machine) endPoint(word string) {
	if m.part != "" {
		fmt.Println(word, m.part, time.Since(m.partStart).Round(10*time.Millisecond))
	}
	m.part = ""
}
