package requestkey_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

const nodeVariable = "AZFILES_TEST_NODE"

// TestNodeOfAPodWithoutTheMachinesProcesses is in a container that has our rule and our program, as the CSI driver's image has
// them, in a PID namespace of its own: that says nothing of the node, where a stock handler may answer.
func TestNodeOfAPodWithoutTheMachinesProcesses(t *testing.T) {
	const account = "acct.file.core.windows.net"
	if root := os.Getenv(nodeVariable); root != "" {
		for _, err := range []error{unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("proc", filepath.Join(root, "proc"), "proc", 0, ""), unix.Chroot(root), os.Chdir("/")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		node, programs := requestkey.Node()
		fmt.Printf("the container's: %v, the node's: %v\n", requestkey.System().AnswersOurs(account, "/"), node.AnswersOurs(account, programs))
		return
	}
	needs.Capability(t, "CAP_SYS_ADMIN")
	rule, err := os.ReadFile(filepath.Join("..", "..", "etc", "request-key.d", "azfiles.conf"))
	if err != nil {
		t.Fatal(err)
	}
	root, _ := ruleDirectory(t, map[string]string{
		requestkey.Directory + "/azfiles.conf": string(rule), host.Sbin("azfiles.upcall"): "", "proc/none": "",
	})
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), nodeVariable+"="+root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the container's: true, the node's: false\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
