package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// cifsParameters are the parameters of the module cifs while it is loaded.
const cifsParameters = "/sys/module/cifs/parameters/"

func checkCIFSModule(_ context.Context, s *Subject) Result {
	if s.hasFileSystem("cifs") {
		return Good("loaded")
	}
	kernels := s.kernels()
	if len(kernels) == 0 {
		return NotChecked("there is no kernel beneath %s", s.Root)
	}
	if i := slices.IndexFunc(kernels, func(k string) bool { return s.hasModule(k, "cifs") }); i < 0 {
		return Broken(strings.ReplaceAll(s.packager().modules, "RELEASE", kernels[0]), "the kernel %s has no module cifs", strings.Join(kernels, ", "))
	}
	if place := s.moduleForbidden("cifs"); place != "" {
		return Broken("remove the line of "+place+", then: modprobe cifs", "%s keeps the module cifs from being loaded", place)
	}
	if s.text("/proc/sys/kernel/modules_disabled") == "1" {
		return Broken("echo cifs > /etc/modules-load.d/cifs.conf && reboot", "cifs is not loaded, and kernel.modules_disabled forbids to load modules")
	}
	for _, k := range kernels {
		if config := s.kernelConfig(k); config["CONFIG_CIFS"] != "" && config["CONFIG_CIFS_UPCALL"] == "" {
			return Broken("use a kernel with CONFIG_CIFS_UPCALL=y", "the kernel %s is built without CONFIG_CIFS_UPCALL", k)
		}
	}
	return Good("the first mount loads it")
}

// kernels are the running kernel or, of another root without one, all that have modules there.
func (s *Subject) kernels() []string {
	if release := s.KernelRelease(); release != "" {
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

// hasFileSystem reports whether the kernel knows a file system now.
func (s *Subject) hasFileSystem(name string) bool {
	return slices.ContainsFunc(strings.Split(s.text("/proc/filesystems"), "\n"), func(line string) bool {
		return strings.TrimSpace(strings.TrimPrefix(line, "nodev")) == name
	})
}

// hasModule looks for a module, built in or not, in what depmod(8) left.
func (s *Subject) hasModule(release, name string) bool {
	for _, list := range []string{"modules.dep", "modules.builtin"} {
		for line := range strings.Lines(s.text(filepath.Join("/lib/modules", release, list))) {
			path, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			if base, _, _ := strings.Cut(filepath.Base(path), ".ko"); base == name {
				return true
			}
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

// kernelConfig reads the kernel's build options, nil where they are not to be found.
func (s *Subject) kernelConfig(release string) map[string]string {
	for _, path := range []string{"/boot/config-" + release, "/lib/modules/" + release + "/config"} {
		content, err := s.ReadFile(path)
		if err != nil {
			continue
		}
		options := map[string]string{}
		for line := range strings.Lines(string(content)) {
			if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(key, "#") {
				options[key] = strings.Trim(value, `"`)
			}
		}
		return options
	}
	return nil
}

func checkCiphers(_ context.Context, s *Subject) Result {
	r := NotChecked("the module cifs is not loaded")
	enable := s.text(cifsParameters + "enable_gcm_256")
	if s.text(cifsParameters+"require_gcm_256") == "Y" {
		r = Good("required")
	} else if enable == "N" {
		r = Warned("echo Y > "+cifsParameters+"enable_gcm_256, and remove enable_gcm_256 from /etc/modprobe.d", "the module cifs has enable_gcm_256=N")
	} else if enable == "Y" {
		r = Good("offered")
	}
	if s.text("/proc/sys/crypto/fips_enabled") == "1" {
		r = worst(r, Known("the kernel is in FIPS mode: only tickets with AES keys can be used"))
	}
	return r
}

func checkUpcallTarget(_ context.Context, s *Subject) Result {
	since := mounts.Since(mounts.UpcallTarget)
	if r := s.KernelRelease(); r != "" && !mounts.AtLeast(r, since) {
		return Known("the kernel %s is older than %s, which added it; mount.azfiles uses it only if the kernel accepts it", r, since)
	}
	return Good("known to the kernel")
}

// renameLease is the kernel that has the commit 2c7d399e551c, "smb: client: reuse file lease key in compound operations".
const renameLease = "6.9"

func checkRenameLease(_ context.Context, s *Subject) Result {
	if r := s.KernelRelease(); r != "" && !mounts.AtLeast(r, renameLease) {
		return Known("the kernel %s is older than %s, which does; if a file that was replaced cannot be opened (EINVAL) after a session has ended, mount with nolease", r, renameLease)
	}
	return Good("named by the kernel")
}

func checkKeyForgery(_ context.Context, s *Subject) Result {
	err := s.Kernel.AddKey("cifs.spnego", "azfilesauth-probe")
	if err == nil {
		return Warned("install the newest kernel of your distribution and reboot", "any user can add keys of the type cifs.spnego")
	}
	if errors.Is(err, unix.EPERM) {
		return Good("the kernel refuses them")
	}
	if errors.Is(err, unix.ENODEV) {
		return NotChecked("the module cifs is not loaded")
	}
	return NotChecked("the kernel cannot be asked: %v", err)
}

func checkUsermodeHelper(_ context.Context, s *Subject) Result {
	release := s.KernelRelease()
	if release == "" {
		return NotChecked("no kernel runs beneath %s", s.Root)
	}
	config := s.kernelConfig(release)
	helper := config["CONFIG_STATIC_USERMODEHELPER_PATH"]
	if config["CONFIG_STATIC_USERMODEHELPER"] == "y" && helper == "" {
		return Broken("use a kernel without CONFIG_STATIC_USERMODEHELPER", "the kernel %s starts no programs (CONFIG_STATIC_USERMODEHELPER)", release)
	}
	if config["CONFIG_STATIC_USERMODEHELPER"] == "y" {
		return Warned("make sure that "+helper+" runs /sbin/request-key", "the kernel starts %s instead of every program (CONFIG_STATIC_USERMODEHELPER_PATH)", helper)
	}
	bset := s.text("/proc/sys/kernel/usermodehelper/bset")
	if bset == "" {
		return Good("nothing is known to the contrary")
	}
	const all = "4294967295" // of one half of the capabilities
	if low, _, _ := strings.Cut(bset, "\t"); low != all {
		return Warned("remove kernel.usermodehelper.bset from /etc/sysctl.conf and /etc/sysctl.d, and reboot",
			"programs that the kernel starts have not all capabilities: kernel.usermodehelper.bset is %s", bset)
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
	failed, ring := keyring.Failures(keys, s.Kernel.Describe)
	if len(failed) > 0 && ring != 0 {
		return Warned(fmt.Sprintf("keyctl clear %#x", int32(ring)), "%d failed logins", len(failed))
	}
	if len(failed) > 0 {
		return Warned("wait for a minute", "%d failed logins", len(failed))
	}
	if s.EUID != 0 {
		return NotChecked("only root sees the keys of the kernel: run it again as root, for example with sudo")
	}
	return Good("none")
}

// kernel is the Kernel of this machine.
type kernel struct{}

func (kernel) Describe(key keyring.Serial) (keyring.Description, error) { return keyring.Describe(key) }

// AddKey adds a key to the process's keyring, add_key(2), and unlinks it.
func (kernel) AddKey(keyType, description string) error {
	key, err := unix.AddKey(keyType, description, []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
	if err != nil {
		return err
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_UNLINK, key, unix.KEY_SPEC_PROCESS_KEYRING, 0, 0)
	return err
}
