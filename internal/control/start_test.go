package control

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// TestStartInAPod: no systemctl is proposed in a container that the kubelet made.
func TestStartInAPod(t *testing.T) {
	h := host.Beneath(t.TempDir())
	if got := HowToStart(h); got != StartUnit {
		t.Errorf("on a machine: %s", got)
	}
	if err := errors.Join(os.Mkdir(h.Root+"/dev", 0o750), os.WriteFile(h.Root+"/dev/termination-log", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{HowToStart(h), HowToRestart(h)} {
		if strings.Contains(got, "systemctl") || !strings.Contains(got, "kubectl exec -c azfilesrefresh") {
			t.Errorf("in a pod: %s", got)
		}
	}
}
