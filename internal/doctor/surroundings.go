package doctor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
)

func checkIncumbent(_ context.Context, s *Subject) Result {
	found := []Result{Good("there are none"), s.adminGroups(), s.loginShell()}
	for _, name := range []string{"azfilesauthmanager", "azfilesrefresh"} {
		for _, dir := range []string{"/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin"} {
			found = append(found, s.script(dir+"/"+name))
		}
	}
	found = append(found, s.oldUnit())
	if s.FirstOf("/opt/azfilesauth") != "" {
		found = append(found, Known("/opt/azfilesauth is not needed any more: rm -r /opt/azfilesauth"))
	}
	if s.FirstOf("/run/azfilesauth/endpoint-auth-state.json") != "" {
		found = append(found, Known("/run/azfilesauth/endpoint-auth-state.json is not read: who obtained a ticket is recorded beside it"))
	}
	return worst(found...)
}

// adminGroups finds the user in a group that may become root (group(5)).
func (s *Subject) adminGroups() Result {
	for line := range strings.Lines(s.text("/etc/group")) {
		fields := strings.Split(strings.TrimSpace(line), ":")
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
	for line := range strings.Lines(s.text(s.Passwd)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
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

// Where the Azure Files CSI driver keeps the credential cache, and what it writes to krb5.conf.
const (
	kubeletFolder  = "/var/lib/kubelet"
	kubeletCaches  = kubeletFolder + "/kerberos"
	csiDriverWrote = "FILE:" + kubeletCaches + "/krb5cc_%{uid}"
)

func checkKubernetes(_ context.Context, s *Subject) Result {
	container := s.container()
	if s.FirstOf(kubeletFolder) == "" {
		return worst(Good("it is none"), container)
	}
	found := []Result{Good("the CSI driver has left no trace"), container, s.overwrittenKrb5Conf()}
	if strings.HasPrefix(strings.TrimPrefix(s.Config.CCacheName(0), "FILE:"), kubeletCaches+"/") && s.ConfigErr == nil {
		theirs := Known("%s names the credential cache of the CSI driver, which writes the file anew whenever its pod starts", s.Host.Config)
		found = slices.Insert(found, 2, theirs)
	}
	return worst(found...)
}

// overwrittenKrb5Conf finds that the driver's krb5.conf has put the site's own settings out of force.
func (s *Subject) overwrittenKrb5Conf() Result {
	text := s.text(krb5conf.Path)
	if !strings.Contains(text, csiDriverWrote) {
		return Result{Status: OK}
	}
	others, _ := s.ReadDir("/etc/krb5.conf.d")
	if len(others) == 0 || strings.Contains(text, "includedir") {
		return Known("the CSI driver has written /etc/krb5.conf")
	}
	return Warned("put the line \"includedir /etc/krb5.conf.d/\" at the top of /etc/krb5.conf, and again after each start of the CSI driver's pod",
		"the CSI driver has overwritten /etc/krb5.conf, so that the files in /etc/krb5.conf.d count no more")
}

// container finds that this process is in a container and so sees other files than the kernel's upcall.
func (s *Subject) container() Result {
	mark := s.FirstOf("/.dockerenv", "/run/.containerenv")
	if mark == "" {
		return Result{Status: OK}
	}
	if _, err := s.Stat("/proc/1/root/run"); err != nil || sameFile(s.Path("/run"), s.Path("/proc/1/root/run")) {
		return Known("this is a container (%s): the upcall runs on the node, whose files this process does not see", mark)
	}
	return Known("this is a container (%s) that does not share /run with the node: azfilesauth doctor --root /proc/1/root looks at the node", mark)
}

// sameFile reports whether two paths of this process are one file.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// auditLog is where auditd(8) writes.
const auditLog = "/var/log/audit/audit.log"

// maxAudit is how much of its end is looked at, in bytes.
const maxAudit = 1 << 20

func checkSELinux(_ context.Context, s *Subject) Result {
	enforcing := s.text("/sys/fs/selinux/enforce")
	if enforcing == "" && s.text("/sys/module/apparmor/parameters/enabled") != "Y" {
		return Good("neither is active")
	}
	log, err := s.auditLog()
	if err != nil {
		return s.CannotSee(auditLog, err)
	}
	lines := s.denied(log)
	if len(lines) == 0 {
		return Good("none")
	}
	fix := "ausearch -m avc -ts recent | audit2why; restorecon -Rv /usr/bin/azfilesauth /usr/sbin/azfiles.upcall /etc/azfilesauth /run/azfilesauth"
	if enforcing == "" {
		fix = "aa-status; add the access that is missing to the profile, or aa-complain it"
	}
	r := Warned(fix, "%s", lines[len(lines)-1])
	if enforcing == "0" {
		r = r.And("SELinux only warns now (permissive): it would deny this when enforcing")
	}
	return r
}

// auditLog gives the lines of the log of auditd or, without one, of the kernel's.
func (s *Subject) auditLog() ([]string, error) {
	f, err := s.Open(auditLog)
	if err != nil {
		log, kernelErr := s.Kernel.Log()
		if kernelErr != nil {
			return nil, err
		}
		var lines []string
		for _, l := range log {
			lines = append(lines, l.Text)
		}
		return lines, nil
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err == nil && info.Size() > maxAudit {
		_, _ = f.Seek(-maxAudit, io.SeekEnd) // else from the start, as far as the bound
	}
	content, err := io.ReadAll(io.LimitReader(f, maxAudit))
	return strings.Split(string(content), "\n"), err
}

// denied picks the denials of our programs within the last hour: "avc:  denied ... comm=" and
// "apparmor="DENIED"".
func (s *Subject) denied(lines []string) []string {
	ours := regexp.MustCompile(`(comm|exe|profile)="[^"]*(azfiles|request-key|mount\.cifs)`)
	stamp := regexp.MustCompile(`audit\((\d+)[.:]`)
	var found []string
	for _, l := range lines {
		m := stamp.FindStringSubmatch(l)
		if m == nil || !strings.Contains(l, "avc:  denied") && !strings.Contains(l, `apparmor="DENIED"`) || !ours.MatchString(l) {
			continue
		}
		if at, err := strconv.ParseInt(m[1], 10, 64); err == nil && s.Now().Sub(time.Unix(at, 0)) < recent {
			found = append(found, l)
		}
	}
	return found
}
