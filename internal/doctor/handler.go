package doctor

import (
	"context"
	"strings"
)

func handlerCheck() Check {
	return Check{
		ID: "handler", Group: Upcall, Title: "azfiles.upcall", Severity: Fails, Offline: true,
		Proves: "The handler that our rule names is there, is azfilesauth, runs, and only root can change it or the folders that it is in.",
		Why:    "request-key runs it as root for every login; if it cannot, the login fails with error 126.",
		Run:    checkHandler,
	}
}

func checkHandler(ctx context.Context, s *Subject) Result {
	path := ourHandler
	if w := s.winner(); w.err == nil && s.ourRule(w.rule) {
		path = w.handler()
	}
	problem, err := s.examineProgram(path)
	switch {
	case err != nil:
		return s.CannotSee(path, err)
	case strings.HasPrefix(problem, unsafePrefix):
		return Warned("chown root:root "+path+" && chmod go-w "+path, "%s %s", path, problem)
	case problem == "is missing" || problem == "is a link that leads nowhere":
		return s.missingLink(path, path+" "+problem)
	case problem != "":
		return Broken(anew(path), "%s %s", path, problem)
	case !s.ours(path):
		return Broken(anew(path), "%s is not azfilesauth but %s", path, s.beneath(s.resolve(path, true)))
	}
	if dir := s.unsafeFolder(path); dir != "" {
		return Warned("chown root:root "+dir+" && chmod go-w "+dir, "others than root can put something in the place of %s: they can write to %s", path, dir)
	}
	if s.Live() {
		out, err := s.Command(ctx, path, "-V")
		if err != nil {
			return Broken("install azfilesauth again", "%s does not run: %v %s", path, err, out)
		}
		return Good("%s: %s", path, strings.TrimSpace(out))
	}
	return Good("%s", path)
}
