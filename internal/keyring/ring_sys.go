//go:build !(amd64 || 386 || arm) || syskeys

package keyring

import "golang.org/x/sys/unix"

// sysKeys is userKeys by golang.org/x/sys alone.
type sysKeys struct{ ring Serial }

func openUserKeys(id Serial) (userKeys, error) { return sysKeys{id}, nil }

func (s sysKeys) find(description string) (Serial, error) {
	id, err := unix.KeyctlSearch(int(s.ring), "user", description, 0)
	return Serial(id), err
}

func (s sysKeys) put(description string, payload []byte, seconds uint) (err error) {
	id, err := unix.AddKey("user", description, payload, unix.KEY_SPEC_THREAD_KEYRING)
	if err != nil {
		return err
	}
	defer func() {
		if _, e := unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_THREAD_KEYRING, 0, 0); err == nil {
			err = e
		}
	}()
	if err := unix.KeyctlSetperm(id, entryPerm); err != nil {
		return err
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_SET_TIMEOUT, id, int(seconds), 0, 0); err != nil {
		return err
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_LINK, id, int(s.ring), 0, 0)
	return err
}
