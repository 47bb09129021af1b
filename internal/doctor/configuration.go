package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

func checkConfig(_ context.Context, s *Subject) Result {
	switch {
	case s.EUID != 0 && errors.Is(s.ConfigErr, fs.ErrPermission):
		return s.CannotSee(s.ConfigPath, s.ConfigErr)
	case s.ConfigErr != nil:
		return Failed(s.ConfigErr)
	case len(s.Config.Files()) == 0:
		return Good("there is no %s, so the defaults hold", s.ConfigPath)
	}
	warnings := s.Config.Warnings()
	if len(warnings) == 0 {
		return Good("%s", s.ConfigPath)
	}
	in := func(w string) string { // a file of a layer is in the warning
		if strings.HasPrefix(w, "/") {
			return w
		}
		return s.ConfigPath + ": " + w
	}
	r := Warned("correct "+strings.Replace(in(warnings[0]), ": ", ", ", 1), "%s", in(warnings[0]))
	for _, w := range warnings[1:] {
		r = r.And("%s", in(w))
	}
	return r
}

func checkUserUID(_ context.Context, s *Subject) Result {
	uid, err := s.credentialUID()
	if err != nil {
		return Failed(err)
	}
	for _, l := range s.Fstab {
		if err := s.cruidOf(l); err != nil {
			return Failed(err).And("cruid= in /etc/fstab:%d", l.Line)
		}
	}
	return Good("uid %d", uid)
}

// credentialUID is USER_UID or, where that is not set, the system user of the root's own passwd.
func (s *Subject) credentialUID() (int, error) {
	passwd := s.Path("/etc/passwd")
	if s.Config.Sets("USER_UID") {
		return s.Config.CRUID("", passwd)
	}
	uid, err := s.Config.CRUID(config.SystemUser, passwd)
	if err != nil {
		return 0, nil
	}
	return uid, nil
}

// cruidOf looks up the cruid= of a line of type azfiles.
func (s *Subject) cruidOf(l mounts.FstabLine) error {
	want, ok := l.Options.Get("cruid")
	if l.Type != "azfiles" || !ok {
		return nil
	}
	if _, err := s.Config.CRUID(want, s.Path("/etc/passwd")); err != nil {
		return fmt.Errorf("cruid=%s: %w", want, err)
	}
	return nil
}

// runFolder holds what must not survive a reboot, and passes users through to their caches.
const runFolder = "/run/azfilesauth"

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
