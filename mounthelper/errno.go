package mounthelper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// mountError is how mount.cifs reports the kernel's answer (mount.cifs.c, main).
var mountError = regexp.MustCompile(`mount error\(([0-9]{1,4})\)`)

// explain turns what mount.cifs said into a fault; v fills its text. It tells more than the number
// can, because the kernel gives the same few numbers for very different failures.
func explain(end ending, requestKey string, v fault.V) *fault.Fault {
	errno := errnoOf(end.said)
	if errno == 0 {
		v["errno"] = end.text
		return fault.New(wordless(end.said), v)
	}
	v["errno"] = fmt.Sprintf("error %d, %s", errno, strings.ToLower(errno.Error()))
	// The kernel starts that program to have the ticket fetched, and answers with its absence.
	if _, err := os.Stat(requestKey); errno == unix.ENOENT && errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.UpcallFailed, errors.New(requestKey+" is missing: install keyutils"), v)
	}
	return fault.New(meaning(errno), v)
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

// meaning is what an error number of the kernel's SMB client stands for, with a login by Kerberos.
func meaning(errno unix.Errno) fault.ID {
	switch errno {
	case unix.EACCES: // the server's answer; the kernel's helper never gives this one
		return fault.ServerRefused
	case unix.ENOKEY, unix.EKEYEXPIRED, unix.EKEYREVOKED, unix.EKEYREJECTED:
		return fault.UpcallFailed
	case unix.EAGAIN: // the helper took longer than the kernel waits
		return fault.UpcallFailed
	case unix.ENOENT, unix.ENXIO: // ENXIO from servers that do not say which part is missing
		return fault.ShareNotFound
	case unix.ENODEV:
		return fault.CIFSModule
	case unix.EINVAL:
		return fault.MountOption
	case unix.EBUSY:
		return fault.TargetBusy
	case unix.EIO, unix.EOPNOTSUPP:
		return fault.SMBProtocol
	case unix.ENETUNREACH, unix.ETIMEDOUT, unix.ECONNREFUSED, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EINPROGRESS:
		return fault.SMBUnreachable
	}
	return fault.MountFailed
}

// wordless finds the meaning when the kernel was not asked.
func wordless(said string) fault.ID {
	switch {
	case strings.Contains(said, "could not resolve address"):
		return fault.DNSFailed
	case strings.Contains(said, "Couldn't chdir to"):
		return fault.TargetInvalid
	}
	return fault.MountFailed
}
