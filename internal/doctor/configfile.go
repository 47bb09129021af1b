package doctor

import (
	"context"
	"errors"
	"io/fs"
)

func configCheck() Check {
	return Check{
		ID: "config", Group: Configuration, Title: "config.yaml", Severity: Fails, Offline: true,
		Proves: "The configuration can be read, only root can change it, and every key in it is known and has a value of the right type.",
		Why:    "mount.azfiles and azfiles.upcall refuse a configuration with a wrong value, and leave out a key that they do not know.",
		Run:    checkConfig,
	}
}

func checkConfig(_ context.Context, s *Subject) Result {
	switch {
	case s.EUID != 0 && errors.Is(s.ConfigErr, fs.ErrPermission):
		return s.CannotSee(s.ConfigPath, s.ConfigErr)
	case s.ConfigErr != nil:
		return Failed(s.ConfigErr)
	case s.Config.Missing():
		return Good("there is no %s, so the defaults hold", s.ConfigPath)
	}
	warnings := s.Config.Warnings()
	if len(warnings) == 0 {
		return Good("%s", s.ConfigPath)
	}
	r := Warned("correct "+s.ConfigPath+", "+warnings[0], "%s: %s", s.ConfigPath, warnings[0])
	for _, w := range warnings[1:] {
		r = r.And("%s: %s", s.ConfigPath, w)
	}
	return r
}
