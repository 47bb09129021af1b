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

// meaning is what an error number of the kernel's SMB client stands for, with a login by Kerberos; text
// is the number with its name.
func (j *job) meaning(errno unix.Errno, text string) *fault.Fault {
	host, account := j.Endpoint.Host(), j.Endpoint.Account()
	switch errno {
	case unix.EACCES: // the server's answer; the kernel's helper never gives this one
		return fault.ServerRefused.New(account)
	case unix.ENOKEY, unix.EKEYEXPIRED, unix.EKEYREVOKED, unix.EKEYREJECTED,
		unix.EAGAIN: // the helper took longer than the kernel waits
		return fault.UpcallFailed.New(text, j.ccache)
	case unix.ENOENT, unix.ENXIO: // ENXIO from servers that do not say which part is missing
		return fault.ShareNotFound.New(strings.TrimSuffix(j.source.Share+"/"+j.source.Dir, "/"), host, account)
	case unix.ENODEV:
		return fault.CIFSModule.New()
	case unix.EINVAL:
		return fault.MountOption.New(j.options())
	case unix.EBUSY:
		return fault.TargetBusy.New(j.target)
	case unix.EIO, unix.EOPNOTSUPP:
		return fault.SMBProtocol.New(text, account)
	case unix.ENETUNREACH, unix.ETIMEDOUT, unix.ECONNREFUSED, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EINPROGRESS:
		return fault.SMBUnreachable.New(host, text)
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
	return fault.MountFailed.New(end.text)
}
