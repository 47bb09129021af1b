package doctor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

func checkNamespaces(_ context.Context, s *Subject) Result {
	host, err := s.mountNamespace("1")
	if err != nil {
		return s.CannotSee("/proc/1/ns/mnt", err)
	}
	for _, pid := range s.daemons() {
		ns, err := s.mountNamespace(pid)
		if err != nil || ns == host { // a sandboxed one has a namespace of its own, into which mounts propagate
			continue
		}
		if missed := s.missedBy(pid); missed != "" {
			return Warned("remove MountFlags= from the unit (systemctl cat azfilesrefresh), then: mount --make-rshared / && systemctl restart azfilesrefresh",
				"azfilesrefresh (process %s) has mounts of its own and does not see %s", pid, missed)
		}
	}
	if own, err := s.mountNamespace("self"); err == nil && own != host {
		return Known("this command runs in a container or another mount namespace: it sees the mounts of that, not those of the host")
	}
	return Good("that of the host")
}

// missedBy gives the mount point of a share of the host's that a process does not see, "" for none.
func (s *Subject) missedBy(pid string) string {
	resolver := s.Config.Resolver()
	all, _ := mounts.ListFrom(s.Path("/proc/1/mountinfo"), resolver) // its namespace could be read
	seen, err := mounts.ListFrom(s.Path(filepath.Join("/proc", pid, "mountinfo")), resolver)
	if err != nil { // it has ended
		return ""
	}
	for _, m := range all {
		if !slices.ContainsFunc(seen, func(o mounts.Mount) bool { return o.Device == m.Device }) {
			return m.Target
		}
	}
	return ""
}

func (s *Subject) mountNamespace(pid string) (string, error) {
	return os.Readlink(s.resolve(filepath.Join("/proc", pid, "ns/mnt"), false))
}

// daemons are the processes of azfilesrefresh.
func (s *Subject) daemons() []string {
	var pids []string
	entries, _ := s.ReadDir("/proc")
	for _, e := range entries {
		if e.Name()[0] < '1' || e.Name()[0] > '9' {
			continue
		}
		line, _ := s.ReadFile(filepath.Join("/proc", e.Name(), "cmdline")) // it may have ended
		argv := strings.Split(string(line), "\x00")
		name := filepath.Base(argv[0])
		if name == "azfilesrefresh" || name == "azfilesauth" && slices.Contains(argv[1:], "watch") {
			pids = append(pids, e.Name())
		}
	}
	return pids
}

// auditLog is where auditd(8) writes.
const auditLog = "/var/log/audit/audit.log"

// maxAudit is how much of its end is looked at, in bytes.
const maxAudit = 1 << 20

func checkSELinux(_ context.Context, s *Subject) Result {
	enforcing, _ := s.ReadFile("/sys/fs/selinux/enforce")
	apparmor, _ := s.ReadFile("/sys/module/apparmor/parameters/enabled")
	if len(enforcing) == 0 && strings.TrimSpace(string(apparmor)) != "Y" {
		return Good("neither is active")
	}
	lines, err := s.denials()
	if err != nil {
		return s.CannotSee(auditLog, err)
	}
	if len(lines) == 0 {
		return Good("none")
	}
	fix := "ausearch -m avc -ts recent | audit2why; restorecon -Rv /usr/bin/azfilesauth /usr/sbin/azfiles.upcall /etc/azfilesauth /run/azfilesauth"
	if len(enforcing) == 0 {
		fix = "aa-status; add the access that is missing to the profile, or aa-complain it"
	}
	r := Warned(fix, "%s", lines[len(lines)-1])
	if strings.TrimSpace(string(enforcing)) == "0" {
		r = r.And("SELinux only warns now (permissive): it would deny this when enforcing")
	}
	return r
}

// denials are the lines about our programs within the last hour, from the log of auditd or, without
// one, from the kernel's.
func (s *Subject) denials() ([]string, error) {
	var all []string
	f, err := s.Open(auditLog)
	if err != nil {
		log, kernelErr := s.Kernel.Log()
		if kernelErr != nil {
			return nil, err
		}
		for _, l := range log {
			all = append(all, l.Text)
		}
	} else {
		defer func() { _ = f.Close() }() // only read
		if info, err := f.Stat(); err == nil && info.Size() > maxAudit {
			_, _ = f.Seek(-maxAudit, io.SeekEnd) // else from the start, as far as the bound
		}
		content, err := io.ReadAll(io.LimitReader(f, maxAudit))
		if err != nil {
			return nil, err
		}
		all = strings.Split(string(content), "\n")
	}
	return s.denied(all), nil
}

// denied picks the recent denials of our programs: "avc:  denied ... comm=" and "apparmor="DENIED"".
func (s *Subject) denied(lines []string) []string {
	ours := regexp.MustCompile(`(comm|exe|profile)="[^"]*(azfiles|request-key|mount\.cifs)`)
	stamp := regexp.MustCompile(`audit\((\d+)[.:]`)
	var found []string
	for _, l := range lines {
		if !strings.Contains(l, "avc:  denied") && !strings.Contains(l, `apparmor="DENIED"`) || !ours.MatchString(l) {
			continue
		}
		m := stamp.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		if at, err := strconv.ParseInt(m[1], 10, 64); err == nil && s.Now().Sub(time.Unix(at, 0)) < recent {
			found = append(found, l)
		}
	}
	return found
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

// Where the Azure Files CSI driver keeps the credential cache, and what it writes to krb5.conf.
const (
	kubeletFolder  = "/var/lib/kubelet"
	kubeletCaches  = kubeletFolder + "/kerberos"
	csiDriverWrote = "FILE:" + kubeletCaches + "/krb5cc_%{uid}"
)

func checkKubernetes(_ context.Context, s *Subject) Result {
	var f several
	f.add(s.container())
	if s.FirstOf(kubeletFolder) == "" {
		return f.result(Good("it is none"))
	}
	if strings.HasPrefix(strings.TrimPrefix(s.Config.CCacheName(0), "FILE:"), kubeletCaches+"/") && s.ConfigErr == nil {
		f.add(Known("%s names the credential cache of the CSI driver, which writes the file anew whenever its pod starts", s.ConfigPath))
	}
	f.add(s.overwrittenKrb5Conf())
	return f.result(Good("the CSI driver has left no trace"))
}

// overwrittenKrb5Conf finds that the driver's krb5.conf has put the site's own settings out of force.
func (s *Subject) overwrittenKrb5Conf() Result {
	text, err := s.ReadFile("/etc/krb5.conf")
	if err != nil || !strings.Contains(string(text), csiDriverWrote) {
		return Result{Status: OK}
	}
	others, _ := s.ReadDir("/etc/krb5.conf.d")
	if len(others) == 0 || strings.Contains(string(text), "includedir") {
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
	here, errHere := s.Stat("/run")
	node, errNode := s.Stat("/proc/1/root/run")
	switch {
	case errHere == nil && errNode == nil && os.SameFile(here, node), errNode != nil:
		return Known("this is a container (%s): the upcall runs on the node, whose files this process does not see", mark)
	}
	return Known("this is a container (%s) that does not share /run with the node: azfilesauth doctor --root /proc/1/root looks at the node", mark)
}
