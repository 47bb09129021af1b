package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

func checkConfig(_ context.Context, s *Subject) Result {
	r := s.examineConfig()
	name := s.Config.Transport.Ignored
	if name == "" {
		return r
	}
	if r.Status == OK {
		r.Status = Info
	}
	return r.And("%s", transport.Ignored(name))
}

func (s *Subject) examineConfig() Result {
	path := s.Host.Config
	if s.EUID != 0 && errors.Is(s.ConfigErr, fs.ErrPermission) {
		return s.CannotSee(path, s.ConfigErr)
	}
	if s.ConfigErr != nil {
		return Failed(s.ConfigErr)
	}
	if len(s.Config.Files) == 0 {
		return Good("there is no %s, so the defaults hold", path)
	}
	warnings := slices.Clone(s.Config.Warnings)
	if len(warnings) == 0 {
		return Good("%s", path)
	}
	for i, w := range warnings {
		if !strings.HasPrefix(w, "/") { // a file of a layer is in the warning
			warnings[i] = path + ": " + w
		}
	}
	r := Warned("correct "+strings.Replace(warnings[0], ": ", ", ", 1), "%s", warnings[0])
	for _, w := range warnings[1:] {
		r = r.And("%s", w)
	}
	return r
}

func checkUserUID(_ context.Context, s *Subject) Result {
	uid, err := s.Config.CRUID("", s.Host)
	if err != nil {
		return Failed(err)
	}
	found := []Result{Good("uid %d", uid)}
	for _, l := range s.Fstab {
		want, ok := l.Options.Get("cruid")
		if !l.IsOurs() || !ok {
			continue
		}
		if _, err := s.Config.CRUID(want, s.Host); err != nil {
			e, _ := s.Config.Resolver.Resolve(hostOf(l.Spec)) // a host that is none is told by fstab
			found = s.addOfLine(found, e, l.Target, Failed(fmt.Errorf("cruid=%s: %w", want, err)).And("cruid= in /etc/fstab:%d", l.Line))
		}
	}
	return worst(found...)
}

func checkStateFolders(_ context.Context, s *Subject) Result {
	fix := "azfilesauth setup"
	for _, dir := range []string{s.Run, host.ConfigDir} {
		info, err := s.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) { // made at the first use
			continue
		}
		if err != nil {
			return s.CannotSee(dir, err)
		}
		if info.Mode()&fs.ModeSymlink != 0 { // root's own arrangement, if the directory behind it is root's
			if info, err = s.Stat(dir); err != nil {
				return Broken("rm "+dir+" && "+fix, "%s is a dangling link", dir)
			}
		}
		if !info.IsDir() {
			return Broken("mv "+dir+" "+dir+".moved && "+fix, "%s is not a directory", dir)
		}
		if exposed := s.Exposed(info); exposed != nil {
			return secured(dir, "others than root can change %s: %v", dir, exposed).By("folders")
		}
		if dir == s.Run && info.Mode().Perm()&0o011 != 0o011 {
			return Warned("chmod 0711 "+dir, "users cannot reach their credential caches in %s: its mode is %#o", dir, info.Mode().Perm()).By("folders")
		}
	}
	return Good("only root can write to them, or they do not exist yet")
}
