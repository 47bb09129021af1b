//go:build !(amd64 || 386 || arm) || syskeys

package keyring

import "golang.org/x/sys/unix"

// sysKeys is userKeys by golang.org/x/sys alone.
type sysKeys struct{ ring int }

func openUserKeys() (userKeys, error) {
	id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
	if err != nil {
		return nil, err
	}
	return sysKeys{id}, nil
}

func (s sysKeys) find(description string) (entry, error) {
	id, err := unix.KeyctlSearch(s.ring, userType, description, 0)
	if err != nil {
		return nil, err
	}
	return sysEntry{ring: s.ring, id: id}, nil
}

func (s sysKeys) put(description string, payload []byte, seconds uint) (err error) {
	id, err := unix.AddKey(userType, description, payload, unix.KEY_SPEC_THREAD_KEYRING)
	if err != nil {
		return err
	}
	defer func() {
		if e := (sysEntry{ring: unix.KEY_SPEC_THREAD_KEYRING, id: id}).Unlink(); err == nil {
			err = e
		}
	}()
	if err := unix.KeyctlSetperm(id, entryPerm); err != nil {
		return err
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_SET_TIMEOUT, id, int(seconds), 0, 0); err != nil {
		return err
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_LINK, id, s.ring, 0, 0)
	return err
}

type sysEntry struct{ ring, id int }

// Id is the key's serial number.
func (e sysEntry) Id() int32 { return int32(e.id) }

// Get reads the payload.
func (e sysEntry) Get() ([]byte, error) { return read(e.id) }

// Unlink takes the key out of the keyring it was found in.
func (e sysEntry) Unlink() error {
	_, err := unix.KeyctlInt(unix.KEYCTL_UNLINK, e.id, e.ring, 0, 0)
	return err
}
