package fault

import (
	"slices"
	"syscall"
)

// mountErrors are what the errors stand for that a mount with a login by Kerberos can end with: those of the kernel's SMB
// client, of the server's answers as smb2maperror.c translates them, of request_key(2), of sockets and of mount(2). The
// places are in the kernel's sources, in fs/smb/client where no directory is named; they were looked up in Debian's 5.10
// (where that directory is fs/cifs), 6.1, 6.12 and 7.3.
var mountErrors = []struct {
	kind   Named
	errnos []syscall.Errno
}{
	{ // smb2maperror.c: STATUS_ACCESS_DENIED, STATUS_LOGON_FAILURE; before any login: security/apparmor/mount.c, match_mnt
		ServerRefused,
		[]syscall.Errno{syscall.EACCES},
	},
	{ // fs/namespace.c, path_mount, and fs/super.c, mount_capable: without CAP_SYS_ADMIN, and in a user namespace
		MountDenied,
		[]syscall.Errno{syscall.EPERM},
	},
	{ // What request_key gave cifs_spnego.c, cifs_get_spnego_key: ENOKEY, or what the handler or an expired or revoked key
		// says; EDQUOT of security/keys/key.c, key_alloc; EKEYREJECTED of smb2pdu.c, SMB2_auth_kerberos: an answer of
		// another version. smb2maperror.c has EKEYREVOKED and EKEYEXPIRED for disabled and expired accounts, too.
		UpcallFailed,
		[]syscall.Errno{syscall.ENOKEY, syscall.EKEYEXPIRED, syscall.EKEYREVOKED, syscall.EKEYREJECTED, syscall.EDQUOT},
	},
	{ // smb2maperror.c: STATUS_BAD_NETWORK_NAME, STATUS_OBJECT_*, STATUS_NETWORK_NAME_DELETED, STATUS_NAME_TOO_LONG; ENOTDIR of
		// cifsfs.c, cifs_get_root; ENXIO of SMB 1, netmisc.c; EREMOTE and ELOOP of connect.c, cifs_is_path_remote, and dfs.c
		ShareNotFound,
		[]syscall.Errno{syscall.ENOENT, syscall.ENXIO, syscall.ENOTDIR, syscall.EREMCHG, syscall.ENAMETOOLONG, syscall.EREMOTE, syscall.ELOOP},
	},
	{ // fs/namespace.c, do_new_mount, by way of fs/filesystems.c, get_fs_type
		CIFSModule,
		[]syscall.Errno{syscall.ENODEV},
	},
	{ // fs_context.c, smb3_fs_context_parse_param; smb2pdu.c, SMB2_select_sec, when the server offers no Kerberos
		MountOption,
		[]syscall.Errno{syscall.EINVAL},
	},
	{ // connect.c, cifs_setup_cifs_sb (before 5.11 cifs_setup_volume_info): load_nls gave none
		Charset,
		[]syscall.Errno{syscall.ELIBACC},
	},
	{ // fs/namespace.c, do_add_mount
		TargetBusy,
		[]syscall.Errno{syscall.EBUSY},
	},
	{ // smb2pdu.c, SMB2_negotiate, SMB2_auth_kerberos without CONFIG_CIFS_UPCALL, smb3_validate_negotiate; connect.c,
		// cifs_enable_signing and cifs_get_tcon, for options that the server cannot serve; smb2maperror.c: all that it has no
		// better number for is EIO
		SMBProtocol,
		[]syscall.Errno{syscall.EIO, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EREMOTEIO, syscall.EBADMSG, syscall.EFAULT, syscall.EPROTONOSUPPORT},
	},
	{ // connect.c, generic_ip_connect, what tcp(7) and ip(7) say of connect(2), and fs_context.c, smb3_fs_context_validate; what
		// ends a connection meanwhile: connect.c, cifs_readv_from_socket, and transport.c, cifs_sync_mid_result (EAGAIN,
		// EHOSTDOWN); smb2maperror.c: STATUS_CONNECTION_RESET, STATUS_REMOTE_DISCONNECT and the like
		SMBUnreachable,
		[]syscall.Errno{
			syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ETIMEDOUT, syscall.ECONNREFUSED, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.EINPROGRESS,
			syscall.ECONNRESET, syscall.ECONNABORTED, syscall.ENOTCONN, syscall.EPIPE, syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE,
			syscall.EAGAIN, syscall.ENETRESET, syscall.ESHUTDOWN,
		},
	},
	{ // The machine's own limits, which the kernel's log names: ENOSPC of fs/namespace.c, count_mounts; EMFILE of fs/super.c,
		// get_anon_bdev; a signal while the kernel waited
		MountFailed,
		[]syscall.Errno{syscall.ENOMEM, syscall.ENOBUFS, syscall.ENOSPC, syscall.EMFILE, syscall.EINTR},
	},
}

// OfMountError is the kind of failure that a mount ends with when the kernel answers it with errno. A container that may not
// mount ends with EACCES as well as with EPERM, which the number does not tell.
func OfMountError(errno syscall.Errno) Named {
	for _, e := range mountErrors {
		if slices.Contains(e.errnos, errno) {
			return e.kind
		}
	}
	return MountFailed
}
