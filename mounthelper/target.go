package mounthelper

import (
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// absolute gives the mount point as the mount table shows it, as far as that is possible without
// touching it: where a server is gone, even a stat of the mount point blocks.
func absolute(dir string) (string, error) {
	if filepath.IsAbs(dir) {
		return filepath.Clean(dir), nil
	}
	here, err := unix.Getwd() // os.Getwd would look at the directory itself
	if err != nil {
		return "", mounts.TargetInvalid(dir, err)
	}
	return filepath.Join(here, dir), nil
}

// mountedOn has the mounts of endpoints on a mount point, in the order of the table: the last is on top.
func mountedOn(target string, all []mounts.Mount) []mounts.Mount {
	var found []mounts.Mount
	for _, m := range all {
		if filepath.Clean(m.Target) == target {
			found = append(found, m)
		}
	}
	return found
}
