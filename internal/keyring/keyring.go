// Package keyring is what azfilesauth needs of the kernel's key service (keyrings(7)).
//
// It has two parts. Ring keeps access tokens in root's own keyring until they expire. The rest serves
// the upcall: it describes the key that the kernel wants, answers or rejects it, and forgets the
// kernel's memory of failed requests.
//
// Invariants:
//   - No operation runs on another thread than its caller's: authority over a requested key belongs to
//     one operating system thread (request_key(2), keyctl(2) KEYCTL_ASSUME_AUTHORITY).
//   - Nothing here calls request_key(2), which could start an upcall of its own, and nothing joins or
//     changes a session keyring, in which the kernel keeps that authority.
//   - A line of /proc/keys is a hint: a description may hold a newline, so that any local user can forge
//     lines. What acts on a key asks the kernel about its serial number first.
package keyring

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Serial is the kernel's number of a key or keyring, unique on the host. Numbers of existing keys are
// positive.
type Serial int32

// Description is what KEYCTL_DESCRIBE tells of a key.
type Description struct {
	Type     string // such as "cifs.spnego"
	UID, GID int    // the owner, as the caller's user namespace numbers it
	Perm     uint32 // keyrings(7): possessor, user, group and other, one byte each from the top
	Text     string // the description proper, which may hold any character, ';' among them
}

// Describe asks the kernel about key. The caller needs view permission. Errors wrap unix.ENOKEY
// (no such key), unix.EKEYEXPIRED, unix.EKEYREVOKED or unix.EACCES.
func Describe(key Serial) (Description, error) {
	text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, int(key))
	if err != nil {
		return Description{}, fmt.Errorf("describing key %d: %w", key, err)
	}
	return parseDescription(text)
}

// read gives the payload of a key, of whatever size (keyctl_read(3)).
func read(key int) ([]byte, error) {
	for size := 4096; ; {
		buf := make([]byte, size)
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, key, buf, 0)
		if err != nil {
			return nil, err
		}
		if n <= size {
			return buf[:n:n], nil
		}
		size = n
	}
}

var errDescription = errors.New("the kernel described the key in an unknown form")

// parseDescription reads type;uid;gid;perm;description (keyctl_describe(3)). Only the first four ';'
// separate: the description itself may hold more.
func parseDescription(text string) (Description, error) {
	part := strings.SplitN(text, ";", 5)
	if len(part) != 5 || part[0] == "" {
		return Description{}, errDescription
	}
	uid, errUID := parseID(part[1])
	gid, errGID := parseID(part[2])
	perm, errPerm := strconv.ParseUint(part[3], 16, 32)
	if err := errors.Join(errUID, errGID, errPerm); err != nil {
		return Description{}, fmt.Errorf("%w: %w", errDescription, err)
	}
	return Description{Type: part[0], UID: uid, GID: gid, Perm: uint32(perm), Text: part[4]}, nil
}

// parseID reads a uid or gid, which the kernel prints as a signed number although it is none.
func parseID(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	return int(uint32(n)), err
}
