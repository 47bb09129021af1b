package main

import (
	"os"
	"testing"
)

// TestWorkloads does each row of bench-mount in a plain directory, twice, as each mount finds it after the one before.
func TestWorkloads(t *testing.T) {
	server, client, wait := serverFolder, clientFolder, later
	t.Cleanup(func() { serverFolder, clientFolder, later = server, client, wait })
	later = func() error { return nil }
	serverFolder = t.TempDir()
	clientFolder = serverFolder
	if err := prepareWorkloads(); err != nil {
		t.Fatal(err)
	}
	for _, w := range workloads {
		for range 2 {
			if w.before != nil {
				if err := w.before(); err != nil {
					t.Fatalf("%s: before: %v", w.name, err)
				}
			}
			if err := w.do(); err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
		}
	}
	if text := "1) \\\\acct\\share\nSMBs: 7\nOpen files: 0 total (local), 0 open on server\nTreeConnects: 1 total 0 failed\nCreates: 4 total 1 failed\n"; len(sent.FindAllString(text, -1)) != 2 {
		t.Errorf("%q", sent.FindAllString(text, -1))
	}
	if _, err := os.Stat(serverFolder + "/small-0"); !os.IsNotExist(err) {
		t.Errorf("the small files are still there: %v", err)
	}
}
