package needs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// What nss_extrausers(5) reads, and what tells the C library to ask it.
const (
	extraUsers = "/var/lib/extrausers"
	extraNSS   = "/usr/lib/libnss_extrausers.so.2"
	nsswitch   = "/etc/nsswitch.conf"
)

// DirectoryUser makes a user whom only the C library's name services know, as those of a directory service are, and
// nobody's passwd file lists. The programs that the calling goroutine starts see them: it is in a mount namespace of
// its own from here on, and the rest of the machine is left alone.
func DirectoryUser(t testing.TB, name string, uid int, home string) {
	t.Helper()
	Root(t)
	Capability(t, "CAP_SYS_ADMIN")
	if _, err := os.Stat(extraNSS); err != nil {
		missing(t, fmt.Sprintf("needs %s (apt-get install libnss-extrausers)", extraNSS))
	}
	dir := t.TempDir()
	for path, text := range map[string]string{
		nsswitch:                            "passwd: files extrausers\ngroup: files extrausers\nhosts: files dns\n",
		filepath.Join(extraUsers, "passwd"): fmt.Sprintf("%s:x:%d:%d:A user of a directory:%s:/bin/sh\n", name, uid, uid, home),
		filepath.Join(extraUsers, "group"):  fmt.Sprintf("%s:x:%d:\n", name, uid),
		filepath.Join(extraUsers, "shadow"): "",
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(text), 0o644); err != nil { //nolint:gosec // as those files are
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as that directory is
		t.Fatal(err)
	}
	runtime.LockOSThread() // never unlocked: the thread goes with its namespace
	if err := errors.Join(
		unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_FS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(filepath.Join(dir, filepath.Base(nsswitch)), nsswitch, "", unix.MS_BIND, ""),
		unix.Mount(dir, extraUsers, "", unix.MS_BIND, ""),
	); err != nil {
		t.Fatal(err)
	}
}
