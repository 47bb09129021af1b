package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// examineProgram says what is wrong with a program that root runs, or gives "" for nothing. The error
// is that it cannot be looked at.
func (s *Subject) examineProgram(path string) (problem string, err error) {
	info, err := s.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := s.Lstat(path); err == nil {
			return "is a link that leads nowhere", nil
		}
		return "is missing", nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "is not a file", nil
	case info.Mode().Perm()&0o111 == 0:
		return "cannot be executed: its mode has no x", nil
	}
	if problem := unsafe(info); problem != "" {
		return unsafePrefix + problem, nil
	}
	return "", nil
}

// unsafeFolder finds the nearest folder above a path in which others than root can put something in
// its place, "" for none.
func (s *Subject) unsafeFolder(path string) string {
	for dir := filepath.Dir(filepath.Clean(path)); dir != "/"; dir = filepath.Dir(dir) {
		info, err := s.Stat(dir)
		if err == nil && info.Mode()&fs.ModeSticky == 0 && unsafe(info) != "" {
			return dir
		}
	}
	return ""
}

// unsafePrefix begins what is said of a program that works and that others can replace.
const unsafePrefix = "can be changed by others than root: "

// versionOf runs a program for its version; "" when it may not be run or says none.
func (s *Subject) versionOf(ctx context.Context, path, flag string) string {
	if !s.Live() {
		return ""
	}
	out, _ := s.Command(ctx, path, flag) // some end with an error and say it all the same
	return regexp.MustCompile(`\d+\.\d+(\.\d+)?`).FindString(out)
}

// atLeast compares a version's numbers with those of another.
func atLeast(version string, want ...int) bool {
	have := strings.Split(version, ".")
	for i, w := range want {
		n := 0
		if i < len(have) {
			n, _ = strconv.Atoi(have[i]) // what is no number is 0
		}
		if n != w {
			return n > w
		}
	}
	return true
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

// programFolders are where mount.azfiles looks for mount.cifs.
func programFolders(name string) []string {
	return []string{"/sbin/" + name, "/usr/sbin/" + name, "/usr/local/sbin/" + name}
}

func checkMountCIFS(ctx context.Context, s *Subject) Result {
	path := s.FirstOf(programFolders("mount.cifs")...)
	if path == "" {
		return Broken(s.install("cifs-utils"), "mount.cifs is in none of /sbin, /usr/sbin and /usr/local/sbin")
	}
	problem, err := s.examineProgram(path)
	switch {
	case err != nil:
		return s.CannotSee(path, err)
	case strings.HasPrefix(problem, unsafePrefix):
		return Warned("chown root:root "+path+" && chmod go-w "+path, "%s %s", path, problem)
	case problem != "":
		return Broken(s.reinstall("cifs-utils"), "%s %s", path, problem)
	}
	return Good("%s %s", path, s.versionOf(ctx, path, "-V"))
}

// requestKey is where the kernel looks for it (call_sbin_request_key in security/keys/request_key.c).
const requestKey = "/sbin/request-key"

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

func checkHandler(ctx context.Context, s *Subject) Result {
	path := ourHandler
	if w := s.winner(); w.err == nil && s.ourRule(w.rule) {
		path = w.rule.Handler()
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

func checkCIFSUpcall(ctx context.Context, s *Subject) Result {
	fix := "set upcall: {mode: native} in /etc/azfilesauth/config.yaml"
	if s.stockWins() {
		fix = "azfilesauth setup"
	}
	path := s.FirstOf(stockHandler, "/sbin/cifs.upcall", "/usr/local/sbin/cifs.upcall")
	if path == "" && !s.delegates() {
		return Known("not installed, and not needed: azfiles.upcall answers by itself (upcall.mode: native)")
	}
	if path == "" {
		return Broken(s.reinstall("cifs-utils"), "%s is missing", stockHandler).And("some distributions do not package it; then: %s", fix)
	}
	switch problem, err := s.examineProgram(path); {
	case err != nil:
		return s.CannotSee(path, err)
	case problem != "":
		return Broken(s.reinstall("cifs-utils"), "%s %s", path, problem)
	}
	switch version := s.versionOf(ctx, path, "-v"); {
	case version == "":
		return Good("%s", path)
	case atLeast(version, 7, 2):
		return Good("%s %s", path, version)
	case atLeast(version, 7, 0):
		return Good("%s %s, which finds the ticket in libkrb5's default cache only", path, version)
	case !s.delegates():
		return Known("%s %s could not answer for Azure Files, and need not: azfiles.upcall answers by itself (upcall.mode: native)", path, version)
	default:
		return Broken(fix, "%s %s demands a ticket-granting ticket, which Azure Files does not give", path, version)
	}
}
