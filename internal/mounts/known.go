package mounts

import (
	"slices"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/nearest"
)

// kernelOptions are the options that the kernel's SMB client and mount.cifs take, beside those of the table of
// rules, by the kernel that brought them; "" is every kernel that is supported (5.4 and later). A flag's
// negation is known with the flag.
//
// Sources: smb3_fs_parameters in the kernel's fs/smb/client/fs_context.c (before 5.11 cifs_mount_option_tokens
// in fs/cifs/connect.c), parse_options in mount.cifs.c of cifs-utils 7.4, and mount(8) for the flags of every
// file system. The tables of Debian's 5.10.262, 6.1.192, 6.12.117 and 7.3.4 were compared with this one name by name. In
// between, a release is that of the pull request that brought the option: esize and rootfs with 5.4, nosparse with 5.19,
// max_cached_dirs with 6.6, retrans with 6.8 (and 6.6.32), nbsessinit with 6.15; modesid and its neighbors are in the first
// fs_context.c, of 5.11. Two are known by the first table that has them: tcpnodelay (6.1) and lease (7.3).
var kernelOptions = map[string]string{
	"": `user_xattr xattr forceuid forcegid noblocksend noautotune nolease hard soft perm mapposix
		mapchars sfu nodfs posixpaths unix linux posix nocase ignorecase brl handlecache forcemandatorylock
		forcemand idsfromsid setuids dynperm intr strictsync serverino rwpidforward cifsacl
		acl locallease sign signloosely seal noac fsc mfsymlinks sloppy nosharesock
		persistenthandles resilienthandles domainauto rdma modefromsid
		backupuid backupgid uid gid file_mode dirmode dir_mode fmask dmask port bsize
		rsize wsize actimeo echo_interval max_credits handletimeout snapshot addr ip ip4 ip6 srcaddr
		iocharset ver cache esize rootfs direct forcedirectio lock nobrl compress credits
		ro rw suid dev exec sync async dirsync remount bind rbind mand atime diratime relatime
		strictatime lazytime iversion silent loud context fscontext defcontext rootcontext seclabel`,
	"5.5":  "multichannel max_channels",
	"5.8":  "nodelete",
	"5.10": "symfollow",
	"5.11": "modesid setuidfromacl ignore_signature min_enc_offload witness",
	"5.12": "acdirmax acregmax",
	"5.13": "rasize",
	"5.19": "nosparse",
	"6.0":  "closetimeo",
	"6.1":  "tcpnodelay",
	"6.6":  "max_cached_dirs",
	"6.8":  "retrans",
	"6.9":  "reparse",
	"6.12": UpcallTarget,
	"6.13": "symlink nativesocket",
	"6.14": "symlinkroot unicode",
	"6.15": "nbsessinit",
	"7.3":  "lease",
}

// UnsharedSocket gives a mount a connection and a session of its own.
const UnsharedSocket = "nosharesock"

// tellsUsers are the first releases of each of the kernel's branches that share an SMB session only between mounts of
// the same user name when the login is by Kerberos: commit 12b4c5d98cd7, "smb: client: fix krb5 mount with username
// option", of March 2026. Those of the stable branches are the first ones whose source was read with it; in between it
// may be there already. Later branches than the last one have it.
var tellsUsers = []string{"6.1.192", "6.12.117", "7.0.0"}

// TellsUsers reports whether a kernel shares no session between mounts of different user names. release and version are
// what uname(2) says: Debian's release is that of its packages, and its version has the kernel's.
func TellsUsers(release, version string) bool {
	kernel := numbers(release)
	if _, after, debian := strings.Cut(version, " Debian "); debian {
		kernel = numbers(after)
	}
	last := numbers(tellsUsers[len(tellsUsers)-1])
	if slices.Compare(kernel, last) >= 0 {
		return true
	}
	return slices.ContainsFunc(tellsUsers, func(first string) bool {
		f := numbers(first)
		return len(kernel) == len(f) && slices.Equal(kernel[:2], f[:2]) && kernel[2] >= f[2]
	})
}

// numbers are the three that a kernel's release begins with; fewer when it does not.
func numbers(release string) (all []int) {
	for part := range strings.SplitSeq(release, ".") {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(part)
		}
		n, err := strconv.Atoi(part[:end])
		if err != nil || len(all) == 3 {
			return all
		}
		if all = append(all, n); end < len(part) {
			return all
		}
	}
	return all
}

// UpcallTarget makes the kernel's helper stay in the host's namespaces when a process in a container has
// the share log in again. Ours stays there in any case, cifs.upcall does not. Kernels that do not know the
// option refuse it like any other, which is only found out by trying.
const UpcallTarget = "upcall_target"

// Since gives the kernel that brought an option of the SMB client, such as "6.12", or "" for one that all
// supported kernels have or that is not known. Distributions bring options to older kernels.
func Since(option string) string {
	release, _ := lookUp(strings.ToLower(option))
	return release
}

// lookUp finds a name, in lower case, in the tables.
func lookUp(name string) (since string, found bool) {
	for release, names := range kernelOptions {
		if slices.Contains(strings.Fields(names), name) {
			return release, true
		}
	}
	if flag, negated := strings.CutPrefix(name, "no"); negated && flag != "" {
		return lookUp(flag)
	}
	return "", false
}

// nearestOption is the option that an unknown one is a slip of the pen for: within two letters of one that is
// known, or one where names are short.
func nearestOption(name string) string {
	var all []string
	for _, r := range rules {
		if !strings.HasSuffix(r.Name, "*") {
			all = append(all, r.Name)
		}
	}
	for _, names := range kernelOptions {
		all = append(all, strings.Fields(names)...)
	}
	slices.Sort(all)
	const short = 5
	all = slices.DeleteFunc(all, func(k string) bool {
		return min(len(k), len(name)) < short && nearest.Distance(name, k) > 1
	})
	return nearest.Word(name, all)
}

// spell judges an option that is in no table: a problem where it is one of another spelling, else a note.
func spell(o Option) (note string, problem error) {
	const most = 64 // bytes of a name that are shown
	name := strings.ToLower(o.Name)
	if strings.ContainsAny(name, `",`) {
		return "", invalid(o.Name, "the name of an option must not contain a quote or a comma: mount.cifs and the kernel split there")
	}
	if _, found := lookUp(name); found {
		return "", nil
	}
	plain := strings.Map(onlyASCII, name)
	if word := nearestOption(plain); word != "" {
		return "", invalid(plain, "there is no such option"+nearest.Hint(word))
	} else if plain != name && isOption(plain) {
		return "", invalid(plain, "a character that cannot be seen, or is not ASCII, is part of its name: type it again")
	}
	return "mount option " + strconv.Quote(o.Name[:min(len(o.Name), most)]) + " is not known here; mount.cifs gets it as it is", nil
}

// onlyASCII drops what comes with pasted text: spaces that do not break, marks of no width, typographic hyphens.
func onlyASCII(r rune) rune {
	if r <= ' ' || r > '~' {
		return -1
	}
	return r
}

// IsMeant reports whether the name is that of an option, or a slip of the pen for one.
func (o Option) IsMeant() bool {
	name := strings.ToLower(o.Name)
	return isOption(name) || nearestOption(name) != ""
}

// isOption reports whether a name, in lower case, is in one of the tables.
func isOption(name string) bool {
	_, ruled := ruleOf(Option{Name: name})
	_, known := lookUp(name)
	return ruled || known
}
