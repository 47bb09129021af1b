package doctor

import (
	"context"
	"strings"
)

func linksCheck() Check {
	return Check{
		ID: "links", Group: Machine, Title: "mount.azfiles", Severity: Fails, Offline: true,
		Proves: "mount.azfiles, azfilesrefresh and azfilesauthmanager lead to azfilesauth.",
		Why:    "mount(8) runs mount.azfiles for file systems of type azfiles, and knows no such type without it.",
		Run:    checkLinks,
	}
}

func checkLinks(_ context.Context, s *Subject) Result {
	helper := s.FirstOf("/sbin/mount.azfiles", "/usr/sbin/mount.azfiles")
	if helper == "" {
		return Broken("azfilesauth setup", "mount.azfiles is neither in /sbin nor in /usr/sbin").By("links")
	}
	problem, err := s.examineProgram(helper)
	switch {
	case err != nil:
		return s.CannotSee(helper, err)
	case strings.HasPrefix(problem, unsafePrefix):
		return Warned("chown root:root "+helper+" && chmod go-w "+helper, "%s %s", helper, problem)
	case problem != "":
		return Broken("azfilesauth setup", "%s %s", helper, problem).By("links")
	case !s.ours(helper):
		return Broken("azfilesauth setup", "%s is not azfilesauth but %s", helper, s.beneath(s.Path(helper))).By("links")
	}
	for _, name := range []string{"azfilesrefresh", "azfilesauthmanager"} {
		path := s.FirstOf("/usr/bin/"+name, "/usr/sbin/"+name, "/usr/local/bin/"+name, "/usr/local/sbin/"+name)
		switch {
		case path == "":
			return Warned("azfilesauth setup", "there is no %s in /usr/bin", name).By("links")
		case !s.ours(path):
			return Warned("remove the package that brought "+path+", then: azfilesauth setup", "%s is not azfilesauth but %s", path, s.beneath(s.Path(path))).By("links")
		}
	}
	return Good("%s", helper)
}

// ours reports whether a program is azfilesauth, under whatever name.
func (s *Subject) ours(path string) bool {
	real := s.Path(path)
	return strings.HasSuffix(real, "/azfilesauth") || sameFile(real, s.Self)
}
