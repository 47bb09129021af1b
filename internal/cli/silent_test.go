package cli

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// logsOf makes the two sockets of the system's logs, which are in dir, those of a mount namespace, and runs a program in it.
const logsOf = `set -e
mount --make-rprivate /
mkdir "$1/dev"
mount -t tmpfs tmpfs "$1/dev"
for f in null zero urandom random kmsg; do
	[ ! -e /dev/$f ] || { touch "$1/dev/$f"; mount --bind /dev/$f "$1/dev/$f"; }
done
touch "$1/dev/log"
mount --bind "$1/log" "$1/dev/log"
mount --rbind "$1/dev" /dev
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
touch /run/systemd/journal/socket
mount --bind "$1/journal" /run/systemd/journal/socket
shift
exec "$@"
`

// logged runs a program of this machine without a network and gives what reached the system's logs.
func logged(t *testing.T, program string, args ...string) (lines []string) {
	t.Helper()
	dir := t.TempDir()
	var logs []*net.UnixConn
	for _, name := range []string{"log", "journal"} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		logs = append(logs, l)
	}
	c := exec.Command("sh", append([]string{"-c", logsOf, "sh", dir, program}, args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	out, err := c.CombinedOutput()
	if c.ProcessState == nil || !c.ProcessState.Exited() {
		t.Fatalf("%s: %v", program, err)
	}
	t.Logf("%s %v: %v\n%s", program, args, err, out)
	text := make([]byte, 64<<10)
	for _, l := range logs {
		for { // what the program sent is there: a datagram of this machine arrives as it is sent
			_ = l.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			n, err := l.Read(text)
			if err != nil {
				break
			}
			lines = append(lines, string(text[:n]))
		}
	}
	return lines
}

// TestDoctorLeavesNothingInTheLogs: neither the doctor nor a program that it runs writes to the journal or to syslog.
func TestDoctorLeavesNothingInTheLogs(t *testing.T) {
	needs.Root(t)
	needs.Capability(t, "CAP_SYS_ADMIN")
	upcall := needs.Program(t, "cifs.upcall", "cifs-utils")
	needs.Program(t, "request-key", "keyutils")
	if lines := logged(t, upcall, "-v"); len(lines) != 1 || !strings.Contains(lines[0], "Exit status") {
		t.Fatalf("the log does not show what is sent to it: %q", lines)
	}
	self := filepath.Join(t.TempDir(), "true-main")
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(own, self); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"doctor"}, {"doctor", "--json", host1}, {"status"}} {
		if lines := logged(t, self, args...); len(lines) > 0 {
			t.Error(fmt.Sprint(args), "logged:", strings.Join(lines, "\n"))
		}
	}
}
