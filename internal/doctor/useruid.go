package doctor

import (
	"context"
	"fmt"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

func userUIDCheck() Check {
	return Check{
		ID: "user-uid", Group: Configuration, Title: "credential uid", Severity: Fails, Offline: true, Needs: []ID{"config"},
		Proves: "USER_UID, and each cruid= in fstab, is in /etc/passwd.",
		Why:    "mount.azfiles refuses a credential uid that is not in /etc/passwd, since cifs.upcall 7.8 does and the kernel maps unknown uids to nobody.",
		Run:    checkUserUID,
	}
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
	for _, v := range s.Config.Settings() {
		if v.Key == "USER_UID" && v.Line > 0 {
			return s.Config.CRUID("", passwd)
		}
	}
	uid, err := s.Config.CRUID(config.SystemUser, passwd)
	if err != nil {
		return 0, nil
	}
	return uid, nil
}

// cruidOf looks up the cruid= of a line of type azfiles.
func (s *Subject) cruidOf(l mounts.FstabLine) error {
	want, ok := l.Option("cruid")
	if l.Type != "azfiles" || !ok {
		return nil
	}
	if _, err := s.Config.CRUID(want, s.Path("/etc/passwd")); err != nil {
		return fmt.Errorf("cruid=%s: %w", want, err)
	}
	return nil
}
