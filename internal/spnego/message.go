package spnego

import (
	"encoding/binary"
	"fmt"
)

// struct cifs_spnego_msg of the Linux kernel's fs/smb/client/cifs_spnego.h, in the machine's own
// byte order and without padding: version, flags, sesskey_len, secblob_len, 4 bytes each, then the
// session key and the security blob.
const (
	messageVersion = 2
	headerSize     = 4 * 4
)

// Limits in bytes. SecurityBufferLength of an SMB2 SESSION_SETUP has 16 bits (MS-SMB2, 2.2.5), and
// the kernel cuts a longer value without a word; KEYCTL_INSTANTIATE takes less than 1 MiB (the
// kernel's security/keys/keyctl.c).
const (
	maxToken   = 1<<16 - 1
	maxPayload = 1<<20 - 1
)

// message lays out the kernel's struct. The kernel believes both lengths without comparing them
// with the payload, so that a wrong one makes it read foreign memory.
func message(key, token []byte) ([]byte, error) {
	if len(token) > maxToken || len(key) > maxPayload-headerSize-len(token) {
		return nil, fmt.Errorf("the login has %d bytes, the limit is %d", len(token), maxToken)
	}
	m := make([]byte, 0, headerSize+len(key)+len(token))
	m = binary.NativeEndian.AppendUint32(m, messageVersion)
	m = binary.NativeEndian.AppendUint32(m, 0) // flags: the kernel knows none
	m = binary.NativeEndian.AppendUint32(m, uint32(len(key)))
	m = binary.NativeEndian.AppendUint32(m, uint32(len(token)))
	m = append(m, key...)
	return append(m, token...), nil
}
