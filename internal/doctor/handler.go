package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

const (
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
			rule, err := s.rules().Winner(requestkey.Login(host), nil)
			w = winner{host, rule, err}
			if err != nil || !s.ourRule(rule) {
				break
			}
		}
		return w
	})
}

// ourRule reports whether a rule runs azfiles.upcall, wherever that is.
func (s *Subject) ourRule(rule requestkey.Rule) bool { return rule.RunsOurs(s.isOurProgram) }

// stockWins reports whether the rule for the endpoints runs cifs.upcall, without us.
func (s *Subject) stockWins() bool {
	w := s.winner()
	return w.err == nil && filepath.Base(w.rule.Handler()) == filepath.Base(stockHandler)
}

// delegates reports whether cifs.upcall builds the answer to the kernel, by our order or without us.
func (s *Subject) delegates() bool { return s.Mode() == modeCIFS || s.stockWins() }

// isOurProgram reports whether a program is azfilesauth, under whatever name.
func (s *Subject) isOurProgram(path string) bool {
	return strings.HasSuffix(s.resolveLinks(path), "/azfilesauth") || sameFile(s.Path(path), s.Self)
}

func (s *Subject) krb5() *krb5conf.Profile {
	return once(s, "krb5", func() *krb5conf.Profile { return krb5conf.Of(s.Host) })
}

// defaultCache compares libkrb5's default cache, and where its name comes from, with the one that the
// tickets are put into.
func (s *Subject) defaultCache() (name, from, ours string, same bool) {
	uid := s.Config.CredentialUID
	ours = s.Config.CCacheName(uid)
	name, from = "FILE:/tmp/krb5cc_%{uid}", "libkrb5's own"
	if r, ok := s.krb5().Get("libdefaults", "default_ccache_name"); ok {
		name, from = r.Value, r.Place
	}
	id := strconv.Itoa(uid)
	expanded := strings.NewReplacer("%{uid}", id, "%{USERID}", id, "%{euid}", id).Replace(name)
	return name, from, ours, strings.TrimPrefix(expanded, "FILE:") == ours
}

// requestKey is where the kernel looks for it (call_sbin_request_key in security/keys/request_key.c).
const requestKey = "/sbin/request-key"

func checkRequestKey(ctx context.Context, s *Subject) Result {
	fix := s.reinstall("keyutils")
	if _, err := s.Lstat(requestKey); errors.Is(err, fs.ErrNotExist) {
		fix = s.install("keyutils")
	}
	if wrong, fine := s.examineProgram(requestKey, fix); !fine {
		return wrong
	}
	version := s.versionOf(ctx, requestKey, "--version")
	if version != "" && !mounts.AtLeast(version, "1.6") {
		return Known("%s %s: before 1.6 the first rule that matches wins, not the one that fits best", requestKey, version)
	}
	return Good("%s %s", requestKey, version)
}

func checkHandler(ctx context.Context, s *Subject) Result {
	path := host.Sbin("azfiles.upcall")
	if w := s.winner(); w.err == nil && s.ourRule(w.rule) {
		path = w.rule.Handler()
	}
	if wrong, fine := s.examineOurs(path); !fine {
		return wrong
	}
	for dir := filepath.Dir(filepath.Clean(path)); dir != filepath.Dir(dir); dir = filepath.Dir(dir) { // a rule can have a path that is not absolute
		info, err := s.Stat(dir)
		if err == nil && info.Mode()&fs.ModeSticky == 0 && s.Exposed(info) != nil {
			return secured(dir, "users other than root can replace %s: they can write to %s", path, dir)
		}
	}
	if !s.Live() {
		return Good("%s", path)
	}
	out, err := s.Exec(ctx, path, "-V")
	if err != nil {
		return Broken("install azfilesauth again", "%s does not run: %v %s", path, err, out)
	}
	return Good("%s: %s", path, strings.TrimSpace(out))
}

// versionString is a version as a C program holds it.
const versionString = `\x00(\d{1,2}\.\d{1,2}(?:\.\d{1,2})?)\x00`

// upcallVersion reads the version of a cifs.upcall in its file, "" when there is none or more than one. Asked for it with
// -v, the program writes "Exit status 0" to the system's log.
func (s *Subject) upcallVersion(path string) string {
	content, err := s.ReadFile(path)
	all := regexp.MustCompile(versionString).FindAllSubmatch(content, 2)
	if err != nil || len(all) != 1 {
		return ""
	}
	return string(all[0][1])
}

func checkCIFSUpcall(_ context.Context, s *Subject) Result {
	fix := "set upcall: {mode: native} in /etc/azfilesauth/config.d/90-local.yaml"
	if s.stockWins() {
		fix = "azfilesauth setup"
	}
	path := s.FirstOf(stockHandlers()...)
	if path == "" && !s.delegates() {
		return Known("not installed, and not needed: azfiles.upcall answers without it (upcall.mode: native)")
	}
	if path == "" {
		return Broken(s.reinstall("cifs-utils"), "%s is missing", stockHandler).And("some distributions do not package it; then: %s", fix)
	}
	if wrong, fine := s.examineProgram(path, s.reinstall("cifs-utils")); !fine {
		return wrong
	}
	version := s.upcallVersion(path)
	if version == "" {
		return Good("%s", path)
	}
	if mounts.AtLeast(version, "7.2") {
		return Good("%s %s", path, version)
	}
	if mounts.AtLeast(version, "7.0") {
		return Good("%s %s, which finds the ticket in libkrb5's default cache only", path, version)
	}
	if !s.delegates() {
		return Known("%s %s cannot answer for Azure Files, and is not needed: azfiles.upcall answers without it (upcall.mode: native)", path, version)
	}
	return Broken(fix, "%s %s demands a ticket-granting ticket, which Azure Files does not give", path, version)
}
