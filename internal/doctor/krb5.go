package doctor

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
)

func checkKrb5Conf(_ context.Context, s *Subject) Result {
	c := s.krb5()
	if c.Missing {
		return Good("there is no %s, so the defaults of libkrb5 hold", krb5conf.Path)
	}
	if wrong, ok := errors.AsType[*krb5conf.Error](c.Err); ok {
		fix := wrong.Fix
		if fix == "" {
			fix = "correct " + wrong.Place
		}
		return s.forStock(Broken(fix, "%v", wrong))
	}
	if c.Err != nil {
		return s.CannotSee(krb5conf.Path, c.Err)
	}
	return Good("%s", krb5conf.Path)
}

// forStock makes a warning of what only a cifs.upcall that we do not call would stumble over.
func (s *Subject) forStock(r Result) Result {
	if r.Status == Problem && !s.stockWins() {
		r.Status = Warning
		return r.And("mounts of Azure Files do not go by this file; klist, kvno and other programs with Kerberos do")
	}
	return r
}

func checkDefaultRealm(_ context.Context, s *Subject) Result {
	c := s.krb5()
	if r, ok := c.Get("libdefaults", "default_realm"); ok && r.Value != "" {
		return Good("%s, %s", r.Value, r.Place)
	}
	text := "there is no " + krb5conf.Path
	if !c.Missing {
		text = "default_realm is not set in " + krb5conf.Path
		content, _ := s.ReadFile(krb5conf.Path) // it was read before
		commented := regexp.MustCompile(`^\s*[#;]\s*default_realm\s*=`)
		if n := lineOf(string(content), commented.MatchString); n > 0 {
			text = "default_realm is commented out in " + fileLine(krb5conf.Path, n)
		}
	}
	if s.Mode() != modeCIFS {
		return Known("%s; it is not needed, since azfiles.upcall answers without it (upcall.mode: native) and the realm is in the ticket", text)
	}
	return Warned("azfilesauth setup --edit-krb5-conf", "%s", text)
}

// azureTypes are the names of the encryption types of Azure Files' tickets (krb5.conf(5), "Encryption
// types").
func azureTypes() []string {
	return []string{"aes256-cts-hmac-sha1-96", "aes256-cts", "aes256-sha1", "aes128-cts-hmac-sha1-96", "aes128-cts", "aes128-sha1", "aes"}
}

func checkEnctypes(_ context.Context, s *Subject) Result {
	for _, tag := range []string{"permitted_enctypes", "default_tgs_enctypes"} {
		r, ok := s.krb5().Get("libdefaults", tag)
		if !ok || permitsAES(r.Value) {
			continue
		}
		fix := "add aes256-cts-hmac-sha1-96 to " + r.Place
		if strings.Contains(r.Place, "crypto-policies") {
			fix = "update-crypto-policies --set $(update-crypto-policies --show):AD-SUPPORT"
		}
		return s.forStock(Broken(fix, "%s permits only %s", r.Place, r.Value))
	}
	return Good("AES is permitted")
}

// permitsAES reports whether a list of types has one of those; a type with - before it is taken away.
func permitsAES(list string) bool {
	have := map[string]bool{}
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		bare := strings.TrimLeft(name, "+-")
		for _, known := range azureTypes() {
			if strings.EqualFold(bare, known) || strings.EqualFold(bare, "aes") || bare == "DEFAULT" {
				have[known] = !strings.HasPrefix(name, "-")
			}
		}
	}
	return slices.ContainsFunc(azureTypes(), func(name string) bool { return have[name] })
}

func checkDomainRealm(_ context.Context, s *Subject) Result {
	host := s.Target.Endpoint.Host()
	mapped, ok := s.krb5().RealmOf(host)
	if !ok {
		return Good("no mapping, so that of the ticket")
	}
	var ticket ccache.Credential
	found := false
	if c := s.cacheOf(s.Config.CredentialUID); c.Cache != nil {
		ticket, found = c.Cache.Ticket(s.Target.Endpoint.SPN())
	}
	if !found {
		return Known("%s maps the host to %s; without a ticket in the cache that cannot be compared", mapped.Place, mapped.Value)
	}
	if realm := ticket.Server.Realm; realm != mapped.Value && ticket.Client.Realm != mapped.Value {
		return s.forStock(Broken("add to [domain_realm] of "+krb5conf.Path+": "+host+" = "+realm,
			"%s maps the host to %s, and the ticket is of %s", mapped.Place, mapped.Value, realm))
	}
	return Good("%s", mapped.Value)
}

func checkDefaultCache(_ context.Context, s *Subject) Result {
	if name, from, ours, same := s.defaultCache(); !same {
		return Known("the default is %s (%s), and the tickets are in %s: azfilesauth list shows them", name, from, ours)
	}
	return Good("that of the tickets")
}
