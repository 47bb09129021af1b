// Package host is the one description of the machine that the program works on, and the one
// implementation of what is safe to do with its files.
//
// A Host is a value: where the machine's files are, who is trusted, what time it is and how its
// programs are run. All paths in it, and all that are given to its methods, are the machine's own;
// Path tells where this process finds them. In production the machine is this one and root is
// trusted. The doctor and setup also look at machines whose files are beneath a directory, and tests
// make machines whose trusted user is the caller.
//
// Invariants: symbolic links never lead out of Root. What is opened is a regular file, so that no
// open waits or acts on a device. A file is replaced whole: under a name that nobody can guess, with
// its final owner and mode before it has a byte, written to the disk, renamed, and the directory
// written to the disk. A directory that is opened by its rules (see OpenDir) cannot be exchanged
// under the operation, nor can its name be given another meaning by anybody but root.
package host

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The places of a machine.
const (
	RunDir    = "/run/azfilesauth"             // what must not survive a reboot
	ConfigDir = "/etc/azfilesauth"             // the administrator's
	Config    = "/etc/azfilesauth/config.yaml" // the configuration
	Passwd    = "/etc/passwd"                  // passwd(5)
	groupFile = "/etc/group"                   // group(5)
	fstab     = "/etc/fstab"                   // fstab(5)
	mountinfo = "/proc/self/mountinfo"         // proc_pid_mountinfo(5)
	initMount = "/proc/1/mountinfo"            // of another machine's first process
	kernelDir = "/proc/sys/kernel"             // proc_sys_kernel(5)
)

// Host is a machine. It is copied freely and changed only before it is used.
type Host struct {
	Root     string   // the directory beneath which its files are; "/" is this machine
	Run      string   // RunDir; made when it is missing, root 0711: users pass through it to their caches
	Config   string   // the path of the configuration
	Mounts   string   // the path of the mount table
	Fstab    string   // the path of fstab(5)
	Passwd   string   // the path of the users
	Group    string   // the path of the groups
	Kernel   string   // the directory in which the kernel describes itself
	Programs []string // the directories of the system's programs; PATH is not root's word

	// UID is the trusted user: the owner of files that are believed, and of those that are made. Root
	// is trusted as well, whom nobody can keep out.
	UID int

	// Ignored is what was taken out of this process's environment, which does not count.
	Ignored map[string]string

	Now  func() time.Time // the clock
	Exec Runner           // runs programs
}

// Real is this machine, as root sees it.
func Real() Host { return Beneath("/") }

// Beneath is the machine whose files are beneath root, such as an image that is being built.
func Beneath(root string) Host {
	h := Host{
		Root: filepath.Clean(root), Run: RunDir, Config: Config, Mounts: mountinfo, Fstab: fstab, Passwd: Passwd, Group: groupFile, Kernel: kernelDir,
		Programs: []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"},
		Now:      time.Now, Exec: run,
	}
	if !h.Live() {
		h.Mounts = initMount
	}
	return h
}

// Trusting is h with another trusted user; tests trust their caller, os.Geteuid().
func (h Host) Trusting(uid int) Host {
	h.UID = uid
	return h
}

// Live reports whether this is the machine that runs this process, whose kernel and network may be asked.
func (h Host) Live() bool { return h.Root == "/" }

// Trusts reports whether files of a user are believed.
func (h Host) Trusts(uid uint32) bool { return uid == 0 || int(uid) == h.UID }

// Own is a file of the trusted user.
func (h Host) Own(mode uint32) File {
	f := File{UID: h.UID, Mode: mode}
	if f.UID != 0 {
		f.GID = os.Getegid() // nobody else's can be given
	}
	return f
}

// KernelRelease is that of the machine's kernel, such as "6.1.0-56-amd64", or "" where it cannot be read.
func (h Host) KernelRelease() string { return h.kernelSays("osrelease") }

// KernelVersion is what uname(2) calls the version, which names the build, or "" where it cannot be read.
func (h Host) KernelVersion() string { return h.kernelSays("version") }

func (h Host) kernelSays(name string) string {
	text, err := os.ReadFile(filepath.Join(h.Path(h.Kernel), name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
