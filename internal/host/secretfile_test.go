package host_test

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"golang.org/x/sys/unix"
)

// project makes files as Kubernetes projects them: a link to a link to a directory with a date as its name.
func project(dir string) error {
	return errors.Join(os.MkdirAll(dir+"/..2026_11_27", 0o755), os.WriteFile(dir+"/..2026_11_27/token", []byte("t0ken"), 0o644),
		os.Symlink("..2026_11_27", dir+"/..data"), os.Symlink("..data/token", dir+"/token"))
}

// Files that Kubernetes projects are read, by way of /var/run too, whichever user is trusted.
func TestReadSecretThatIsProjected(t *testing.T) {
	h, in := machine(t)
	must(t, errors.Join(os.Mkdir(in("run"), 0o755), os.Mkdir(in("var"), 0o755), os.Symlink("/run", in("var/run"))))
	must(t, project(in("run/secrets/tokens")))
	text, info, err := h.ReadSecret("/var/run/secrets/tokens/token", 100, 0, 0)
	if err != nil || string(text) != "t0ken" || info.Mode().Perm() != 0o644 {
		t.Errorf("%q, %v, %v", text, info, err)
	}
	must(t, os.Chmod(in("run/secrets/tokens"), 0o777|fs.ModeSticky))
	wayErr := (*host.DirError)(nil)
	if _, _, err := h.ReadSecret("/run/secrets/tokens/token", 100, 0, 0); !errors.As(err, &wayErr) || !wayErr.Link {
		t.Errorf("a link in a directory where everybody can make one: %v", err)
	}
	must(t, os.Mkdir(in("run/secrets/tokens/own"), 0o700))
	must(t, os.WriteFile(in("run/secrets/tokens/own/file"), []byte("x"), 0o600))
	if _, _, err := h.ReadSecret("/run/secrets/tokens/own/file", 100, host.Private, 0); err != nil {
		t.Errorf("a directory of ours in a sticky one: %v", err)
	}
}

// The directory that the kubelet mounts has the mode 1777, and is read-only in the container.
func TestReadSecretOfAReadOnlyMount(t *testing.T) {
	needs.Root(t)
	needs.Capability(t, "CAP_SYS_ADMIN")
	h, in := machine(t)
	must(t, os.Mkdir(in("mnt"), 0o755))
	done := make(chan error)
	go func() { // its thread ends with it, and the mount namespace with the thread
		runtime.LockOSThread()
		done <- func() error {
			err := errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
			if err == nil {
				err = unix.Mount("tmpfs", in("mnt"), "tmpfs", 0, "mode=1777")
			}
			if err == nil {
				err = project(in("mnt"))
			}
			if err != nil {
				return err
			}
			if _, _, err := h.ReadSecret("/mnt/token", 100, 0, 0); err == nil {
				return errors.New("a link in a directory where everybody can make one is followed")
			}
			if err := unix.Mount("", in("mnt"), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				return err
			}
			_, _, err = h.ReadSecret("/mnt/token", 100, 0, 0)
			return err
		}()
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A user exchanges a file of their own for root's, by a hard link and by a symbolic one, while it is read.
func TestReadSecretWhileItIsExchanged(t *testing.T) {
	needs.Root(t)
	const user = 4711
	h, in := machine(t)
	must(t, errors.Join(os.Mkdir(in("etc"), 0o755), os.WriteFile(in("etc/shadow"), []byte("root's"), 0o600), os.Mkdir(in("u"), 0o755),
		os.WriteFile(in("u/token"), []byte("his"), 0o600), os.Link(in("etc/shadow"), in("u/hard")), os.Symlink("/etc/shadow", in("u/link")),
		os.Lchown(in("u/token"), user, user), os.Lchown(in("u/link"), user, user), os.Lchown(in("u"), user, user)))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, other := range []string{"hard", "link"} {
				for range 2 {
					_ = unix.Renameat2(unix.AT_FDCWD, in("u/token"), unix.AT_FDCWD, in("u/"+other), unix.RENAME_EXCHANGE)
				}
			}
		}
	}()
	his := 0
	for range 3000 {
		text, _, err := h.ReadSecret("/u/token", 100, 0, user)
		if err == nil && string(text) != "his" {
			t.Errorf("it read %q", text)
			break
		}
		if err == nil {
			his++
		}
	}
	close(stop)
	<-stopped
	if his == 0 {
		t.Error("the user's own file was never read")
	}
}
