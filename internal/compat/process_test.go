package compat

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// process is azfilesauthmanager as a process of its own on the machine.
func (m *machine) process(args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "WORK=" + m.dir, "GORACE=atexit_sleep_ms=0",
		"TEST_STORAGE=" + m.fake.StorageAddr(), "TEST_IMDS=" + m.fake.IMDSAddr(),
	}
	return cmd
}

// TestTokenIsWiped looks at the arguments of a process as ps does, while it waits for Azure, and
// after a wrong command line, which could be a right one misspelt.
func TestTokenIsWiped(t *testing.T) {
	m := newMachine(t)
	m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Hang: true})
	cmd := m.process("set", uri, m.token, "-v")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	must(t, cmd.Start())
	must(t, m.fake.WaitRequests(t.Context(), azurefake.TargetStorage, 1))
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
	must(t, err)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	words := strings.Split(string(line), "\x00")
	if len(words) != 6 || words[2] != uri || words[3] != strings.Repeat("x", len(m.token)) || words[4] != "-v" {
		t.Errorf("its arguments are %q", words)
	}
	if strings.Contains(stderr.String(), m.token) {
		t.Errorf("the token is in %s", stderr.String())
	}
}

// TestWhatIsWiped shows which words may be tokens, in right and in wrong command lines.
func TestWhatIsWiped(t *testing.T) {
	for line, want := range map[string]string{
		"set " + uri + " TOKEN":                                     "TOKEN",
		"TOKEN set":                                                 "TOKEN set",
		"set TOKEN " + uri:                                          "TOKEN " + uri,
		"-v set --force " + uri + " TOKEN -v":                       "TOKEN",
		"set " + uri + " --no-such TOKEN":                           "--no-such TOKEN",
		"set " + uri + " --token=TOKEN":                             "--token=TOKEN",
		"set " + uri + " --system=TOKEN":                            "--system=TOKEN",
		"set " + uri + " TOKEN TOKEN2 --imds-client-id":             "TOKEN TOKEN2",
		"set " + uri + " --imds-client-id ID --token-file /f":       "",
		"set " + uri + " --tenant-id T --client-id C TOKEN --force": "TOKEN",
		"TOKEN":                              "TOKEN",
		"list TOKEN":                         "TOKEN",
		"clear " + uri:                       "",
		"set " + uri + " -TOKEN --unknown=1": "-TOKEN --unknown=1",
	} {
		inv, _ := parseArgs(strings.Fields(line))
		if got := map[string]bool{}; true {
			for _, w := range inv.hidden {
				got[w] = true
			}
			for w := range strings.FieldsSeq(want) {
				if !got[w] {
					t.Errorf("%s: %s is not wiped", line, w)
				}
				delete(got, w)
			}
			if len(got) > 0 {
				t.Errorf("%s: %v are wiped", line, got)
			}
		}
	}
}

// TestFirstUseRaceOfProcesses is defect 26 with processes, as in the driver's containers.
func TestFirstUseRaceOfProcesses(t *testing.T) {
	m := newMachine(t)
	for round := range 5 {
		m.write("config.yaml", fmt.Sprintf("KRB5_CC_NAME: %s.%d\n", m.ccache, round))
		var all sync.WaitGroup
		for _, h := range hosts {
			cmd := m.process("set", "https://"+h, m.token)
			all.Go(func() {
				if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
					t.Errorf("round %d, %s: %v %s", round, h, err, out)
				}
			})
		}
		all.Wait()
		if n := len(m.rows()); n != len(hosts) {
			t.Fatalf("round %d: %d tickets of %d", round, n, len(hosts))
		}
	}
}
