//go:build (amd64 || 386 || arm) && !syskeys

package keyring

import (
	"fmt"

	"github.com/jsipprell/keyctl"
	"golang.org/x/sys/unix"
)

// keyctlKeys is userKeys by github.com/jsipprell/keyctl, which knows the system call numbers of the
// architectures above; the tag syskeys is for testing the other implementation there.
type keyctlKeys struct{ ring keyctl.Keyring }

func openUserKeys(id Serial) (userKeys, error) {
	// The package has no name for the user keyring itself, but for the user session keyring, which
	// links to it (user-session-keyring(7)).
	session, err := keyctl.UserSessionKeyring()
	if err != nil {
		return nil, err
	}
	ring, err := keyctl.OpenKeyring(session, "_uid.0")
	if err != nil {
		return nil, err
	}
	// Who possesses the user session keyring can link a keyring of that name into it.
	if Serial(ring.Id()) != id {
		return nil, fmt.Errorf("the keyring _uid.0 is another's: %w", unix.EKEYREJECTED)
	}
	return keyctlKeys{ring}, nil
}

func (k keyctlKeys) find(description string) (Serial, error) {
	key, err := k.ring.Search(description)
	if err != nil {
		return 0, err
	}
	return Serial(key.Id()), nil
}

func (k keyctlKeys) put(description string, payload []byte, seconds uint) (err error) {
	thread, err := keyctl.ThreadKeyring()
	if err != nil {
		return err
	}
	key, err := thread.Add(description, payload)
	if err != nil {
		return err
	}
	defer func() {
		if e := key.Unlink(); err == nil {
			err = e
		}
	}()
	if err := keyctl.SetPerm(key, entryPerm); err != nil {
		return err
	}
	if err := key.ExpireAfter(seconds); err != nil {
		return err
	}
	return keyctl.Link(k.ring, key)
}
