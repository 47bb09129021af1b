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
	"sync"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
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

// meanings are what the errors stand for that a mount with a login by Kerberos can end with: those of the kernel's SMB
// client, of the server's answers as smb2maperror.c translates them, of request_key(2), of sockets and of mount(2). The
// places are in the kernel's sources, in fs/smb/client where no directory is named; they were looked up in Debian's 5.10
// (where that directory is fs/cifs), 6.1, 6.12 and 7.3.
var meanings = []struct {
	explain func(j *job, text string) *fault.Fault
	errnos  []unix.Errno
}{
	{ // smb2maperror.c: STATUS_ACCESS_DENIED, STATUS_LOGON_FAILURE; before any login: security/apparmor/mount.c, match_mnt
		func(j *job, text string) *fault.Fault {
			if j.confined {
				return fault.MountDenied.New(text, j.Endpoint.Account())
			}
			return fault.ServerRefused.New(j.Endpoint.Account())
		},
		[]unix.Errno{unix.EACCES},
	},
	{ // fs/namespace.c, path_mount, and fs/super.c, mount_capable: without CAP_SYS_ADMIN, and in a user namespace
		func(j *job, text string) *fault.Fault { return fault.MountDenied.New(text, j.Endpoint.Account()) },
		[]unix.Errno{unix.EPERM},
	},
	{ // What request_key gave cifs_spnego.c, cifs_get_spnego_key: ENOKEY, or what the handler or an expired or revoked key
		// says; EDQUOT of security/keys/key.c, key_alloc; EKEYREJECTED of smb2pdu.c, SMB2_auth_kerberos: an answer of
		// another version. smb2maperror.c has EKEYREVOKED and EKEYEXPIRED for disabled and expired accounts, too.
		func(j *job, text string) *fault.Fault { return fault.UpcallFailed.New(text, j.ccache) },
		[]unix.Errno{unix.ENOKEY, unix.EKEYEXPIRED, unix.EKEYREVOKED, unix.EKEYREJECTED, unix.EDQUOT},
	},
	{ // smb2maperror.c: STATUS_BAD_NETWORK_NAME, STATUS_OBJECT_*, STATUS_NETWORK_NAME_DELETED, STATUS_NAME_TOO_LONG; ENOTDIR of
		// cifsfs.c, cifs_get_root; ENXIO of SMB 1, netmisc.c; EREMOTE and ELOOP of connect.c, cifs_is_path_remote, and dfs.c
		func(j *job, _ string) *fault.Fault {
			path := strings.TrimSuffix(j.source.Share+"/"+j.source.Dir, "/")
			return fault.ShareNotFound.New(path, j.Endpoint.Host(), j.Endpoint.Account())
		},
		[]unix.Errno{unix.ENOENT, unix.ENXIO, unix.ENOTDIR, unix.EREMCHG, unix.ENAMETOOLONG, unix.EREMOTE, unix.ELOOP},
	},
	{ // fs/namespace.c, do_new_mount, by way of fs/filesystems.c, get_fs_type
		func(*job, string) *fault.Fault { return fault.CIFSModule.New() },
		[]unix.Errno{unix.ENODEV},
	},
	{ // fs_context.c, smb3_fs_context_parse_param; smb2pdu.c, SMB2_select_sec, when the server offers no Kerberos
		func(j *job, _ string) *fault.Fault { return fault.MountOption.New(j.options()) },
		[]unix.Errno{unix.EINVAL},
	},
	{ // connect.c, cifs_setup_cifs_sb (before 5.11 cifs_setup_volume_info): load_nls gave none
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
	{ // smb2pdu.c, SMB2_negotiate, SMB2_auth_kerberos without CONFIG_CIFS_UPCALL, smb3_validate_negotiate; connect.c,
		// cifs_enable_signing and cifs_get_tcon, for options that the server cannot serve; smb2maperror.c: all that it has no
		// better number for is EIO
		func(j *job, text string) *fault.Fault { return fault.SMBProtocol.New(text, j.Endpoint.Account()) },
		[]unix.Errno{unix.EIO, unix.EOPNOTSUPP, unix.ENOSYS, unix.EREMOTEIO, unix.EBADMSG, unix.EFAULT, unix.EPROTONOSUPPORT},
	},
	{ // connect.c, generic_ip_connect, what tcp(7) and ip(7) say of connect(2), and fs_context.c, smb3_fs_context_validate; what
		// ends a connection meanwhile: connect.c, cifs_readv_from_socket, and transport.c, cifs_sync_mid_result (EAGAIN,
		// EHOSTDOWN); smb2maperror.c: STATUS_CONNECTION_RESET, STATUS_REMOTE_DISCONNECT and the like
		func(j *job, text string) *fault.Fault { return fault.SMBUnreachable.New(j.Endpoint.Host(), text) },
		[]unix.Errno{
			unix.ENETUNREACH, unix.ENETDOWN, unix.ETIMEDOUT, unix.ECONNREFUSED, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EINPROGRESS,
			unix.ECONNRESET, unix.ECONNABORTED, unix.ENOTCONN, unix.EPIPE, unix.EAFNOSUPPORT, unix.EADDRNOTAVAIL, unix.EADDRINUSE,
			unix.EAGAIN, unix.ENETRESET, unix.ESHUTDOWN,
		},
	},
	{ // The machine's own limits, which the kernel's log names: ENOSPC of fs/namespace.c, count_mounts; EMFILE of fs/super.c,
		// get_anon_bdev; a signal while the kernel waited
		func(_ *job, text string) *fault.Fault { return fault.MountFailed.New(text) },
		[]unix.Errno{unix.ENOMEM, unix.ENOBUFS, unix.ENOSPC, unix.EMFILE, unix.EINTR},
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

// faultOfOutput finds the meaning when the kernel was not asked.
func (j *job) faultOfOutput(end ending) *fault.Fault {
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
// AppArmor that is not ours, or is in a user namespace (user_namespaces(7)).
func isConfined(h host.Host) bool {
	text := func(path string) string {
		content, _, _ := h.ReadFile(path, 4<<10, 0) // what is not there says nothing
		return strings.Join(strings.Fields(string(content)), " ")
	}
	if uids := text("/proc/self/uid_map"); uids != "" && uids != "0 0 4294967295" {
		return true
	}
	profile, enforced := strings.CutSuffix(text("/proc/self/attr/current"), " (enforce)")
	return enforced && profile != program
}
