package control

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// Readers is the group whose members may ask for the status, as they may read the system's logs.
const Readers = "adm"

// access is what the peer of a connection may ask for.
type access int

const (
	nothing access = iota
	reads          // the status
	all
)

// accessKey is that of the access in the context of a request.
type accessKey struct{}

// accessOf gives root everything and members of the group Readers the status. The mode of the socket says the same, unless
// somebody changes it.
func accessOf(h host.Host) func(net.Conn) access {
	readers, found := h.GroupID(Readers)
	return func(c net.Conn) access {
		uid, gids, err := peer(c.(*net.UnixConn))
		if err != nil {
			return nothing
		}
		if h.Trusts(uid) {
			return all
		}
		if found && slices.Contains(gids, strconv.Itoa(readers)) {
			return reads
		}
		return nothing
	}
}

// maxGroups bounds the groups of a peer that are looked at; NGROUPS_MAX is 65536.
const maxGroups = 1 << 16

// peer is the uid of the process that connected and its groups, as the kernel knew them then: SO_PEERCRED in unix(7) and
// SO_PEERGROUPS, which it does not describe: an array of gid_t.
func peer(c *net.UnixConn) (uid uint32, gids []string, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, nil, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); failed == nil {
			uid = cred.Uid
			gids = append(peerGroups(fd), strconv.FormatUint(uint64(cred.Gid), 10))
		}
	})
	return uid, gids, errors.Join(err, failed)
}

// peerGroups are the supplementary groups of the process that connected, none where they cannot be told.
func peerGroups(fd uintptr) (gids []string) {
	var size uint32 // in bytes; too small, the kernel says how many it takes
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS, uintptr(unsafe.Pointer(new(uint32))), uintptr(unsafe.Pointer(&size)), 0)
	if errno != unix.ERANGE || size == 0 || size > maxGroups*4 {
		return nil
	}
	found := make([]uint32, size/4)
	_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS, uintptr(unsafe.Pointer(&found[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return nil
	}
	for _, gid := range found[:size/4] {
		gids = append(gids, strconv.FormatUint(uint64(gid), 10))
	}
	return gids
}
