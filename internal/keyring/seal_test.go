package keyring_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// memory is a ring that uid 0 of another container shares: it sees and replaces everything.
type memory map[string][]byte

func (m memory) Get(name string) (secret.Value, error) {
	if b, ok := m[name]; ok {
		return secret.New(bytes.Clone(b)), nil
	}
	return secret.Value{}, keyring.ErrNotFound
}

func (m memory) Set(name string, v secret.Value, _ time.Duration) error {
	m[name] = bytes.Clone(v.Reveal())
	return nil
}

func (m memory) Remove(name string) error {
	delete(m, name)
	return nil
}

// TestForgetSealed: after it no entry opens, for nobody, and the next one is kept as before.
func TestForgetSealed(t *testing.T) {
	m, h := memory{}, host.Real().Trusting(os.Geteuid())
	h.Run = filepath.Join(t.TempDir(), "run")
	forget := func(want bool) {
		t.Helper()
		if was, err := keyring.ForgetSealed(h); was != want || err != nil {
			t.Fatalf("%v, %v; want %v", was, err, want)
		}
	}
	forget(false)
	r := keyring.Seal(m, h)
	if err := r.Set("one", secret.FromString("token"), time.Hour); err != nil {
		t.Fatal(err)
	}
	forget(true)
	forget(false)
	for _, ring := range []keyring.Ring{r, keyring.Seal(m, h)} {
		if v, err := ring.Get("one"); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("%q, %v", v.Reveal(), err)
		}
	}
	if err := r.Set("one", secret.FromString("new"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Get("one"); err != nil || string(v.Reveal()) != "new" {
		t.Errorf("%q, %v", v.Reveal(), err)
	}
	if err := os.Chmod(h.Run, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.ForgetSealed(h); err == nil {
		t.Error("it works in a directory that is open to others")
	}
}

// TestSealedRing: who shares root's keyring and not the run directory can neither read a token nor put one there.
func TestSealedRing(t *testing.T) {
	m, h := memory{}, host.Real().Trusting(os.Geteuid())
	h.Run = filepath.Join(t.TempDir(), "run")
	r := keyring.Seal(m, h)
	const token = "eyJ0eXAiOiJKV1Qi.token"
	for _, name := range []string{"one", "two"} {
		if err := r.Set(name, secret.FromString(token+name), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(h.Run, "token.key"))
	if err != nil || info.Mode() != 0o600 || info.Size() != 32 {
		t.Fatalf("the key: %v, %v", info, err)
	}
	good := bytes.Clone(m["one"])
	if bytes.Contains(good, []byte(token)) || bytes.Contains(good, []byte("eyJ")) {
		t.Error("the token can be read")
	}
	absent := func(what string) {
		t.Helper()
		if v, err := r.Get("one"); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("%s: %q, %v", what, v.Reveal(), err)
		}
	}
	m["one"] = []byte("1795448904 a token of somebody's")
	absent("not sealed")
	m["one"] = bytes.Clone(m["two"])
	absent("another name's")
	for i := range good {
		m["one"] = bytes.Clone(good)
		m["one"][i] ^= 1
		absent("changed")
		m["one"] = good[:i]
		absent("cut")
	}
	m["one"] = good
	if v, err := keyring.Seal(m, h).Get("one"); err != nil || string(v.Reveal()) != token+"one" {
		t.Errorf("another process: %q, %v", v.Reveal(), err)
	}
	if err := os.Remove(filepath.Join(h.Run, "token.key")); err != nil {
		t.Fatal(err)
	}
	if err := r.Set("two", secret.FromString(token), time.Hour); err != nil {
		t.Fatal(err)
	}
	absent("sealed with the key of another boot")
	if err := os.Chmod(filepath.Join(h.Run, "token.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.Set("two", secret.FromString(token), time.Hour); err == nil {
		t.Error("a key that others can read is used")
	}
}
