package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// MinReject is the shortest time for which a rejection can be remembered. A key that has expired when
// the handler exits loses its error: the caller then sees ENOKEY instead (construct_key in the
// kernel's security/keys/request_key.c).
const MinReject = 2 * time.Second

// AssumeAuthority takes the authority over key, the key that this process was started to instantiate,
// for the calling thread alone; Instantiate and Reject then work on that thread only, so the caller
// holds it with runtime.LockOSThread from before this call. /sbin/request-key assumes it before it
// starts a handler, and threads inherit it from the one that creates them. Serial 0 drops the
// authority. Errors wrap unix.ENOKEY (there is no such authority) or unix.EKEYREVOKED (the request has
// just been answered or has ended).
func AssumeAuthority(key Serial) error {
	if _, err := unix.KeyctlInt(unix.KEYCTL_ASSUME_AUTHORITY, int(key), 0, 0, 0); err != nil {
		return fmt.Errorf("assuming authority over key %d: %w", key, err)
	}
	return nil
}

// Instantiate answers the request for key with the payload, and gives up the thread's authority. It links the key to no
// further keyring: the kernel did that when it made the key. Errors wrap unix.EPERM (the thread has no authority),
// unix.EBUSY (answered already), unix.EKEYREVOKED or unix.EINVAL (more than 1 MiB - 1 byte, or nothing).
func Instantiate(key Serial, payload []byte) error {
	if len(payload) == 0 {
		// A key type may accept it and yet read a header from it, as that of cifs does.
		return fmt.Errorf("instantiating key %d with nothing: %w", key, unix.EINVAL)
	}
	part := unix.Iovec{Base: &payload[0]}
	part.SetLen(len(payload))
	if err := unix.KeyctlInstantiateIOV(int(key), []unix.Iovec{part}, 0); err != nil {
		return fmt.Errorf("instantiating key %d: %w", key, err)
	}
	return nil
}

var errRejectTime = errors.New("a rejection lasts a whole number of seconds, at least two")

// Reject answers the request for key with errno, which the kernel remembers for timeout, and gives up
// the thread's authority. timeout is a whole number of seconds, at least MinReject. Only ENOKEY keeps
// the kernel from asking again within that time. Errors are those of Instantiate; unix.EINVAL means an
// errno that request_key(2) cannot return.
func Reject(key Serial, timeout time.Duration, errno unix.Errno) error {
	if timeout < MinReject || timeout%time.Second != 0 {
		return fmt.Errorf("rejecting key %d for %s: %w", key, timeout, errRejectTime)
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_REJECT, int(key), int(timeout/time.Second), int(errno), 0); err != nil {
		return fmt.Errorf("rejecting key %d: %w", key, err)
	}
	return nil
}

// Callout reads the callout information of the request over which the calling thread has authority.
func Callout() (string, error) {
	payload, err := read(unix.KEY_SPEC_REQKEY_AUTH_KEY)
	if err != nil {
		return "", fmt.Errorf("reading the callout information: %w", err)
	}
	text, _, _ := bytes.Cut(payload, []byte{0})
	return string(text), nil
}
