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
		return s.missingLink("/usr/sbin/mount.azfiles", "mount.azfiles is neither in /sbin nor in /usr/sbin")
	}
	problem, err := s.examineProgram(helper)
	switch {
	case err != nil:
		return s.CannotSee(helper, err)
	case strings.HasPrefix(problem, unsafePrefix):
		return Warned("chown root:root "+helper+" && chmod go-w "+helper, "%s %s", helper, problem)
	case problem != "":
		return Broken(anew(helper), "%s %s", helper, problem)
	case !s.ours(helper):
		return Broken(anew(helper), "%s is not azfilesauth but %s", helper, s.beneath(s.resolve(helper, true)))
	}
	for _, name := range []string{"azfilesrefresh", "azfilesauthmanager"} {
		path := s.FirstOf("/usr/bin/"+name, "/usr/sbin/"+name, "/usr/local/bin/"+name, "/usr/local/sbin/"+name)
		switch {
		case path == "":
			return Warned("azfilesauth setup", "there is no %s in /usr/bin", name).By("links")
		case !s.ours(path):
			return Warned("remove the package that brought "+path+", then: azfilesauth setup", "%s is not azfilesauth but %s", path, s.beneath(s.resolve(path, true)))
		}
	}
	return Good("%s", helper)
}

// anew is the advice about a name of the program that is taken: setup leaves alone what is there.
func anew(path string) string { return "mv " + path + " " + path + ".old && azfilesauth setup" }

// missingLink is the finding that nothing, or a link that leads nowhere, has a name of the program.
func (s *Subject) missingLink(path, text string) Result {
	if _, err := s.Lstat(path); err == nil {
		return Broken(anew(path), "%s", text)
	}
	return Broken("azfilesauth setup", "%s", text).By("links")
}

// ours reports whether a program is azfilesauth, under whatever name.
func (s *Subject) ours(path string) bool {
	real := s.resolve(path, true)
	return strings.HasSuffix(real, "/azfilesauth") || sameFile(real, s.Self)
}
