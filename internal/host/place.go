package host

import (
	"bytes"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The directories of the programs: BINDIR and SBINDIR of the Makefile, which sets them when it links.
var (
	binDir  = packagedBin
	sbinDir = packagedSbin
)

// Those of packages, which units and rules name as they are shipped.
const (
	packagedBin  = "/usr/bin"
	packagedSbin = "/usr/sbin"
)

// Bin is the path of an installed program for users, such as "azfilesauth".
func Bin(name string) string { return filepath.Join(binDir, name) }

// Sbin is the path of an installed program for the system, such as "azfiles.upcall".
func Sbin(name string) string { return filepath.Join(sbinDir, name) }

// Placed is the content of a shipped unit or rule with the paths of the installed programs.
func Placed(content []byte) []byte {
	content = bytes.ReplaceAll(content, []byte(packagedBin+"/azfiles"), []byte(Bin("azfiles")))
	return bytes.ReplaceAll(content, []byte(packagedSbin+"/azfiles"), []byte(Sbin("azfiles")))
}

// NodeRecord is where it is kept what a pod has given this machine, root's with mode 0600. Where it is, the daemon runs
// in that pod.
const NodeRecord = "/var/lib/azfilesauth/node.json"

// Elsewhere are the directories that programs go to where those of packages are read-only; the first one that can be
// written to.
var Elsewhere = []string{"/opt/azfilesauth/bin", "/var/lib/azfilesauth/bin"}

// InPod reports whether the kubelet made the container that is h: it mounts a file there for the last words of each. In a pod
// that has the node's /dev, such as the Azure Files CSI driver's, the runtime makes that mount point on the node: it stays there, and
// is an empty file of the same file system. There is no systemctl in a pod, and the machine is another one.
func (h Host) InPod() bool {
	var words, dir unix.Stat_t
	return unix.Stat(h.Path("/dev/termination-log"), &words) == nil && unix.Stat(h.Path("/dev"), &dir) == nil && words.Dev != dir.Dev
}
