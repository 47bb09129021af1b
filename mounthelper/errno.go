package mounthelper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// mountError is how mount.cifs reports the kernel's answer (mount.cifs.c, main).
var mountError = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`mount error\(([0-9]{1,4})\)`) })

// explain turns what mount.cifs said into a fault. It tells more than the number can, because the kernel
// gives the same few numbers for very different failures.
func (j *job) explain(end ending, requestKey string) *fault.Fault {
	errno := errnoOf(end.said)
	if errno == 0 {
		return j.faultOfOutput(end)
	}
	text := fmt.Sprintf("error %d, %s", errno, strings.ToLower(errno.Error()))
	// The kernel starts that program to have the ticket fetched, and answers with its absence.
	if _, err := os.Stat(requestKey); errno == unix.ENOENT && errors.Is(err, fs.ErrNotExist) {
		return fault.UpcallFailed.New(text, j.ccache).Because(errors.New(requestKey + " is missing: install keyutils"))
	}
	return j.meaning(errno, text)
}

// errnoOf finds the kernel's answer in what mount.cifs said, 0 when there is none.
func errnoOf(said string) unix.Errno {
	all := mountError().FindAllStringSubmatch(said, -1)
	if all == nil {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1][1]) // the last: mount.cifs tries one address after the other
	return unix.Errno(n)
}

// meaning is what an error number stands for here; text is the number with its name.
func (j *job) meaning(errno unix.Errno, text string) *fault.Fault {
	switch fault.OfMountError(errno) {
	case fault.ServerRefused:
		if j.confined { // before any login: security/apparmor/mount.c, match_mnt
			return fault.MountDenied.New(text, j.Endpoint.Account())
		}
		return fault.ServerRefused.New(j.Endpoint.Account())
	case fault.MountDenied:
		return fault.MountDenied.New(text, j.Endpoint.Account())
	case fault.UpcallFailed:
		return fault.UpcallFailed.New(text, j.ccache)
	case fault.ShareNotFound:
		path := strings.TrimSuffix(j.source.Share+"/"+j.source.Dir, "/")
		return fault.ShareNotFound.New(path, j.Endpoint.Host(), j.Endpoint.Account())
	case fault.CIFSModule:
		return fault.CIFSModule.New()
	case fault.MountOption:
		return fault.MountOption.New(j.options())
	case fault.Charset:
		charset, _ := j.opts.Rest.Get("iocharset")
		return fault.Charset.New(charset)
	case fault.TargetBusy:
		return fault.TargetBusy.New(j.target)
	case fault.SMBProtocol:
		return fault.SMBProtocol.New(text, j.Endpoint.Account())
	case fault.SMBUnreachable:
		return fault.SMBUnreachable.New(j.Endpoint.Host(), text)
	}
	return fault.MountFailed.New(text)
}

// faultOfOutput finds the meaning when the kernel was not asked.
func (j *job) faultOfOutput(end ending) *fault.Fault {
	if strings.Contains(end.said, "could not resolve address") {
		return fault.DNSFailed.New(j.Endpoint.Host())
	}
	if strings.Contains(end.said, "Couldn't chdir to") {
		return mounts.TargetInvalid(j.target, nil)
	}
	if strings.Contains(end.said, "Unable to apply new capability set") { // mount.cifs.c, toggle_dac_capability
		return fault.Capability.New()
	}
	return fault.MountFailed.New(end.text)
}

// isConfined reports whether a process is in a container whose rules can forbid a mount: it has a profile of
// AppArmor that is not ours, or a type that SELinux's policies give to containers (container_selinux(8); before, it was
// svirt_lxc_net_t), or is in a user namespace (user_namespaces(7)).
func isConfined(h host.Host) bool {
	text := func(path string) string {
		content, _, _ := h.ReadFile(path, 4<<10, 0) // what is not there says nothing
		return strings.Join(strings.Fields(string(content)), " ")
	}
	if uids := text("/proc/self/uid_map"); uids != "" && uids != "0 0 4294967295" {
		return true
	}
	profile, enforced := strings.CutSuffix(strings.TrimRight(text("/proc/self/attr/current"), "\x00"), " (enforce)")
	if context := strings.Split(profile, ":"); len(context) > 2 && (strings.HasPrefix(context[2], "container_") || strings.HasPrefix(context[2], "svirt_lxc_")) {
		return true
	}
	return enforced && profile != program
}
