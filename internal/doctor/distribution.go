package doctor

import (
	"slices"
	"strings"
)

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

// install is the command that installs a package.
func (s *Subject) install(name string) string {
	return strings.ReplaceAll(s.packager().install, "NAME", name)
}

// reinstall is the command that brings back files of a package.
func (s *Subject) reinstall(name string) string {
	return strings.ReplaceAll(s.packager().reinstall, "NAME", name)
}
