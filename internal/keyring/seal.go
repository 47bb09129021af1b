package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// The key that seals what is kept: a file of root's own in the run directory, which no container shares unless root
// gave it to it, and which does not survive a reboot, as the kernel's keys do not.
const (
	sealFile = "token.key"
	sealSize = 32 // bytes: AES-256
	sealMode = 0o600
)

// Seal gives a ring whose values are sealed by AES-GCM: root's keyring is the uid 0's of every container of the
// machine, to read and to replace, since no namespace separates keys of a user. A value is bound to its name; what the
// caller puts into it, such as its expiry, is bound to it as well. An entry that does not open, another key's or
// anybody's, is not there: ErrNotFound. Where there can be no key, nothing is kept.
func Seal(r Ring, h host.Host) Ring { return sealed{r, h} }

type sealed struct {
	Ring
	host host.Host
}

// Get is for Ring.
func (s sealed) Get(name string) (secret.Value, error) {
	box, err := s.Ring.Get(name)
	if err != nil {
		return secret.Value{}, err
	}
	aead, err := s.cipher()
	if err != nil {
		return secret.Value{}, err
	}
	text := box.Reveal()
	if len(text) < aead.NonceSize() {
		return secret.Value{}, fmt.Errorf("%w: it is not sealed", ErrNotFound)
	}
	nonce, text := text[:aead.NonceSize()], text[aead.NonceSize():]
	open, err := aead.Open(nil, nonce, text, []byte(name))
	if err != nil {
		return secret.Value{}, fmt.Errorf("%w: its seal is broken", ErrNotFound)
	}
	return secret.New(open), nil
}

// Set is for Ring.
func (s sealed) Set(name string, v secret.Value, ttl time.Duration) error {
	aead, err := s.cipher()
	if err != nil {
		return err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails: see its documentation
	return s.Ring.Set(name, secret.New(aead.Seal(nonce, nonce, v.Reveal(), []byte(name))), ttl)
}

func (s sealed) cipher() (cipher.AEAD, error) {
	key, err := s.key()
	if err != nil {
		return nil, fmt.Errorf("the key %s/%s: %w", s.host.Run, sealFile, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

var errSealKey = errors.New("users other than root can read it, or it is not a key")

// key reads the key, and makes it when it is missing. Of processes that make it at once one wins.
func (s sealed) key() ([]byte, error) {
	d, err := s.host.OpenDir(s.host.Run, s.host.Run)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	key, err := readKey(d)
	if !errors.Is(err, unix.ENOENT) {
		return key, err
	}
	fresh := make([]byte, sealSize)
	_, _ = rand.Read(fresh)
	f := s.host.Own(sealMode)
	f.New = true
	if err := d.Replace(sealFile, f, host.Content(fresh)); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readKey(d)
}

// ForgetSealed makes every kept entry absent, in all processes of the machine, by removing the key that opens them: a ring
// has no list of its entries, and what stays in it opens with nothing any more and expires. It reports whether there
// was a key. The error is the run directory's.
func ForgetSealed(h host.Host) (bool, error) {
	d, err := h.OpenDir(h.Run, h.Run)
	if err != nil {
		return false, err
	}
	defer d.Close()
	err = d.Remove(sealFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func readKey(d *host.Dir) ([]byte, error) {
	st, err := d.Stat(sealFile)
	if err != nil {
		return nil, err
	}
	key, err := d.Read(sealFile, sealSize)
	if err != nil {
		return nil, err
	}
	if st.Mode&0o077 != 0 || len(key) != sealSize {
		return nil, errSealKey
	}
	return key, nil
}
