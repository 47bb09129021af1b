package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

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

func checkGCM256(_ context.Context, s *Subject) Result {
	const folder = "/sys/module/cifs/parameters/"
	parameter := func(name string) string {
		content, _ := s.ReadFile(folder + name)
		return strings.TrimSpace(string(content))
	}
	switch {
	case parameter("require_gcm_256") == "Y":
		return Good("required")
	case parameter("enable_gcm_256") == "N":
		return Warned("echo Y > "+folder+"enable_gcm_256, and remove enable_gcm_256 from /etc/modprobe.d", "the module cifs has enable_gcm_256=N")
	case parameter("enable_gcm_256") == "Y":
		return Good("offered")
	}
	return NotChecked("the module cifs is not loaded")
}

func checkFIPS(_ context.Context, s *Subject) Result {
	on, err := s.ReadFile("/proc/sys/crypto/fips_enabled")
	if err == nil && strings.TrimSpace(string(on)) == "1" {
		return Known("the kernel is in FIPS mode: only tickets with AES keys can be used")
	}
	return Good("off")
}

func checkUpcallTarget(_ context.Context, s *Subject) Result {
	const option = "upcall_target"
	for _, m := range s.Mounts {
		if _, shown := m.Options.Get(option); shown {
			return Good("known to the kernel")
		}
	}
	if !s.hasFileSystem("cifs") { // asking would load it
		return NotChecked("the module cifs is not loaded")
	}
	switch err := s.Kernel.MountOption("cifs", option, "mount"); {
	case err == nil:
		return Good("known to the kernel")
	case errors.Is(err, unix.EINVAL):
		return Known("this kernel does not know it, so mount.azfiles leaves it out")
	case errors.Is(err, unix.EPERM):
		return NotChecked("only root can ask the kernel: run it again with sudo")
	default:
		return NotChecked("the kernel cannot be asked: %v", err)
	}
}

func checkKeyForgery(_ context.Context, s *Subject) Result {
	switch err := s.Kernel.AddKey("cifs.spnego", "azfilesauth-probe"); {
	case err == nil:
		return Warned("install the newest kernel of your distribution and reboot", "any user can add keys of the type cifs.spnego")
	case errors.Is(err, unix.EPERM):
		return Good("the kernel refuses them")
	case errors.Is(err, unix.ENODEV):
		return NotChecked("the module cifs is not loaded")
	default:
		return NotChecked("the kernel cannot be asked: %v", err)
	}
}

func checkUsermodeHelper(_ context.Context, s *Subject) Result {
	release := s.release()
	if release == "" {
		return NotChecked("no kernel runs beneath %s", s.Root)
	}
	config, _ := s.kernelConfig(release)
	if config["CONFIG_STATIC_USERMODEHELPER"] == "y" {
		helper := config["CONFIG_STATIC_USERMODEHELPER_PATH"]
		if helper == "" {
			return Broken("use a kernel without CONFIG_STATIC_USERMODEHELPER", "the kernel %s starts no programs (CONFIG_STATIC_USERMODEHELPER)", release)
		}
		return Warned("see to it that "+helper+" runs /sbin/request-key", "the kernel starts %s in the place of every program (CONFIG_STATIC_USERMODEHELPER_PATH)", helper)
	}
	bset, err := s.ReadFile("/proc/sys/kernel/usermodehelper/bset")
	if err != nil {
		return Good("nothing is known to the contrary")
	}
	const all = "4294967295" // of one half of the capabilities
	if low, _, _ := strings.Cut(strings.TrimSpace(string(bset)), "\t"); low != all {
		return Warned("remove kernel.usermodehelper.bset from /etc/sysctl.conf and /etc/sysctl.d, and reboot",
			"programs that the kernel starts have not all capabilities: kernel.usermodehelper.bset is %s", strings.TrimSpace(string(bset)))
	}
	return Good("allowed")
}

func checkNegativeKeys(_ context.Context, s *Subject) Result {
	f, err := s.Open("/proc/keys")
	if err != nil {
		return s.CannotSee("/proc/keys", err)
	}
	defer func() { _ = f.Close() }() // only read
	keys, err := keyring.ParseKeys(f)
	if err != nil {
		return s.CannotSee("/proc/keys", err)
	}
	failed, ring := 0, keyring.Serial(0)
	for _, k := range keys {
		switch {
		case k.Negative && k.HasType("cifs.spnego") && k.Expiry != "expd":
			failed++
		case k.HasType("keyring") && strings.HasPrefix(k.Description, ".cifs_spnego: "):
			ring = k.Serial
		}
	}
	switch {
	case failed > 0 && ring != 0:
		return Warned(fmt.Sprintf("keyctl clear %#x", int32(ring)), "%d failed logins", failed)
	case failed > 0:
		return Warned("wait for a minute", "%d failed logins", failed)
	case s.EUID != 0:
		return NotChecked("only root sees the keys of the kernel: run it again with sudo")
	}
	return Good("none")
}

// recent is how old a message of the kernel, or a denial, may be to count.
const recent = time.Hour

// hint is what a message of the SMB client means (fs/smb/client of the kernel).
type hint struct {
	pattern *regexp.Regexp
	means   string
}

func hints() []hint {
	return []hint{
		{regexp.MustCompile(`(?i)cifs.*bad cifs\.upcall version`), "a handler of another version answered: look at request-key-rule"},
		{regexp.MustCompile(`(?i)cifs.*upcall support disabled`), "the kernel is built without CONFIG_CIFS_UPCALL"},
		{regexp.MustCompile(`(?i)cifs.*Unknown parameter '?([A-Za-z_]+)`), "the kernel does not know a mount option"},
		{regexp.MustCompile(`(?i)(cifs.*session.*|Send error in SessSetup = )-(126|127|128|129)\b`), "the handler had no ticket: azfilesauth status shows its last fault"},
		{regexp.MustCompile(`(?i)(cifs.*session.*|Send error in SessSetup = )-13\b`), "the ticket reached Azure and was refused: role, SMBOAuth or clock"},
		{regexp.MustCompile(`(?i)(cifs.*session.*|Send error in SessSetup = )-5\b`), "the server wanted another login or the encryption type is not accepted"},
		{regexp.MustCompile(`(?i)cifs.*Verify user has a krb5 ticket`), "the handler had no ticket: azfilesauth status shows its last fault"},
		{regexp.MustCompile(`(?i)cifs_mount failed w/return code = -(101|110|111|113|115)\b`), "the server cannot be reached on port 445"},
	}
}

func checkKernelLog(_ context.Context, s *Subject) Result {
	lines, err := s.Kernel.Log()
	if err != nil {
		return s.CannotSee("the kernel's log", err)
	}
	up, ok := s.uptime()
	r, seen := Known(""), map[string]bool{}
	r.Evidence = nil
	for _, l := range lines {
		if ok && up-l.At > recent {
			continue
		}
		for _, h := range hints() {
			if h.pattern.MatchString(l.Text) && !seen[h.means] {
				seen[h.means] = true
				r = r.And("%s (%s)", shorten(l.Text, 200), h.means)
			}
		}
	}
	if len(r.Evidence) == 0 {
		return Good("no complaint within the last hour")
	}
	return r
}

// uptime is for how long the machine has been running.
func (s *Subject) uptime() (time.Duration, bool) {
	content, _ := s.ReadFile("/proc/uptime")
	first, _, _ := strings.Cut(string(content), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	return time.Duration(seconds * float64(time.Second)), err == nil
}
