package doctor

import (
	"context"
	"strings"
)

// requestKey is where the kernel looks for it (call_sbin_request_key in security/keys/request_key.c).
const requestKey = "/sbin/request-key"

func requestKeyCheck() Check {
	return Check{
		ID: "request-key", Group: Upcall, Title: "request-key", Severity: Fails, Offline: true,
		Proves: "/sbin/request-key is there and only root can change it.",
		Why:    "The kernel asks for a ticket by starting /sbin/request-key; without it every mount ends with error 126.",
		Run:    checkRequestKey,
	}
}

func checkRequestKey(ctx context.Context, s *Subject) Result {
	problem, err := s.examineProgram(requestKey)
	switch {
	case err != nil:
		return s.CannotSee(requestKey, err)
	case problem == "is missing":
		return Broken(s.install("keyutils"), "%s is missing", requestKey)
	case strings.HasPrefix(problem, unsafePrefix):
		return Warned("chown root:root "+requestKey+" && chmod go-w "+requestKey, "%s %s", requestKey, problem)
	case problem != "":
		return Broken(s.reinstall("keyutils"), "%s %s", requestKey, problem)
	}
	version := s.versionOf(ctx, requestKey, "--version")
	if version != "" && !atLeast(version, 1, 6) {
		return Known("%s %s: before 1.6 the first rule that matches wins, not the one that fits best", requestKey, version)
	}
	return Good("%s %s", requestKey, version)
}
