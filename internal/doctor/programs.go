package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// examineProgram judges a program that root runs. Unless it is fine there is a result, with fix as the
// advice where it is missing or no program.
func (s *Subject) examineProgram(path, fix string) (wrong Result, fine bool) {
	info, err := s.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := s.Lstat(path); err == nil {
			return Broken(fix, "%s is a dangling link", path), false
		}
		return Broken(fix, "%s is missing", path), false
	}
	if err != nil {
		return s.CannotSee(path, err), false
	}
	if !info.Mode().IsRegular() {
		return Broken(fix, "%s is not a file", path), false
	}
	if info.Mode().Perm()&0o111 == 0 {
		return Broken(fix, "%s cannot be executed: its mode has no x", path), false
	}
	if exposed := s.Exposed(info); exposed != nil {
		return secured(path, "%s can be changed by others than root: %v", path, exposed), false
	}
	return Result{}, true
}

// examineOurs is examineProgram for a name of azfilesauth. What else has the name is in the way of setup.
func (s *Subject) examineOurs(path string) (wrong Result, fine bool) {
	aside := "mv " + path + " " + path + ".old && azfilesauth setup"
	if wrong, fine = s.examineProgram(path, aside); fine && !s.isOurProgram(path) {
		return Broken(aside, "%s is not azfilesauth but %s", path, s.resolveLinks(path)), false
	}
	if _, err := s.Lstat(path); err != nil && wrong.Status == Problem {
		wrong.Fix = "azfilesauth setup"
		return wrong.By("links"), false
	}
	return wrong, fine
}

// versionOf runs a program for its version; "" when it may not be run or says none.
func (s *Subject) versionOf(ctx context.Context, path, flag string) string {
	if !s.Live() {
		return ""
	}
	out, _ := s.Exec(ctx, path, flag) // some end with an error and say it all the same
	return regexp.MustCompile(`\d+\.\d+(\.\d+)?`).FindString(out)
}

// elsewhere is the directory of this program on a machine that a pod has given it to, and whose /usr is read-only, ""
// on any other machine.
func (s *Subject) elsewhere() string {
	if s.FirstOf(host.NodeRecord) == "" || s.FirstOf(host.Bin("azfilesauth")) != "" {
		return ""
	}
	i := slices.IndexFunc(host.Elsewhere, func(dir string) bool { return s.FirstOf(dir+"/azfilesauth") != "" })
	if i < 0 {
		return ""
	}
	return host.Elsewhere[i]
}

// checkLinksElsewhere is checkLinks for such a directory.
func (s *Subject) checkLinksElsewhere(dir string) Result {
	for _, name := range []string{"mount.azfiles", "azfilesauthmanager"} {
		if wrong, fine := s.examineProgram(dir+"/"+name, "kubectl delete pod POD, whose DaemonSet makes another, which gives it to the node again"); !fine {
			return wrong
		}
	}
	return Known("/usr is read-only: the programs are in %s, where mount(8) does not look for mount.azfiles: run it by its path", dir)
}

func checkLinks(_ context.Context, s *Subject) Result {
	if dir := s.elsewhere(); dir != "" {
		return s.checkLinksElsewhere(dir)
	}
	helper := s.FirstOf("/sbin/mount.azfiles", "/usr/sbin/mount.azfiles")
	if helper == "" {
		wrong, _ := s.examineOurs("/usr/sbin/mount.azfiles")
		wrong.Evidence = []string{"mount.azfiles is neither in /sbin nor in /usr/sbin"}
		return wrong
	}
	if wrong, fine := s.examineOurs(helper); !fine {
		return wrong
	}
	for _, name := range []string{"azfilesrefresh", "azfilesauthmanager"} {
		path := s.FirstOf(host.Bin(name), "/usr/bin/"+name, "/usr/sbin/"+name, "/usr/local/bin/"+name, "/usr/local/sbin/"+name)
		if path == "" && name == "azfilesrefresh" && s.FirstOf(host.NodeRecord) != "" { // it runs in a pod, by another name
			continue
		}
		if path == "" {
			return Warned("azfilesauth setup", "there is no %s in %s", name, filepath.Dir(host.Bin(name))).By("links")
		}
		if !s.isOurProgram(path) {
			return Warned("remove the package that installed "+path+", then: azfilesauth setup", "%s is not azfilesauth but %s", path, s.resolveLinks(path))
		}
	}
	return Good("%s", helper)
}

func checkMountCIFS(ctx context.Context, s *Subject) Result {
	path := s.FirstOf("/sbin/mount.cifs", "/usr/sbin/mount.cifs", "/usr/local/sbin/mount.cifs")
	if path == "" {
		return Broken(s.install("cifs-utils"), "mount.cifs is in none of /sbin, /usr/sbin and /usr/local/sbin")
	}
	if wrong, fine := s.examineProgram(path, s.reinstall("cifs-utils")); !fine {
		return wrong
	}
	return Good("%s %s", path, s.versionOf(ctx, path, "-V"))
}

// packager is how a distribution brings packages, whose names are the same everywhere.
type packager struct {
	names     []string // ID and ID_LIKE of os-release(5)
	install   string   // NAME stands for the package
	reinstall string   // brings back what was deleted or changed
	modules   string   // brings the modules that a cloud's kernel leaves out; RELEASE stands for the kernel's
}

const (
	aptInstall   = "apt-get install -y NAME"
	aptReinstall = "apt-get install -y --reinstall -o Dpkg::Options::=--force-confmiss NAME"
	someInstall  = "install the package NAME"
	reinstallIt  = "install the package NAME again"
	someKernel   = "install a kernel with the module cifs, reboot, then: modprobe cifs"
)

// packagers are those that are known; the first that fits counts, and the last fits every one.
var packagers = []packager{
	{[]string{"ubuntu"}, aptInstall, aptReinstall, "apt-get install -y linux-modules-extra-RELEASE && modprobe cifs"},
	{[]string{"azurelinux", "mariner"}, "tdnf install -y NAME", "tdnf reinstall -y NAME", someKernel},
	{[]string{"fedora", "rhel", "centos"}, "dnf install -y NAME", "dnf reinstall -y NAME", "dnf install -y kernel-modules-RELEASE && modprobe cifs"},
	{[]string{"suse", "opensuse", "sles"}, "zypper install -y NAME", "zypper install -y --force NAME", "zypper install -y kernel-default && reboot"},
	{[]string{"alpine"}, "apk add NAME", reinstallIt, someKernel},
	{[]string{"debian"}, aptInstall, aptReinstall, someKernel},
	{nil, someInstall, reinstallIt, someKernel},
}

func (s *Subject) packager() packager {
	content, err := s.ReadFile("/etc/os-release")
	if err != nil {
		content, _ = s.ReadFile("/usr/lib/os-release") // without it the distribution is not known
	}
	var ids []string
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "ID" || key == "ID_LIKE" {
			ids = append(ids, strings.Fields(strings.Trim(value, `"'`))...)
		}
	}
	for _, p := range packagers {
		if p.names == nil || slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(p.names, id) }) {
			return p
		}
	}
	return packager{}
}

func (s *Subject) install(name string) string {
	return strings.ReplaceAll(s.packager().install, "NAME", name)
}

// reinstall is the command that brings back files of a package.
func (s *Subject) reinstall(name string) string {
	return strings.ReplaceAll(s.packager().reinstall, "NAME", name)
}
