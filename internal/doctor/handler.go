package doctor

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

const (
	ourHandler   = "/usr/sbin/azfiles.upcall"
	stockHandler = "/usr/sbin/cifs.upcall"

	// modeCIFS is the upcall.mode in which the cifs.upcall of cifs-utils answers the kernel.
	modeCIFS = "cifs"

	// sampleHost stands for every endpoint where none is known.
	sampleHost = "account.file.core.windows.net"
)

func stockHandlers() []string {
	return []string{stockHandler, "/sbin/cifs.upcall", "/usr/local/sbin/cifs.upcall"}
}

// rules are the files of the rules of request-key.
func (s *Subject) rules() requestkey.Files {
	return requestkey.Files{Directory: s.Path(requestkey.Directory), Last: s.Path(requestkey.LastFile)}
}

// wanted is what the kernel asks for at a login to host (cifs_get_spnego_key in
// fs/smb/client/cifs_spnego.c).
func wanted(host string) requestkey.Request {
	return requestkey.Request{Op: "create", Type: "cifs.spnego", Description: fmt.Sprintf(
		"ver=0x2;host=%s;ip4=192.0.2.1;sec=krb5;uid=0x0;creduid=0x0;user=root;pid=0x1000;upcall_target=mount", host)}
}

// hosts are the names by which the endpoints under test are mounted, or would be.
func (s *Subject) hosts() []string {
	var all []string
	for _, t := range s.Targets {
		named := false
		for _, from := range t.From {
			if from.Mount != nil || from.Fstab != nil {
				all, named = append(all, from.Host), true
			}
		}
		if !named {
			all = append(all, t.Endpoint.Host())
		}
	}
	if len(all) == 0 {
		return []string{sampleHost}
	}
	return all
}

// winner is the rule that answers for an endpoint.
type winner struct {
	host string
	rule requestkey.Rule
	err  error // requestkey.ErrNoRule, a *requestkey.Error, or that of reading the files
}

// winner finds the rule for the endpoints under test; if they have several, the first that is not
// ours.
func (s *Subject) winner() winner {
	return once(s, "winner", func() (w winner) {
		for _, host := range s.hosts() {
			rule, err := s.rules().Winner(wanted(host), nil)
			w = winner{host, rule, err}
			if err != nil || !s.ourRule(rule) {
				break
			}
		}
		return w
	})
}

// ourRule reports whether a rule runs azfiles.upcall, wherever that is.
func (s *Subject) ourRule(rule requestkey.Rule) bool { return rule.RunsOurs(s.ours) }

// stockWins reports whether the rule for the endpoints runs cifs.upcall, without us.
func (s *Subject) stockWins() bool {
	w := s.winner()
	return w.err == nil && filepath.Base(w.rule.Handler()) == filepath.Base(stockHandler)
}

// delegates reports whether cifs.upcall builds the answer to the kernel, by our order or without us.
func (s *Subject) delegates() bool { return s.Mode() == modeCIFS || s.stockWins() }

// ours reports whether a program is azfilesauth, under whatever name.
func (s *Subject) ours(path string) bool {
	return strings.HasSuffix(s.real(path), "/azfilesauth") || sameFile(s.Path(path), s.Self)
}

// krb5 is the machine's krb5.conf.
func (s *Subject) krb5() *krb5conf.Profile {
	return once(s, "krb5", func() *krb5conf.Profile { return krb5conf.Read(s, krb5conf.Path) })
}

// defaultCache compares libkrb5's default cache, and where its name comes from, with the one that the
// tickets are put into.
func (s *Subject) defaultCache() (name, from, ours string, same bool) {
	uid, _ := s.credentialUID() // what is wrong with it is another check's
	ours = strings.TrimPrefix(s.Config.CCacheName(uid), "FILE:")
	name, from = "FILE:/tmp/krb5cc_%{uid}", "libkrb5's own"
	if r, ok := s.krb5().Get("libdefaults", "default_ccache_name"); ok {
		name, from = r.Value, r.Place
	}
	id := strconv.Itoa(uid)
	expanded := strings.NewReplacer("%{uid}", id, "%{USERID}", id, "%{euid}", id).Replace(name)
	return name, from, ours, strings.TrimPrefix(expanded, "FILE:") == ours
}
