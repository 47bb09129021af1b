package mounthelper

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

func TestOptionsGrowNoLongerThanMountCIFSTakes(t *testing.T) {
	options := strings.Repeat("a", 4096-10)
	if err := mounts.ParseOptions(options).Login().Err(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	h := Helper{Host: host.Real(), Stderr: io.Discard}
	h.Host.Config, h.Host.Mounts, h.Host.Programs = filepath.Join(dir, "none"), "/dev/null", []string{dir}
	if err := os.WriteFile(filepath.Join(dir, "mount.cifs"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	inv := invocation{spec: "//acct.file.core.windows.net/share", dir: t.TempDir(), options: options}
	j := job{inv: inv}
	if err := h.read(&j); err != nil {
		t.Fatal(err)
	}
	if err := h.decide(&j); !fault.Is(err, fault.OptionInvalid) {
		t.Error(err)
	}
}

func TestExplain(t *testing.T) {
	here, missing := t.TempDir(), filepath.Join(t.TempDir(), "none")
	all := map[unix.Errno]fault.Named{
		unix.EACCES: fault.ServerRefused,
		unix.ENOKEY: fault.UpcallFailed, unix.EKEYEXPIRED: fault.UpcallFailed, unix.EKEYREVOKED: fault.UpcallFailed,
		unix.EKEYREJECTED: fault.UpcallFailed, unix.EAGAIN: fault.SMBUnreachable,
		unix.ENOENT: fault.ShareNotFound, unix.ENXIO: fault.ShareNotFound,
		unix.ENODEV: fault.CIFSModule, unix.EINVAL: fault.MountOption, unix.EBUSY: fault.TargetBusy,
		unix.EIO: fault.SMBProtocol, unix.EOPNOTSUPP: fault.SMBProtocol,
		unix.ENETUNREACH: fault.SMBUnreachable, unix.ETIMEDOUT: fault.SMBUnreachable, unix.ECONNREFUSED: fault.SMBUnreachable,
		unix.EHOSTDOWN: fault.SMBUnreachable, unix.EHOSTUNREACH: fault.SMBUnreachable, unix.EINPROGRESS: fault.SMBUnreachable,
		unix.EPERM: fault.MountDenied, unix.ELIBACC: fault.Charset, unix.EDQUOT: fault.UpcallFailed, unix.ENOTDIR: fault.ShareNotFound,
		unix.ECONNRESET: fault.SMBUnreachable, unix.ECONNABORTED: fault.SMBUnreachable, unix.ENOTCONN: fault.SMBUnreachable, unix.EPIPE: fault.SMBUnreachable,
		unix.EREMCHG: fault.ShareNotFound, unix.ENAMETOOLONG: fault.ShareNotFound, unix.EREMOTE: fault.ShareNotFound, unix.ELOOP: fault.ShareNotFound,
		unix.ENOSYS: fault.SMBProtocol, unix.EREMOTEIO: fault.SMBProtocol, unix.EBADMSG: fault.SMBProtocol, unix.EFAULT: fault.SMBProtocol,
		unix.EPROTONOSUPPORT: fault.SMBProtocol,
		unix.ENETDOWN:        fault.SMBUnreachable, unix.EAFNOSUPPORT: fault.SMBUnreachable, unix.EADDRNOTAVAIL: fault.SMBUnreachable,
		unix.EADDRINUSE: fault.SMBUnreachable, unix.ENETRESET: fault.SMBUnreachable, unix.ESHUTDOWN: fault.SMBUnreachable,
		unix.ENOMEM: fault.MountFailed, unix.ENOBUFS: fault.MountFailed, unix.ENOSPC: fault.MountFailed, unix.EMFILE: fault.MountFailed, unix.EINTR: fault.MountFailed,
	}
	for errno := range unix.Errno(4096) {
		if _, known := all[errno]; !known && fault.OfMountError(errno) != fault.Named(fault.MountFailed) {
			t.Errorf("%d (%s) is not in this test", errno, errno)
		}
	}
	for errno, want := range all {
		said := "mount error(9999): first\nmount error(" + strconv.Itoa(int(errno)) + "): " + errno.Error() + "\n"
		if got := new(job).explain(ending{status: 32, said: said}, here); !fault.Is(got, want) {
			t.Errorf("%d: %s, want %s", errno, got.ID(), want)
		}
	}
	for said, want := range map[string]fault.Named{
		"mount error: could not resolve address for x: y\n": fault.DNSFailed,
		"Couldn't chdir to /mnt: No such file":              fault.TargetInvalid,
		"Unable to apply new capability set.\n":             fault.Capability,
		"":                                                  fault.MountFailed, "mount error(99999): x": fault.MountFailed,
	} {
		if got := new(job).explain(ending{status: 1, text: "exit status 1", said: said}, here); !fault.Is(got, want) {
			t.Errorf("%q: %s, want %s", said, got.ID(), want)
		}
	}
	if got := new(job).explain(ending{said: "mount error(2)"}, missing); got.ID() != fault.UpcallFailed.ID {
		t.Error(got)
	}
	if got := new(job).explain(ending{said: "mount error(13)"}, missing); got.ID() != fault.ServerRefused.ID {
		t.Error(got)
	}
}

// Before the role is blamed, what the container's own rules may forbid.
func TestConfined(t *testing.T) {
	if got := (&job{confined: true}).explain(ending{status: 32, said: "mount error(13): Permission denied"}, t.TempDir()); got.ID() != fault.MountDenied.ID {
		t.Error(got)
	}
	const all = "         0          0 4294967295\n"
	for _, c := range []struct {
		uids, profile string
		want          bool
	}{
		{all, "unconfined\n", false},
		{all, "", false},
		{"", "", false},
		{all, "docker-default (enforce)\n", true},
		{all, "mount.azfiles (enforce)\n", false},
		{"         0       1000          1\n", "unconfined\n", true},
		{all, "system_u:system_r:container_t:s0:c123,c456\x00", true},
		{all, "system_u:system_r:container_init_t:s0:c1,c2", true},
		{all, "system_u:system_r:svirt_lxc_net_t:s0:c1,c2", true},
		{all, "system_u:system_r:spc_t:s0", false},
		{all, "lxd-c1_</var/lib/lxd>//&:lxd-c1_<var-lib-lxd>:unconfined (enforce)\n", true},
		{all, "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\x00", false},
	} {
		root := t.TempDir()
		for name, text := range map[string]string{"uid_map": c.uids, "attr/current": c.profile} {
			path := filepath.Join(root, "proc/self", name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if got := isConfined(host.Beneath(root)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestSaidIsBoundedAndKeepsTheEnd(t *testing.T) {
	var b bounded
	for range 100 {
		if n, err := b.Write(bytes.Repeat([]byte("x"), 1000)); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = b.Write([]byte("mount error(13)"))
	if len(b.text) != maxSaid || !bytes.HasSuffix(b.text, []byte("xmount error(13)")) {
		t.Errorf("%d bytes", len(b.text))
	}
}

// TestFailureIsLogged: a mount by hand that fails is in the system's log; where standard error is the journal, it is
// there once.
func TestFailureIsLogged(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "log")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, journaled := range []bool{false, true} {
		var stderr bytes.Buffer
		h := Helper{Host: host.Real().Trusting(os.Geteuid()), Stderr: &stderr, Syslog: socket, Journaled: journaled}
		h.Host.Config, h.Host.Mounts, h.Host.Programs = filepath.Join(dir, "none"), "/dev/null", []string{dir}
		h.Host.Run = filepath.Join(dir, "run")
		h.Run([]string{"mount.azfiles", "//acct.file.core.windows.net/share", dir})
		b := make([]byte, 4096)
		_ = l.SetReadDeadline(time.Now().Add(patience))
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		const want = "AZF-MOUNT-CIFS-MISSING"
		if line := string(b[:n]); !strings.HasPrefix(line, "<27>") || !strings.Contains(line, " mount.azfiles[") || !strings.Contains(line, want) || !strings.Contains(line, "azfilesauth doctor") {
			t.Errorf("logged %q", line)
		}
		if said := strings.Contains(stderr.String(), want); said == journaled {
			t.Errorf("journaled %v: %q", journaled, stderr.String())
		}
	}
}
