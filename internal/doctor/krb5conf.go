package doctor

import (
	"context"
	"errors"
	"regexp"
)

const krb5Path = "/etc/krb5.conf"

func krb5ConfCheck() Check {
	return Check{
		ID: "krb5-conf", Group: Kerberos, Title: "krb5.conf", Severity: CIFSMode, Offline: true,
		Proves: "libkrb5 can read /etc/krb5.conf and all that it includes.",
		Why:    "One wrong line, or a missing folder that is included, stops every program that uses libkrb5. azfiles.upcall does not, and gives cifs.upcall a file of its own.",
		Run:    checkKrb5Conf,
	}
}

func checkKrb5Conf(_ context.Context, s *Subject) Result {
	c := s.krb5()
	var wrong *krb5Error
	switch {
	case c.missing:
		return Good("there is no %s, so the defaults of libkrb5 hold", krb5Path)
	case errors.As(c.err, &wrong):
		fix := wrong.fix
		if fix == "" {
			fix = "correct " + wrong.place
		}
		return s.forStock(Broken(fix, "%v", wrong))
	case c.err != nil:
		return s.CannotSee(krb5Path, c.err)
	}
	return Good("%s", krb5Path)
}

// forStock makes a warning of what only a cifs.upcall that we do not call would stumble over.
func (s *Subject) forStock(r Result) Result {
	if r.Status == Problem && !s.stockWins() {
		r.Status = Warning
		return r.And("mounts of Azure Files do not go by this file; klist, kvno and other programs with Kerberos do")
	}
	return r
}

// krb5 is the host's profile, read once.
func (s *Subject) krb5() *krb5Conf {
	s.memo.krb5.Do(func() { s.memo.krb5Conf = readKrb5(s, krb5Path) })
	return s.memo.krb5Conf
}

func defaultRealmCheck() Check {
	return Check{
		ID: "default-realm", Group: Kerberos, Title: "default_realm", Severity: Latent, Offline: true, Needs: []ID{"krb5-conf"},
		Proves: "default_realm is set in [libdefaults] of krb5.conf.",
		Why:    "Programs that are given a name without a realm need it. azfiles.upcall does not: the realm stands in the ticket.",
		Run:    checkDefaultRealm,
	}
}

func checkDefaultRealm(_ context.Context, s *Subject) Result {
	c := s.krb5()
	if r, ok := c.get("libdefaults", "default_realm"); ok && r.value != "" {
		return Good("%s, %s", r.value, r.place)
	}
	text := "there is no " + krb5Path
	if !c.missing {
		text = "default_realm is not set in " + krb5Path
		content, _ := s.ReadFile(krb5Path) // it was read before
		commented := regexp.MustCompile(`^\s*[#;]\s*default_realm\s*=`)
		if n := lineOf(string(content), commented.MatchString); n > 0 {
			text = "default_realm is commented out in " + fileLine(krb5Path, n)
		}
	}
	if s.Mode() != modeCIFS {
		return Known("%s; it is not needed, since azfiles.upcall answers by itself (upcall.mode: native) and the realm stands in the ticket", text)
	}
	return Warned("azfilesauth setup --edit-krb5-conf", "%s", text)
}
