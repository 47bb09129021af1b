// Package mounts is the only reader of a mount line: one of the kernel's mount table, one of fstab, or a
// source and options as mount(8) gives them to mount.azfiles. It knows which Azure Files shares are
// mounted, and by one table of options who logs in where on a line of type azfiles.
//
// It reads text and never touches a mount point, since one whose server is gone can block for minutes.
//
// Invariants: every face gets the same answer about a line, a Login or the same fault; no fault repeats
// the value of an option that may be a secret. A Mount always names an Endpoint; one line that cannot be
// understood costs that line and no other; the order is the file's. Of the mount table, what is seen is
// the mount namespace of the calling process only.
package mounts

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Mount is one line of the mount table: an SMB mount of an endpoint, with any kind of login. Several
// lines can be the same file system (equal Device): bind mounts, and directories of one share.
type Mount struct {
	Device   string // major:minor of the file system
	Source   string // as the kernel shows it, with spaces in clear, such as //host/share/dir
	Endpoint endpoint.Endpoint
	Share    string
	Dir      string // the directory of the share that is mounted, without slashes at its ends; "" is the share's root
	Target   string // the mount point

	CRUID    int     // the credential uid; -1 when the kernel does not show one, as for logins without Kerberos
	Username string  // "" when the kernel does not show it, as with multiuser
	Sec      string  // krb5, krb5i, ntlmssp, ...
	Addr     string  // the server's IP address
	Options  Options // the file system's, without the kernel's escapes
}

// Same reports whether m is the directory dir of a share of e: "mounted already". Names of shares,
// directories and files differ in SMB by more than case. dir is in the form that ParseSource gives.
func (m Mount) Same(e endpoint.Endpoint, share, dir string) bool {
	return m.Endpoint.Host() == e.Host() && strings.EqualFold(m.Share, share) && strings.EqualFold(m.Dir, dir)
}

// IsKerberos reports whether the mount logs in by Kerberos.
func (m Mount) IsKerberos() bool { return strings.HasPrefix(m.Sec, "krb5") }

// ListFrom gives the SMB mounts of endpoints in a mount table, such as /proc/1/mountinfo. A table that cannot be read is
// a fault.
func ListFrom(path string, res endpoint.Resolver) ([]Mount, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.MountTable.New(path).Because(errors.Unwrap(err))
	}
	defer func() { _ = f.Close() }()
	all, err := Parse(f, res)
	if err != nil {
		return nil, fault.MountTable.New(path).Because(err)
	}
	return all, nil
}

// Parse reads a mount table in the format of proc_pid_mountinfo(5). Lines that are malformed, longer
// than 64 KiB, of other file systems or of hosts that are no endpoint are left out; the only errors
// are those of r.
func Parse(r io.Reader, res endpoint.Resolver) ([]Mount, error) {
	var found []Mount
	err := eachLine(r, func(line string) {
		if m, ok := parseLine(line, res); ok {
			found = append(found, m)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading the mount table: %w", err)
	}
	return found, nil
}
