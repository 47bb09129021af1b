package control

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// TestStartInAPod: no systemctl is proposed in a container that the kubelet made.
func TestStartInAPod(t *testing.T) {
	h := host.Beneath(t.TempDir())
	if got := HowToStart(h); got != StartUnit {
		t.Errorf("on a machine: %s", got)
	}
	needs.Capability(t, "CAP_SYS_ADMIN")
	words := h.Root + "/dev/termination-log"
	if err := errors.Join(os.Mkdir(h.Root+"/dev", 0o750), os.WriteFile(words, nil, 0o600), unix.Mount("/proc/version", words, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(words, unix.MNT_DETACH) }()
	for _, got := range []string{HowToStart(h), HowToRestart(h)} {
		if strings.Contains(got, "systemctl") || !strings.Contains(got, "kubectl exec -c azfilesrefresh") {
			t.Errorf("in a pod: %s", got)
		}
	}
}
