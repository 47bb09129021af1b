package confine

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writes are all rights of landlock(7) by which a file system is changed; the last came with its version 3.
const (
	writes = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	truncates = unix.LANDLOCK_ACCESS_FS_TRUNCATE
	ofFiles   = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | truncates // the rights that a rule for a file can give
)

// Contain takes from this process, and from what it starts, for good: to change the file system elsewhere than in the
// paths, to mount, to trace another process, all capabilities but those that are kept, and the way to more of them. A path
// is a file or the top of a tree; one that is not there gives nothing. Renaming from one directory to another is over
// as well.
//
// A kernel without Landlock (before 5.13, or not switched on) takes the capabilities alone. The errors are those of the
// system calls; a program with cgo gets ENOTSUP, because only Go's own threads can be made to follow.
func Contain(paths []string, kept ...int) error {
	if err := onEveryThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("PR_SET_NO_NEW_PRIVS: %w", err)
	}
	if err := writeOnlyIn(paths); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	if err := keepCapabilities(kept); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// onEveryThread makes a system call on each thread: credentials are a thread's own.
func onEveryThread(trap, a, b uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(trap, a, b, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func writeOnlyIn(paths []string) error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno == unix.ENOSYS || errno == unix.EOPNOTSUPP {
		return nil
	}
	if errno != 0 {
		return errno
	}
	rights := unix.LandlockRulesetAttr{Handled_access_fs: writes}
	if version >= 3 {
		rights.Handled_access_fs |= truncates
	}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rights)), unsafe.Sizeof(rights.Handled_access_fs), 0)
	if errno != 0 {
		return errno
	}
	defer func() { _ = unix.Close(int(set)) }() // nothing is written to it
	for _, path := range paths {
		if err := allow(set, path, rights.Handled_access_fs); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return onEveryThread(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0)
}

func allow(set uintptr, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing is written to it
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= ofFiles
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// keepCapabilities drops the others. That no program that is started has them again is no_new_privs' work.
func keepCapabilities(kept []int) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has [2]unix.CapUserData
	if err := unix.Capget(&header, &has[0]); err != nil {
		return err
	}
	var mask [2]uint32
	for _, c := range kept {
		mask[c/32] |= 1 << (c % 32)
	}
	for i := range has {
		has[i].Permitted &= mask[i]
		has[i].Effective &= mask[i]
		has[i].Inheritable = 0
	}
	return onEveryThread(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&has[0])))
}
