package doctor

import (
	"bufio"
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func cifsModuleCheck() Check {
	return Check{
		ID: "cifs-module", Group: Machine, Title: "SMB client of the kernel", Severity: Fails, Offline: true,
		Proves: "The kernel has its SMB client, cifs, or can load it, and it can ask for tickets.",
		Why:    "No share can be mounted without it; kernels for clouds have it in a package of its own.",
		Run:    checkCIFSModule,
	}
}

func checkCIFSModule(_ context.Context, s *Subject) Result {
	if s.hasFileSystem("cifs") {
		return Good("loaded")
	}
	kernels := s.kernels()
	if len(kernels) == 0 {
		return NotChecked("there is no kernel beneath %s", s.Root)
	}
	if i := slices.IndexFunc(kernels, func(k string) bool { return s.hasModule(k, "cifs") }); i < 0 {
		return Broken(s.installModules(kernels[0]), "the kernel %s has no module cifs", strings.Join(kernels, ", "))
	}
	if place := s.moduleForbidden("cifs"); place != "" {
		return Broken("remove the line of "+place+", then: modprobe cifs", "%s keeps the module cifs from being loaded", place)
	}
	if off, _ := s.ReadFile("/proc/sys/kernel/modules_disabled"); strings.TrimSpace(string(off)) == "1" {
		return Broken("echo cifs > /etc/modules-load.d/cifs.conf && reboot", "cifs is not loaded, and kernel.modules_disabled forbids to load modules")
	}
	for _, k := range kernels {
		if config, ok := s.kernelConfig(k); ok && config["CONFIG_CIFS"] != "" && config["CONFIG_CIFS_UPCALL"] == "" {
			return Broken("use a kernel with CONFIG_CIFS_UPCALL=y", "the kernel %s is built without CONFIG_CIFS_UPCALL", k)
		}
	}
	return Good("the first mount loads it")
}

// kernels are the running kernel or, of another root without one, all that have modules there.
func (s *Subject) kernels() []string {
	if release := s.release(); release != "" {
		return []string{release}
	}
	var all []string
	entries, _ := s.ReadDir("/lib/modules") // none is none
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, e.Name())
		}
	}
	return all
}

// release is that of the running kernel, "" when the root is not that of a running machine.
func (s *Subject) release() string {
	content, _ := s.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(content))
}

// hasFileSystem reports whether the kernel knows a file system now.
func (s *Subject) hasFileSystem(name string) bool {
	content, _ := s.ReadFile("/proc/filesystems")
	for line := range strings.Lines(string(content)) {
		if strings.TrimSpace(strings.TrimPrefix(line, "nodev")) == name {
			return true
		}
	}
	return false
}

// hasModule looks for a module, built in or not, in what depmod(8) left.
func (s *Subject) hasModule(release, name string) bool {
	for _, list := range []string{"modules.dep", "modules.builtin"} {
		f, err := s.Open(filepath.Join("/lib/modules", release, list))
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		found := false
		for !found && lines.Scan() {
			path, _, _ := strings.Cut(lines.Text(), ":")
			base, _, _ := strings.Cut(filepath.Base(path), ".ko")
			found = base == name
		}
		_ = f.Close() // only read
		if found {
			return true
		}
	}
	return false
}

// moduleForbidden finds the line of modprobe.d(5) that keeps a module from being loaded when it is
// first needed: FILE:LINE, or "".
func (s *Subject) moduleForbidden(name string) string {
	forbids := regexp.MustCompile(`^\s*(blacklist\s+` + name + `\s*$|install\s+` + name + `\s+(/usr)?/bin/(true|false)\b)`)
	for _, dir := range []string{"/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"} {
		entries, _ := s.ReadDir(dir) // none is none
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".conf") {
				continue
			}
			path := filepath.Join(dir, e.Name())
			content, _ := s.ReadFile(path)
			if n := lineOf(string(content), forbids.MatchString); n > 0 {
				return fileLine(path, n)
			}
		}
	}
	return ""
}

// kernelConfig reads the kernel's build options; ok is false where they are not to be found.
func (s *Subject) kernelConfig(release string) (options map[string]string, ok bool) {
	for _, path := range []string{"/boot/config-" + release, "/lib/modules/" + release + "/config"} {
		content, err := s.ReadFile(path)
		if err != nil {
			continue
		}
		options = map[string]string{}
		for line := range strings.Lines(string(content)) {
			if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(key, "#") {
				options[key] = strings.Trim(value, `"`)
			}
		}
		return options, true
	}
	return nil, false
}

// installModules is the command that brings the modules that a cloud's kernel leaves out.
func (s *Subject) installModules(release string) string {
	switch {
	case s.is("ubuntu"):
		return "apt-get install -y linux-modules-extra-" + release + " && modprobe cifs"
	case s.is("fedora", "rhel", "centos"):
		return "dnf install -y kernel-modules-" + release + " && modprobe cifs"
	case s.is("suse", "opensuse", "sles"):
		return "zypper install -y kernel-default && reboot"
	}
	return "install a kernel with the module cifs, reboot, then: modprobe cifs"
}
