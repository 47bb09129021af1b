package doctor

import (
	"context"
	"errors"
	"io/fs"
)

// runFolder holds what must not survive a reboot, and passes users through to their caches.
const runFolder = "/run/azfilesauth"

func stateFoldersCheck() Check {
	return Check{
		ID: "state-folders", Group: Configuration, Title: "folders", Severity: Fails, Offline: true,
		Proves: "The folders of azfilesauth are root's alone, and no link leads somewhere else.",
		Why:    "Whoever can write to them can put tickets, notes and configuration of their own in place.",
		Run:    checkStateFolders,
	}
}

func checkStateFolders(_ context.Context, s *Subject) Result {
	fix := "azfilesauth setup"
	for _, dir := range []string{runFolder, "/etc/azfilesauth"} {
		info, err := s.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist): // made at the first use
			continue
		case err != nil:
			return s.CannotSee(dir, err)
		case info.Mode()&fs.ModeSymlink != 0: // root's own arrangement, if the folder behind it is root's
			if info, err = s.Stat(dir); err != nil {
				return Broken("rm "+dir+" && "+fix, "%s is a link that leads nowhere", dir)
			}
		}
		if !info.IsDir() {
			return Broken("mv "+dir+" "+dir+".moved && "+fix, "%s is not a folder", dir)
		}
		if problem := unsafe(info); problem != "" {
			return Warned("chown root:root "+dir+" && chmod go-w "+dir, "others than root can change %s: %s", dir, problem).By("folders")
		}
		if dir == runFolder && info.Mode().Perm()&0o011 != 0o011 {
			return Warned("chmod 0711 "+dir, "users cannot reach their credential caches in %s: its mode is %#o", dir, info.Mode().Perm()).By("folders")
		}
	}
	return Good("root's alone, or made at the first use")
}
