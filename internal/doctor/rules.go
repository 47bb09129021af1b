package doctor

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

const (
	rulesFolder = "/etc/request-key.d"
	rulesFile   = "/etc/request-key.conf"
	ourRules    = rulesFolder + "/azfiles.conf"
	stockRules  = rulesFolder + "/cifs.spnego.conf"

	ourHandler   = "/usr/sbin/azfiles.upcall"
	stockHandler = "/usr/sbin/cifs.upcall"
)

// rules are the files of the rules beneath the root.
func (s *Subject) rules() keyring.RuleFiles {
	return keyring.RuleFiles{Folder: s.Path(rulesFolder), File: s.Path(rulesFile)}
}

// sampleHost stands for every endpoint where none is known.
const sampleHost = "account.file.core.windows.net"

// wanted is what the kernel asks for at a login to host (cifs_get_spnego_key in
// fs/smb/client/cifs_spnego.c).
func wanted(host string) keyring.Wanted {
	return keyring.Wanted{Op: "create", Type: "cifs.spnego", Description: fmt.Sprintf(
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
	rule keyring.Rule
	err  error // keyring.ErrNoRule, a *keyring.RuleError, or that of reading the files
}

// handler is the program that answers: the rule's own, or azfiles.upcall behind one that confines it,
// such as aa-exec.
func (w winner) handler() string { return handlerOf(w.rule) }

func handlerOf(rule keyring.Rule) string {
	for _, word := range rule.Command {
		if filepath.IsAbs(word) && filepath.Base(word) == filepath.Base(ourHandler) {
			return word
		}
	}
	return strings.TrimPrefix(rule.Command[0], "|")
}

// winner finds the rule for the endpoints under test; if they have several, the first that is not
// ours.
func (s *Subject) winner() winner {
	s.memo.rules.Do(func() {
		for _, host := range s.hosts() {
			rule, err := s.rules().Winner(wanted(host), nil)
			s.memo.winner = winner{host, rule, err}
			if err != nil || !s.ourRule(rule) {
				return
			}
		}
	})
	return s.memo.winner
}

// ourRule reports whether a rule runs azfiles.upcall, wherever that is.
func (s *Subject) ourRule(rule keyring.Rule) bool {
	program := handlerOf(rule)
	return filepath.Base(program) == filepath.Base(ourHandler) || s.ours(program)
}

// stockWins reports whether the rule for the endpoints runs cifs.upcall, without us.
func (s *Subject) stockWins() bool {
	w := s.winner()
	return w.err == nil && filepath.Base(w.handler()) == filepath.Base(stockHandler)
}

// delegates reports whether cifs.upcall builds the answer to the kernel, by our order or without us.
func (s *Subject) delegates() bool { return s.Mode() == modeCIFS || s.stockWins() }

// shownRule is a rule with its place.
func (s *Subject) shownRule(r keyring.Rule) string {
	return fileLine(s.beneath(r.Path), r.Line) + " runs " + strings.Join(r.Command, " ")
}
