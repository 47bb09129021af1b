package keyring

import (
	"encoding/binary"
	"fmt"
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
	negative := make(map[Serial]bool)
	for _, k := range keys {
		if k.Negative && k.HasType(keyType) {
			negative[k.Serial] = true
		}
	}
	if len(negative) == 0 {
		return false, nil
	}
	for _, k := range keys {
		if k.HasType("keyring") && strings.HasPrefix(k.Description, ring+": ") && isRing(k.Serial, ring) {
			return clearIfHolds(k.Serial, negative)
		}
	}
	return false, nil
}

// isRing asks the kernel, since the line that named the serial may be forged.
func isRing(key Serial, name string) bool {
	d, err := Describe(key)
	return err == nil && d.Type == "keyring" && d.UID == 0 && d.Text == name
}

func clearIfHolds(ring Serial, wanted map[Serial]bool) (bool, error) {
	members, err := membersOf(ring)
	if err != nil {
		return false, err
	}
	for _, m := range members {
		if !wanted[m] {
			continue
		}
		if _, err := unix.KeyctlInt(unix.KEYCTL_CLEAR, int(ring), 0, 0, 0); err != nil {
			return false, fmt.Errorf("clearing keyring %d: %w", ring, err)
		}
		return true, nil
	}
	return false, nil
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
