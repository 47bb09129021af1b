package doctor

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
)

func incumbentCheck() Check {
	return Check{
		ID: "incumbent", Group: Surroundings, Title: "leftovers of AzFilesAuthenticator", Severity: Latent, Offline: true,
		Proves: "Nothing of the program that this one takes the place of is in the way.",
		Why:    "It made its user an administrator of the machine; its programs and its unit would run in the place of these.",
		Run:    checkIncumbent,
	}
}

func checkIncumbent(_ context.Context, s *Subject) Result {
	var f several
	f.add(s.adminGroups())
	f.add(s.loginShell())
	for _, name := range []string{"azfilesauthmanager", "azfilesrefresh"} {
		for _, folder := range []string{"/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin"} {
			f.add(s.script(folder + "/" + name))
		}
	}
	f.add(s.oldUnit())
	if s.FirstOf("/opt/azfilesauth") != "" {
		f.add(Known("/opt/azfilesauth is not needed any more: rm -r /opt/azfilesauth"))
	}
	if s.FirstOf("/run/azfilesauth/endpoint-auth-state.json") != "" {
		f.add(Known("/run/azfilesauth/endpoint-auth-state.json is not read: who obtained a ticket is recorded beside it"))
	}
	return f.result(Good("there are none"))
}

// adminGroups finds the user in a group that may become root (group(5)).
func (s *Subject) adminGroups() Result {
	text, err := s.ReadFile("/etc/group")
	if err != nil {
		return Result{Status: OK}
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 4 || !slices.Contains([]string{"sudo", "wheel", "admin"}, fields[0]) {
			continue
		}
		if slices.Contains(strings.Split(fields[3], ","), config.SystemUser) {
			return Warned(fmt.Sprintf("gpasswd -d %s %s", config.SystemUser, fields[0]),
				"%s is in the group %s, so that whoever becomes it becomes root", config.SystemUser, fields[0]).By("user-groups")
		}
	}
	return Result{Status: OK}
}

// loginShell finds that the user can log in (passwd(5)).
func (s *Subject) loginShell() Result {
	text, _ := s.ReadFile("/etc/passwd")
	for line := range strings.SplitSeq(string(text), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 7 || fields[0] != config.SystemUser {
			continue
		}
		if shell := fields[6]; !strings.HasSuffix(shell, "/nologin") && !strings.HasSuffix(shell, "/false") {
			return Warned("usermod -s /usr/sbin/nologin "+config.SystemUser, "%s has the login shell %s", config.SystemUser, shell)
		}
	}
	return Result{Status: OK}
}

// script finds the other program's script where a link to ours is expected.
func (s *Subject) script(path string) Result {
	f, err := s.Open(path)
	if err != nil {
		return Result{Status: OK}
	}
	defer func() { _ = f.Close() }() // only read
	begin := make([]byte, 2)
	if n, _ := f.Read(begin); !bytes.Equal(begin[:n], []byte("#!")) {
		return Result{Status: OK}
	}
	if strings.HasPrefix(path, "/usr/local/") {
		return Warned("rm "+path, "%s is the script of AzFilesAuthenticator and comes first in PATH", path)
	}
	return Warned("rm "+path+" && azfilesauth setup", "%s is the script of AzFilesAuthenticator", path).By("links")
}

// oldUnit finds its unit where it goes before that of a package (systemd.unit(5), "Unit File Load Path").
func (s *Subject) oldUnit() Result {
	const path = "/etc/systemd/system/azfilesrefresh.service"
	info, err := s.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return Result{Status: OK}
	}
	text, err := s.ReadFile(path)
	if err != nil || bytes.Contains(text, []byte("Type=notify")) { // a full copy that an administrator made of ours
		return Result{Status: OK}
	}
	return Warned("rm "+path+" && systemctl daemon-reload && systemctl enable --now azfilesrefresh",
		"%s is the unit of AzFilesAuthenticator and goes before the one that is installed", path)
}
