package keyring

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The keyring in which the kernel's SMB client keeps the answers to its requests, and their type
// (init_cifs_spnego in the kernel's fs/smb/client/cifs_spnego.c). Root may view, read and clear it.
const (
	cifsRing = ".cifs_spnego"
	cifsType = "cifs.spnego"
)

// ForgetFailures makes the kernel ask again where it remembers a failed request: it clears the SMB
// client's keyring if that holds a rejected key, and reports whether it did. Other keys in it are
// no loss, since the kernel uses an answer once. It needs CAP_SYS_ADMIN in the first user namespace; an
// error wraps unix.EACCES without it. Where cifs is not loaded there is nothing to forget.
func ForgetFailures() (cleared bool, err error) { return forget(cifsRing, cifsType) }

func forget(ring, keyType string) (bool, error) {
	keys, err := Keys()
	if err != nil {
		return false, err
	}
	negative, found := rejected(keys, ring, keyType, Describe)
	if len(negative) == 0 || found == 0 {
		return false, nil
	}
	return clearIfHolds(found, negative)
}

// Failures finds the kernel's failed requests for SMB logins among keys, and the keyring that keeps them,
// which is 0 when none is found. Each line is a hint: describe, Describe in production, asks the kernel
// whether the key is what it seems, and root's.
func Failures(keys []Key, describe func(Serial) (Description, error)) (failed []Serial, ring Serial) {
	return rejected(keys, cifsRing, cifsType, describe)
}

func rejected(keys []Key, ring, keyType string, describe func(Serial) (Description, error)) (failed []Serial, found Serial) {
	confirmed := func(k Key, kind string) (text string, ok bool) {
		if !k.HasType(kind) {
			return "", false
		}
		d, err := describe(k.Serial)
		return d.Text, err == nil && d.Type == kind && d.UID == 0
	}
	for _, k := range keys {
		if k.Negative && k.Expiry != "expd" {
			if _, ok := confirmed(k, keyType); ok {
				failed = append(failed, k.Serial)
			}
		}
		if strings.HasPrefix(k.Description, ring+": ") {
			if text, ok := confirmed(k, "keyring"); ok && text == ring {
				found = k.Serial
			}
		}
	}
	return failed, found
}

func clearIfHolds(ring Serial, wanted []Serial) (bool, error) {
	members, err := membersOf(ring)
	if err != nil || !slices.ContainsFunc(members, func(m Serial) bool { return slices.Contains(wanted, m) }) {
		return false, err
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_CLEAR, int(ring), 0, 0, 0); err != nil {
		return false, fmt.Errorf("clearing keyring %d: %w", ring, err)
	}
	return true, nil
}

// membersOf reads the serials that a keyring holds (keyctl_read(3): an array of key_serial_t).
func membersOf(ring Serial) ([]Serial, error) {
	payload, err := read(int(ring))
	if err != nil {
		return nil, fmt.Errorf("reading keyring %d: %w", ring, err)
	}
	members := make([]Serial, 0, len(payload)/4)
	for b := payload; len(b) >= 4; b = b[4:] {
		members = append(members, Serial(binary.NativeEndian.Uint32(b)))
	}
	return members, nil
}
