package doctor

import (
	"slices"
	"strings"
)

// distribution is ID and ID_LIKE of os-release(5).
func (s *Subject) distribution() []string {
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
	return ids
}

// is reports whether the distribution is one of the names or descends from one.
func (s *Subject) is(names ...string) bool {
	return slices.ContainsFunc(s.distribution(), func(id string) bool { return slices.Contains(names, id) })
}

// install is the command that installs a package, whose name is the same everywhere.
func (s *Subject) install(name string) string {
	switch {
	case s.is("azurelinux", "mariner"):
		return "tdnf install -y " + name
	case s.is("fedora", "rhel", "centos"):
		return "dnf install -y " + name
	case s.is("suse", "opensuse", "sles"):
		return "zypper install -y " + name
	case s.is("alpine"):
		return "apk add " + name
	case s.is("debian", "ubuntu"):
		return "apt-get install -y " + name
	}
	return "install the package " + name
}

// reinstall is the command that brings back files of a package that were deleted or changed.
func (s *Subject) reinstall(name string) string {
	switch {
	case s.is("azurelinux", "mariner"):
		return "tdnf reinstall -y " + name
	case s.is("fedora", "rhel", "centos"):
		return "dnf reinstall -y " + name
	case s.is("suse", "opensuse", "sles"):
		return "zypper install -y --force " + name
	case s.is("debian", "ubuntu"):
		return "apt-get install -y --reinstall -o Dpkg::Options::=--force-confmiss " + name
	}
	return "install the package " + name + " again"
}
