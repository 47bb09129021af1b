package host

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links a path may lead through, as in path_resolution(7).
const maxLinks = 40

// follow takes a path apart. enter goes down into one name, or gives where it leads when it is a link;
// restart goes back to the root, for an absolute link. The error is theirs, or ELOOP.
func follow(path string, enter func(name string) (link string, err error), restart func() error) error {
	todo := strings.Split(path, "/")
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if name == "" || name == "." {
			continue
		}
		link, err := enter(name)
		if err != nil {
			return err
		}
		if link == "" {
			continue
		}
		if links++; links > maxLinks {
			return unix.ELOOP
		}
		if strings.HasPrefix(link, "/") {
			if err := restart(); err != nil {
				return err
			}
		}
		todo = append(strings.Split(link, "/"), todo...)
	}
	return nil
}

// Canonical is a path of the machine without links, as the mount table and systemd name what fstab(5) calls otherwise. What
// does not exist has the path that it would have. A path that leads through too many links is "". Nothing is looked at from
// where leave reports true, such as beneath a mount whose server can be gone; nil is never.
func (h Host) Canonical(path string, leave func(path string) bool) string {
	at, left := "/", false
	err := follow(path, func(name string) (string, error) {
		next := filepath.Join(at, name) // ".." stays beneath the root
		if left = left || leave != nil && leave(next); left {
			at = next
			return "", nil
		}
		target, err := os.Readlink(filepath.Join(h.Root, next))
		if err != nil { // no link, or not there: who uses the path will tell
			at, target = next, ""
		}
		return target, nil
	}, func() error { at = "/"; return nil })
	if err != nil {
		return ""
	}
	return at
}

// Path gives the path in this process of a path of the machine. Links, absolute ones too, are followed
// as if Root were /. What does not exist has the path that it would have. A path that leads through too
// many links is "", which no file has.
func (h Host) Path(path string) string {
	if h.Live() { // the kernel follows links, those of /proc too, which are no paths
		return filepath.Clean(path)
	}
	at := h.Canonical(path, nil)
	if at == "" {
		return ""
	}
	return filepath.Join(h.Root, at)
}

// Entry is Path, but a link at the end of the path is not followed.
func (h Host) Entry(path string) string {
	path = filepath.Clean("/" + path)
	dir := h.Path(filepath.Dir(path))
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, filepath.Base(path))
}
