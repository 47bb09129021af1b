package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

func checkIncumbent(_ context.Context, s *Subject) Result {
	found := []Result{Good("there are none"), s.adminGroups(), s.loginShell()}
	for _, name := range []string{"azfilesauthmanager", "azfilesrefresh"} {
		for _, dir := range []string{"/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin"} {
			found = append(found, s.script(dir+"/"+name))
		}
	}
	found = append(found, s.oldUnit())
	if s.FirstOf("/opt/azfilesauth") != "" && s.FirstOf("/opt/azfilesauth/bin/azfilesauth") == "" { // that is ours, by PREFIX or on a read-only /usr
		found = append(found, Known("/opt/azfilesauth is not needed any more: rm -r /opt/azfilesauth"))
	}
	if s.FirstOf("/run/azfilesauth/endpoint-auth-state.json") != "" {
		found = append(found, Known("/run/azfilesauth/endpoint-auth-state.json is not read: who obtained a ticket is recorded beside it"))
	}
	return worst(found...)
}

// adminGroups finds the user in a group that may become root (group(5)).
func (s *Subject) adminGroups() Result {
	found := quiet
	_ = s.EachRecord(s.Group, 4, func(group []string) bool { // what cannot be read has no groups
		if slices.Contains(host.RootGroups(), group[0]) && slices.Contains(strings.Split(group[3], ","), config.SystemUser) {
			found = Warned(fmt.Sprintf("gpasswd -d %s %s", config.SystemUser, group[0]),
				"%s is in the group %s, so anyone who becomes that user can become root", config.SystemUser, group[0]).By("user-groups")
			return false
		}
		return true
	})
	return found
}

// loginShell finds that the user can log in (passwd(5)).
func (s *Subject) loginShell() Result {
	user, err := s.LocalUser(config.SystemUser)
	if err != nil || strings.HasSuffix(user.Shell, "/nologin") || strings.HasSuffix(user.Shell, "/false") {
		return quiet
	}
	return Warned("usermod -s /usr/sbin/nologin "+config.SystemUser, "%s has the login shell %s", config.SystemUser, user.Shell)
}

// script finds the other program's script where a link to ours is expected.
func (s *Subject) script(path string) Result {
	f, err := s.Open(path)
	if err != nil {
		return quiet
	}
	defer func() { _ = f.Close() }() // only read
	begin := make([]byte, 2)
	if n, _ := f.Read(begin); !bytes.Equal(begin[:n], []byte("#!")) {
		return quiet
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
		return quiet
	}
	text, err := s.ReadFile(path)
	if err != nil || bytes.Contains(text, []byte("Type=notify")) { // a full copy that an administrator made of ours
		return quiet
	}
	return Warned("rm "+path+" && systemctl daemon-reload && systemctl enable --now azfilesrefresh",
		"%s is the unit of AzFilesAuthenticator and goes before the one that is installed", path)
}

// Where the Azure Files CSI driver keeps the credential cache, and what it writes to krb5.conf.
const (
	kubeletDir     = "/var/lib/kubelet"
	kubeletCaches  = kubeletDir + "/kerberos"
	csiDriverWrote = "FILE:" + kubeletCaches + "/krb5cc_%{uid}"
)

func checkKubernetes(_ context.Context, s *Subject) Result {
	container := s.container()
	if s.FirstOf(kubeletDir) == "" {
		return worst(Good("it is none"), container)
	}
	found := []Result{Good("the CSI driver has left no trace"), container, s.overwrittenKrb5Conf()}
	if strings.HasPrefix(s.Config.CCacheName(0), kubeletCaches+"/") && s.ConfigErr == nil {
		theirs := Known("%s names the credential cache of the CSI driver, which rewrites the file whenever its pod starts", s.Host.Config)
		found = slices.Insert(found, 2, theirs)
	}
	return worst(found...)
}

// overwrittenKrb5Conf finds that the driver's krb5.conf has put the site's own settings out of force.
func (s *Subject) overwrittenKrb5Conf() Result {
	text := s.text(krb5conf.Path)
	if !strings.Contains(text, csiDriverWrote) {
		return quiet
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
		return quiet
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

func checkLastMount(_ context.Context, s *Subject) Result {
	if s.AttemptsErr != nil {
		return s.CannotSee(lastfault.Dir(s.Host), s.AttemptsErr)
	}
	found := []Result{Good("there was none")}
	for _, a := range s.Attempts {
		e, err := s.Config.Resolver.Resolve(hostOf(a.Source))
		if a.Target == s.place && mounts.At(s.place, s.Mounts, nil).Mount == nil {
			found = append(found, s.tellAttempt(a))
		}
		if s.place != "" || !s.isOfInterest(a) || err != nil && s.Endpoint != "" || err == nil && !s.tests(e.Host()) {
			continue
		}
		found = append(found, s.tellAttempt(a))
	}
	return worst(found...)
}

func (s *Subject) tellAttempt(a lastfault.Attempt) Result {
	r := Warned(a.Fix, "%s on %s with the options %q, %d s ago: %s: %s", a.Source, a.Target, a.Options, int(s.Now().Sub(a.At).Seconds()), a.ID, a.Text)
	r.Fault = a.ID
	return r
}

func checkLastFault(_ context.Context, s *Subject) Result {
	found := []Result{Good("there was none")}
	entries, err := s.ReadDir(lastfault.Dir(s.Host))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.CannotSee(lastfault.Dir(s.Host), err)
	}
	for _, entry := range entries {
		last, ok := lastfault.Load(s.Host, entry.Name())
		if !ok || !s.tests(entry.Name()) {
			continue
		}
		r := Warned(last.Fix, "%s at %s: %s: %s", entry.Name(), s.left(last.At), last.ID, last.Text)
		r.Fault = last.ID
		found = append(found, r)
	}
	return worst(found...)
}

func checkDaemon(ctx context.Context, s *Subject) Result {
	status, err := control.NewClient(s.Path(control.DefaultPath)).Status(ctx)
	if errors.Is(err, fs.ErrPermission) && s.EUID != 0 {
		return s.CannotSee(control.DefaultPath, err)
	}
	if errors.Is(err, control.ErrNotRunning) && len(s.Targets) == 0 {
		return Good("it does not run, and nothing is mounted that would need it")
	}
	if errors.Is(err, control.ErrNotRunning) {
		r := Warned(control.HowToStart(s.Host), "it does not run")
		if s.InPod() {
			return r
		}
		return r.By("unit")
	}
	if err != nil {
		return Warned(control.HowToRestart(s.Host), "it does not answer: %v", err)
	}
	if !status.Active {
		return Known("process %d waits, because process %d keeps the same credential cache", status.PID, status.HolderPID)
	}
	found := []Result{Good("process %d, since %s", status.PID, s.left(status.Started))}
	for _, e := range status.Endpoints {
		if s.tests(e.Host) {
			found = append(found, s.examineKept(e))
		}
	}
	return worst(found...)
}

// examineKept judges an endpoint that the daemon keeps.
func (s *Subject) examineKept(e control.Endpoint) Result {
	if e.State == control.Foreign {
		return Known("%s is not renewed: %s", e.Host, e.Why)
	}
	if e.LastFault != nil {
		times := "once"
		if e.Failures != 1 {
			times = fmt.Sprintf("%d times in a row", e.Failures)
		}
		r := Warned(e.LastFault.Fix, "%s: %s: %s; it failed %s", e.Host, e.LastFault.ID, e.LastFault.What, times)
		r.Fault = fault.ID(e.LastFault.ID)
		return r
	}
	if e.State == control.Expired || e.State == control.Missing {
		return Warned("azfilesauth refresh "+e.Host, "%s has no valid ticket: %s %s", e.Host, e.State, e.Why)
	}
	return Good("%s: the ticket expires at %s", e.Host, s.left(e.TicketEnd))
}

func checkNamespaces(_ context.Context, s *Subject) Result {
	if s.MountsErr != nil { // of a mount as well: mount.azfiles ends with it
		return Failed(s.MountsErr)
	}
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
	resolver := s.Config.Resolver
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
	return os.Readlink(s.Entry(filepath.Join("/proc", pid, "ns/mnt")))
}

// daemons are the processes of azfilesrefresh.
func (s *Subject) daemons() []string {
	var pids []string
	entries, _ := s.ReadDir("/proc")
	for _, e := range entries {
		if e.Name()[0] < '1' || e.Name()[0] > '9' {
			continue
		}
		argv := strings.Split(s.text(filepath.Join("/proc", e.Name(), "cmdline")), "\x00") // it may have ended
		name := filepath.Base(argv[0])
		if name == "azfilesrefresh" || name == "azfilesauth" && slices.Contains(argv[1:], "watch") {
			pids = append(pids, e.Name())
		}
	}
	return pids
}
