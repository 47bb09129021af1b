package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
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

// release is that of the running kernel, "" when the root is not that of a running machine.
func (s *Subject) release() string { return s.text("/proc/sys/kernel/osrelease") }

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

func checkGCM256(_ context.Context, s *Subject) Result {
	enable := s.text(cifsParameters + "enable_gcm_256")
	if s.text(cifsParameters+"require_gcm_256") == "Y" {
		return Good("required")
	}
	if enable == "N" {
		return Warned("echo Y > "+cifsParameters+"enable_gcm_256, and remove enable_gcm_256 from /etc/modprobe.d", "the module cifs has enable_gcm_256=N")
	}
	if enable == "Y" {
		return Good("offered")
	}
	return NotChecked("the module cifs is not loaded")
}

func checkFIPS(_ context.Context, s *Subject) Result {
	if s.text("/proc/sys/crypto/fips_enabled") == "1" {
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
	err := s.Kernel.MountOption("cifs", option, "mount")
	if errors.Is(err, unix.EINVAL) {
		return Known("this kernel does not know it, so mount.azfiles leaves it out")
	}
	if errors.Is(err, unix.EPERM) {
		return NotChecked("only root can ask the kernel: run it again with sudo")
	}
	if err != nil {
		return NotChecked("the kernel cannot be asked: %v", err)
	}
	return Good("known to the kernel")
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
	release := s.release()
	if release == "" {
		return NotChecked("no kernel runs beneath %s", s.Root)
	}
	config := s.kernelConfig(release)
	helper := config["CONFIG_STATIC_USERMODEHELPER_PATH"]
	if config["CONFIG_STATIC_USERMODEHELPER"] == "y" && helper == "" {
		return Broken("use a kernel without CONFIG_STATIC_USERMODEHELPER", "the kernel %s starts no programs (CONFIG_STATIC_USERMODEHELPER)", release)
	}
	if config["CONFIG_STATIC_USERMODEHELPER"] == "y" {
		return Warned("see to it that "+helper+" runs /sbin/request-key", "the kernel starts %s in the place of every program (CONFIG_STATIC_USERMODEHELPER_PATH)", helper)
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
	failed, forget := 0, "wait for a minute"
	for _, k := range keys {
		if k.Negative && k.HasType("cifs.spnego") && k.Expiry != "expd" {
			failed++
		}
		if k.HasType("keyring") && strings.HasPrefix(k.Description, ".cifs_spnego: ") {
			forget = fmt.Sprintf("keyctl clear %#x", int32(k.Serial))
		}
	}
	if failed > 0 {
		return Warned(forget, "%d failed logins", failed)
	}
	if s.EUID != 0 {
		return NotChecked("only root sees the keys of the kernel: run it again with sudo")
	}
	return Good("none")
}

// recent is how old a message of the kernel, or a denial, may be to count.
const recent = time.Hour

// hints are what messages of the SMB client mean (fs/smb/client of the kernel).
var hints = []struct{ pattern, means string }{
	{`cifs.*bad cifs\.upcall version`, "a handler of another version answered: look at request-key-rule"},
	{`cifs.*upcall support disabled`, "the kernel is built without CONFIG_CIFS_UPCALL"},
	{`cifs.*Unknown parameter '?([A-Za-z_]+)`, "the kernel does not know a mount option"},
	{`(cifs.*session.*|Send error in SessSetup = )-(126|127|128|129)\b`, noTicket},
	{`(cifs.*session.*|Send error in SessSetup = )-13\b`, "the ticket reached Azure and was refused: role, SMBOAuth or clock"},
	{`(cifs.*session.*|Send error in SessSetup = )-5\b`, "the server wanted another login or the encryption type is not accepted"},
	{`cifs.*Verify user has a krb5 ticket`, noTicket},
	{`cifs_mount failed w/return code = -(101|110|111|113|115)\b`, "the server cannot be reached on port 445"},
}

const noTicket = "the handler had no ticket: azfilesauth status shows its last fault"

func checkKernelLog(_ context.Context, s *Subject) Result {
	lines, err := s.Kernel.Log()
	if err != nil {
		return s.CannotSee("the kernel's log", err)
	}
	first, _, _ := strings.Cut(s.text("/proc/uptime"), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	began := time.Duration(seconds*float64(time.Second)) - recent
	if err != nil { // then all of it counts
		began = 0
	}
	patterns := make([]*regexp.Regexp, len(hints))
	for i, h := range hints {
		patterns[i] = regexp.MustCompile("(?i)" + h.pattern)
	}
	r, seen := Result{Status: Info}, map[string]bool{}
	for _, l := range lines {
		for i, h := range hints {
			if l.At >= began && patterns[i].MatchString(l.Text) && !seen[h.means] {
				seen[h.means] = true
				r = r.And("%s (%s)", shorten(l.Text, 200), h.means)
			}
		}
	}
	if len(seen) == 0 {
		return Good("no complaint within the last hour")
	}
	return r
}

// kernel is the Kernel of this machine.
type kernel struct{}

// AddKey adds a key to the process's keyring, add_key(2), and unlinks it.
func (kernel) AddKey(keyType, description string) error {
	key, err := unix.AddKey(keyType, description, []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
	if err != nil {
		return err
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_UNLINK, key, unix.KEY_SPEC_PROCESS_KEYRING, 0, 0)
	return err
}

// MountOption begins a mount with fsopen(2) and sets the option, and leaves it at that.
func (kernel) MountOption(fsType, option, value string) error {
	fd, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was made of it
	return unix.FsconfigSetString(fd, option, value)
}

// Log reads /dev/kmsg to its end, one record for each read (the kernel's
// Documentation/ABI/testing/dev-kmsg: "level,sequence,time,flags;text" and lines of properties).
func (kernel) Log() ([]LogLine, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/kmsg", Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // only read
	const most = 20_000
	var lines []LogLine
	record := make([]byte, 16<<10)
	for range most {
		n, err := unix.Read(fd, record)
		switch {
		case errors.Is(err, unix.EPIPE): // records were overwritten meanwhile
			continue
		case errors.Is(err, unix.EAGAIN) || err == nil && n == 0:
			return lines, nil
		case err != nil:
			return lines, err
		}
		lines = append(lines, parseRecord(string(record[:n])))
	}
	return lines, nil
}

// parseRecord reads one record; the time is in microseconds.
func parseRecord(record string) LogLine {
	head, text, _ := strings.Cut(record, ";")
	text, _, _ = strings.Cut(text, "\n")
	fields := strings.SplitN(head, ",", 4)
	var at int64
	if len(fields) > 2 {
		at, _ = strconv.ParseInt(fields[2], 10, 64) // 0 for what is no number: long ago
	}
	return LogLine{At: time.Duration(at) * time.Microsecond, Text: text}
}
