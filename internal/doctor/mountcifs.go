package doctor

import (
	"context"
	"strings"
)

// programFolders are where mount.azfiles looks for mount.cifs.
func programFolders(name string) []string {
	return []string{"/sbin/" + name, "/usr/sbin/" + name, "/usr/local/sbin/" + name}
}

func mountCIFSCheck() Check {
	return Check{
		ID: "mount-cifs", Group: Machine, Title: "mount.cifs", Severity: Fails, Offline: true,
		Proves: "mount.cifs is there and only root can change it.",
		Why:    "mount.azfiles gets the ticket and leaves the mount itself to mount.cifs.",
		Run:    checkMountCIFS,
	}
}

func checkMountCIFS(ctx context.Context, s *Subject) Result {
	path := s.FirstOf(programFolders("mount.cifs")...)
	if path == "" {
		return Broken(s.install("cifs-utils"), "mount.cifs is in none of /sbin, /usr/sbin and /usr/local/sbin")
	}
	problem, err := s.examineProgram(path)
	switch {
	case err != nil:
		return s.CannotSee(path, err)
	case strings.HasPrefix(problem, unsafePrefix):
		return Warned("chown root:root "+path+" && chmod go-w "+path, "%s %s", path, problem)
	case problem != "":
		return Broken(s.reinstall("cifs-utils"), "%s %s", path, problem)
	}
	return Good("%s %s", path, s.versionOf(ctx, path, "-V"))
}
