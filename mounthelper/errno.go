package mounthelper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// mountError is how mount.cifs reports the kernel's answer (mount.cifs.c, main).
var mountError = regexp.MustCompile(`mount error\(([0-9]{1,4})\)`)

// explain turns what mount.cifs said into a fault. It tells more than the number can, because the kernel
// gives the same few numbers for very different failures.
func (j *job) explain(end ending, requestKey string) *fault.Fault {
	errno := errnoOf(end.said)
	if errno == 0 {
		return j.wordless(end)
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
	all := mountError.FindAllStringSubmatch(said, -1)
	if all == nil {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1][1]) // the last: mount.cifs tries one address after the other
	return unix.Errno(n)
}

// meanings are what the errors stand for that the kernel's SMB client gives for a mount with a login by
// Kerberos. The places are in the kernel's sources, fs/smb/client where no directory is named.
var meanings = []struct {
	explain func(j *job, text string) *fault.Fault
	errnos  []unix.Errno
}{
	{ // smb2maperror.c, STATUS_ACCESS_DENIED and STATUS_LOGON_FAILURE; before any login: security/apparmor/mount.c
		func(j *job, text string) *fault.Fault {
			if j.confined {
				return fault.MountDenied.New(text, j.Endpoint.Account())
			}
			return fault.ServerRefused.New(j.Endpoint.Account())
		},
		[]unix.Errno{unix.EACCES},
	},
	{ // fs/super.c, mount_capable: without CAP_SYS_ADMIN, and in a user namespace
		func(j *job, text string) *fault.Fault { return fault.MountDenied.New(text, j.Endpoint.Account()) },
		[]unix.Errno{unix.EPERM},
	},
	{ // cifs_spnego.c, cifs_get_spnego_key; EAGAIN when the helper took longer than the kernel waits, EDQUOT of security/keys/key.c
		func(j *job, text string) *fault.Fault { return fault.UpcallFailed.New(text, j.ccache) },
		[]unix.Errno{unix.ENOKEY, unix.EKEYEXPIRED, unix.EKEYREVOKED, unix.EKEYREJECTED, unix.EAGAIN, unix.EDQUOT},
	},
	{ // smb2maperror.c, STATUS_BAD_NETWORK_NAME and STATUS_OBJECT_PATH_NOT_FOUND; ENXIO from servers that do not say which part is missing
		func(j *job, _ string) *fault.Fault {
			path := strings.TrimSuffix(j.source.Share+"/"+j.source.Dir, "/")
			return fault.ShareNotFound.New(path, j.Endpoint.Host(), j.Endpoint.Account())
		},
		[]unix.Errno{unix.ENOENT, unix.ENXIO, unix.ENOTDIR},
	},
	{ // fs/filesystems.c, get_fs_type
		func(*job, string) *fault.Fault { return fault.CIFSModule.New() },
		[]unix.Errno{unix.ENODEV},
	},
	{ // fs_context.c, smb3_fs_context_parse_param
		func(j *job, _ string) *fault.Fault { return fault.MountOption.New(j.options()) },
		[]unix.Errno{unix.EINVAL},
	},
	{ // connect.c, cifs_setup_cifs_sb: load_nls gave none
		func(j *job, _ string) *fault.Fault {
			charset, _ := j.opts.Rest.Get("iocharset")
			return fault.Charset.New(charset)
		},
		[]unix.Errno{unix.ELIBACC},
	},
	{ // fs/namespace.c, do_add_mount
		func(j *job, _ string) *fault.Fault { return fault.TargetBusy.New(j.target) },
		[]unix.Errno{unix.EBUSY},
	},
	{ // smb2pdu.c, SMB2_negotiate and SMB2_sess_setup
		func(j *job, text string) *fault.Fault { return fault.SMBProtocol.New(text, j.Endpoint.Account()) },
		[]unix.Errno{unix.EIO, unix.EOPNOTSUPP},
	},
	{ // connect.c, generic_ip_connect, and what ends a connection meanwhile: transport.c, wait_for_response
		func(j *job, text string) *fault.Fault { return fault.SMBUnreachable.New(j.Endpoint.Host(), text) },
		[]unix.Errno{
			unix.ENETUNREACH, unix.ENETDOWN, unix.ETIMEDOUT, unix.ECONNREFUSED, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EINPROGRESS,
			unix.ECONNRESET, unix.ECONNABORTED, unix.ENOTCONN, unix.EPIPE, unix.EAFNOSUPPORT, unix.EADDRNOTAVAIL,
		},
	},
}

// meaning is what an error number stands for; text is the number with its name.
func (j *job) meaning(errno unix.Errno, text string) *fault.Fault {
	for _, m := range meanings {
		if slices.Contains(m.errnos, errno) {
			return m.explain(j, text)
		}
	}
	return fault.MountFailed.New(text)
}

// wordless finds the meaning when the kernel was not asked.
func (j *job) wordless(end ending) *fault.Fault {
	if strings.Contains(end.said, "could not resolve address") {
		return fault.DNSFailed.New(j.Endpoint.Host())
	}
	if strings.Contains(end.said, "Couldn't chdir to") {
		return fault.TargetInvalid.New(j.target)
	}
	if strings.Contains(end.said, "Unable to apply new capability set") { // mount.cifs.c, toggle_dac_capability
		return fault.Capability.New()
	}
	return fault.MountFailed.New(end.text)
}

// isConfined reports whether a process is in a container whose rules can forbid a mount: it has a profile of
// AppArmor, or is in a user namespace (user_namespaces(7)).
func isConfined(h host.Host) bool {
	text := func(path string) string {
		content, _, _ := h.ReadFile(path, 4<<10, 0) // what is not there says nothing
		return strings.Join(strings.Fields(string(content)), " ")
	}
	if uids := text("/proc/self/uid_map"); uids != "" && uids != "0 0 4294967295" {
		return true
	}
	return strings.HasSuffix(text("/proc/self/attr/current"), "(enforce)")
}
