package ccache

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// maxLinks is how many symbolic links a path may lead through, as in path_resolution(7).
const maxLinks = 40

// othersWrite are the mode bits that let others than the owner write.
const othersWrite = 0o022

// folder is an open directory that passed the rules of openFolder. Everything in it is reached
// through the descriptor, so that nobody can exchange the folder under a running operation.
type folder struct {
	fd     int    // O_PATH
	path   string // without links
	shared bool   // others can create files in it; the sticky bit protects ours
}

func (f *folder) close() { _ = unix.Close(f.fd) }

// openFolder walks the absolute path one name at a time. Every folder on the way, the last one
// included, must belong to root and must be closed to other writers, or sticky so that they cannot
// exchange what is not theirs. A link is followed only if root made it in a folder where only root
// can write. Missing folders that create names (by path without links, with their mode) are made.
// Its errors are of the kind fault.CCacheFolder.
func openFolder(path string, create map[string]uint32) (*folder, error) {
	f, err := openRoot()
	if err != nil {
		return nil, err
	}
	todo := strings.Split(path, "/")
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if name == "" || name == "." {
			continue
		}
		link, err := f.enter(name, create)
		if err == nil && link != "" {
			todo = append(strings.Split(link, "/"), todo...)
			if links++; links > maxLinks {
				err = folderFault(nil, "%s leads through too many links", path)
			} else if strings.HasPrefix(link, "/") {
				err = f.restart()
			}
		}
		if err != nil {
			f.close()
			return nil, err
		}
	}
	return f, nil
}

func openRoot() (*folder, error) {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, folderFault(err, "/ cannot be opened")
	}
	f := &folder{fd: -1}
	if err := f.become(fd, "/"); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return f, nil
}

// restart goes back to the root directory, for an absolute link.
func (f *folder) restart() error {
	root, err := openRoot()
	if err != nil {
		return err
	}
	f.close()
	*f = *root
	return nil
}

// enter goes down into name, or gives what name points to when it is a link that may be followed.
func (f *folder) enter(name string, create map[string]uint32) (link string, err error) {
	path := filepath.Join(f.path, name)
	fd, err := f.openPath(name)
	if mode, ours := create[path]; ours && errors.Is(err, unix.ENOENT) {
		if err := f.mkdir(name, mode); err != nil {
			return "", folderFault(err, "%s is missing and cannot be made", path)
		}
		fd, err = f.openPath(name)
	}
	if errors.Is(err, unix.ENOENT) {
		return "", folderFault(nil, "%s does not exist", path)
	} else if err != nil {
		return "", folderFault(err, "%s cannot be opened", path)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		link, err = f.readLink(fd, &st, path)
		_ = unix.Close(fd)
		return link, err
	}
	if err = f.become(fd, path); err != nil {
		_ = unix.Close(fd)
	}
	return "", err
}

func (f *folder) openPath(name string) (int, error) {
	return unix.Openat(f.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// mkdir makes a folder with exactly this mode, whatever the umask. That another process made it
// first is no error.
func (f *folder) mkdir(name string, mode uint32) error {
	err := unix.Mkdirat(f.fd, name, mode)
	if errors.Is(err, unix.EEXIST) {
		return nil
	} else if err != nil {
		return err
	}
	return unix.Fchmodat(f.fd, name, mode, 0)
}

func (f *folder) readLink(fd int, st *unix.Stat_t, path string) (string, error) {
	if st.Uid != 0 || f.shared {
		return "", folderFault(nil, "%s is a link that others than root could have made", path)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", folderFault(err, "the link %s cannot be read", path)
	}
	return string(buf[:n]), nil
}

// become makes f the folder open as fd, if that keeps the rules.
func (f *folder) become(fd int, path string) error {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	switch {
	case err != nil:
		return folderFault(err, "%s cannot be looked at", path)
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return folderFault(nil, "%s is no folder", path)
	case st.Uid != 0:
		return folderFault(nil, "%s belongs to uid %d, not to root", path, st.Uid)
	case st.Mode&othersWrite != 0 && st.Mode&unix.S_ISVTX == 0:
		return folderFault(nil, "others than root can write to %s (mode %04o)", path, st.Mode&0o7777)
	}
	if f.fd >= 0 {
		f.close()
	}
	*f = folder{fd: fd, path: path, shared: st.Mode&othersWrite != 0}
	return nil
}

func folderFault(err error, format string, args ...any) error {
	return fault.CCacheFolder.New(fmt.Sprintf(format, args...)).Because(err)
}
