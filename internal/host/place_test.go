package host

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

func TestPlaced(t *testing.T) {
	const shipped = "ExecStart=/usr/bin/azfilesrefresh\ncreate cifs.spnego * * /usr/sbin/azfiles.upcall %k\nNoExecPaths=/usr/bin/at\n"
	if got := string(Placed([]byte(shipped))); got != shipped {
		t.Errorf("as packages install it: %q", got)
	}
	defer func(b, s string) { binDir, sbinDir = b, s }(binDir, sbinDir)
	binDir, sbinDir = "/usr/local/bin", "/opt/az/sbin"
	const want = "ExecStart=/usr/local/bin/azfilesrefresh\ncreate cifs.spnego * * /opt/az/sbin/azfiles.upcall %k\nNoExecPaths=/usr/bin/at\n"
	if got := string(Placed([]byte(shipped))); got != want {
		t.Errorf("elsewhere: %q", got)
	}
	if Bin("azfilesauth") != "/usr/local/bin/azfilesauth" || Sbin("azfiles.upcall") != "/opt/az/sbin/azfiles.upcall" {
		t.Error("the programs are elsewhere")
	}
}

// TestInPod: on a node, the mount point that a pod with the node's /dev has left makes no pod.
func TestInPod(t *testing.T) {
	needs.Capability(t, "CAP_SYS_ADMIN")
	h := Beneath(t.TempDir())
	at := func(what string, want bool) {
		t.Helper()
		if got := h.InPod(); got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
	at("nothing", false)
	words := h.Root + "/dev/termination-log"
	if err := errors.Join(os.Mkdir(h.Root+"/dev", 0o750), os.WriteFile(words, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	at("left on a node", false)
	if err := unix.Mount("/proc/version", words, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(words, unix.MNT_DETACH) }()
	at("mounted", true)
}
