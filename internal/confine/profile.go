package confine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attributes are what AppArmor knows of this thread (apparmor's libapparmor, aa_change_profile(2)).
const attributes = "/proc/thread-self/attr/apparmor"

// loaded has a directory for each profile that is in force, named as the profile with a number behind it.
const loaded = "/sys/kernel/security/apparmor/policy/profiles"

// Enter starts this program again, with the same arguments and the environment env, under a profile of
// AppArmor's, and does not return then. It returns nil where there is none of that name, and where a profile is
// in force already: that of this call, or one that somebody has chosen for this process.
//
// A profile can be attached to a file, but all faces are one file; a thread can change its own, but the others
// of this process would stay as they are. Only exec leaves one thread, so that costs the program's start, 2 to 5 ms.
func Enter(profile string, env []string) error {
	if _, err := os.Stat(attributes); err != nil {
		return nil // no AppArmor, and no need for the further thread that locking one makes
	}
	runtime.LockOSThread() // what is written is the thread's own
	defer runtime.UnlockOSThread()
	return enter(attributes, loaded, profile, func() error { return syscall.Exec(self(), os.Args, env) })
}

func enter(attributes, loaded, profile string, again func() error) error {
	now, err := os.ReadFile(filepath.Join(attributes, "current"))
	if err != nil {
		return nil // no AppArmor
	}
	if string(bytes.TrimRight(now, "\n\x00")) != "unconfined" {
		if name, err := unix.BytePtrFromString(filepath.Base(os.Args[0])); err == nil {
			_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0) // ps would show "exe"
		}
		return nil
	}
	// The kernel's log would have a line about each try to enter a profile that is not loaded.
	if found, err := filepath.Glob(filepath.Join(loaded, profile+".[0-9]*")); err != nil || len(found) == 0 {
		return nil
	}
	next, err := os.OpenFile(filepath.Join(attributes, "exec"), os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	_, err = next.WriteString("exec " + profile)
	_ = next.Close() // the write has succeeded or not
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not any more
	}
	if err == nil {
		err = again()
	}
	return fmt.Errorf("the profile %s of AppArmor is not entered: %w", profile, err)
}
