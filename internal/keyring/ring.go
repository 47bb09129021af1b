package keyring

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// MaxValue is the most bytes that a Ring's entry can hold: the kernel's limit for keys of type "user"
// (keyrings(7)).
const MaxValue = 32767

// ErrNotFound means that the ring has no entry of that name: there never was one, it has expired, or
// what bears its name is not root's alone.
var ErrNotFound = errors.New("not in the keyring")

// Ring is a keyring of root's own that holds small secrets until they expire. They are lost at a
// reboot, never touch a disk and outlive the process. Every error means only that the caller goes on
// without the entry: the kernel may lack keyrings (unix.ENOSYS), a container may forbid them
// (unix.EPERM), root's quota may be used up (unix.EDQUOT). Safe for concurrent use, also by several
// processes.
type Ring interface {
	// Get returns the entry, or an error that wraps ErrNotFound.
	Get(name string) (secret.Value, error)
	// Set replaces the entry in one step. v has 1 to MaxValue bytes; ttl counts in whole seconds, the
	// rest is cut off, and at least one is needed.
	Set(name string, v secret.Value, ttl time.Duration) error
	// Remove deletes the entry; one that is not there is no error.
	Remove(name string) error
}

// OpenRing gives access to root's user keyring (user-keyring(7)), which exists as long as the kernel
// runs. Its entries are keys of type "user" with the description "azfilesauth:" and the name. The
// caller must be root. A nil Ring comes only with an error.
func OpenRing() (Ring, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("opening root's keyring: %w", unix.EPERM)
	}
	id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
	if err != nil {
		return nil, fmt.Errorf("opening root's keyring: %w", err)
	}
	keys, err := openUserKeys(Serial(id))
	if err != nil {
		return nil, fmt.Errorf("opening root's keyring: %w", err)
	}
	return ring{keys, Serial(id)}, nil
}

const (
	prefix = "azfilesauth:" // keeps clear of what else root stores there

	// entryPerm gives everything to the owner and nothing to a mere possessor: a process that sudo or
	// su started as another user may still possess root's keyring through the session it inherited.
	// It also spares every reader from having to possess the keyring, which a process in a fresh
	// session, such as an upcall, does not.
	entryPerm = 0x003f0000
)

// userKeys is what package keyctl does for ring where it is built, and golang.org/x/sys elsewhere: the one difference
// between the two.
type userKeys interface {
	// find looks for a key of type "user" in the keyring.
	find(description string) (Serial, error)
	// put makes a key, gives it entryPerm and a timeout in seconds, and only then links it to the
	// keyring in the place of the one with the same description. The caller holds the thread.
	put(description string, payload []byte, seconds uint) error
}

type ring struct {
	userKeys
	id Serial // root's user keyring
}

func (r ring) Get(name string) (secret.Value, error) {
	key, err := r.find(prefix + name)
	if err != nil {
		return secret.Value{}, lookupError(err)
	}
	// Who possesses root's keyring can link keys of his own into it.
	if d, err := Describe(key); err != nil {
		return secret.Value{}, lookupError(err)
	} else if d.UID != 0 || d.Perm != entryPerm {
		return secret.Value{}, fmt.Errorf("%w: another's key bears its name", ErrNotFound)
	}
	b, err := read(int(key))
	if err != nil {
		return secret.Value{}, lookupError(err)
	}
	return secret.New(b), nil
}

func (r ring) Set(name string, v secret.Value, ttl time.Duration) error {
	// A timeout of 0 would keep the entry for ever.
	seconds := min(ttl/time.Second, math.MaxInt32)
	if v.Empty() || v.Len() > MaxValue {
		return fmt.Errorf("storing in the keyring: %d bytes, not 1 to %d", v.Len(), MaxValue)
	}
	if seconds < 1 {
		return fmt.Errorf("storing in the keyring for %s: less than a second", ttl)
	}
	// put goes through the keyring of its thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := r.put(prefix+name, v.Reveal(), uint(seconds)); err != nil {
		return fmt.Errorf("storing in the keyring: %w", err)
	}
	return nil
}

func (r ring) Remove(name string) error {
	key, err := r.find(prefix + name)
	if err == nil {
		_, err = unix.KeyctlInt(unix.KEYCTL_UNLINK, int(key), int(r.id), 0, 0)
	}
	// ENOENT: another process was faster.
	if err == nil || isMissing(err) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fmt.Errorf("removing from the keyring: %w", err)
}

func lookupError(err error) error {
	if isMissing(err) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return fmt.Errorf("looking in the keyring: %w", err)
}

func isMissing(err error) bool {
	return errors.Is(err, unix.ENOKEY) || errors.Is(err, unix.EKEYEXPIRED) || errors.Is(err, unix.EKEYREVOKED)
}
