package watcher

import (
	"bytes"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// memory keeps access tokens where the kernel's keyring cannot: many containers have none, and without
// it 500 endpoints of one identity would be 500 requests to the identity service.
type memory struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[string]kept
}

type kept struct {
	value secret.Value
	until time.Time
}

func newMemory(now func() time.Time) *memory { return &memory{now: now, entries: map[string]kept{}} }

// open gives the kernel's keyring with the memory behind it, or the memory alone.
func (m *memory) open(kernel func() (keyring.Ring, error)) func() (keyring.Ring, error) {
	return func() (keyring.Ring, error) {
		if kernel != nil {
			if r, err := kernel(); err == nil {
				return backed{r, m}, nil
			}
		}
		return m, nil
	}
}

// Get is for keyring.Ring. It gives a copy, since the caller wipes what he got.
func (m *memory) Get(name string) (secret.Value, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[name]
	if !ok || !m.now().Before(e.until) {
		return secret.Value{}, keyring.ErrNotFound
	}
	return secret.New(bytes.Clone(e.value.Reveal())), nil
}

// Set is for keyring.Ring. Entries that have ended go: identities come and go with the mounts.
func (m *memory) Set(name string, v secret.Value, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, e := range m.entries {
		if n == name || !m.now().Before(e.until) {
			e.value.Wipe()
			delete(m.entries, n)
		}
	}
	m.entries[name] = kept{secret.New(bytes.Clone(v.Reveal())), m.now().Add(ttl)}
	return nil
}

// Remove is for keyring.Ring.
func (m *memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, name)
	return nil
}

// backed is a keyring of the kernel's that may fail.
type backed struct {
	keyring.Ring
	memory *memory
}

// Get is for keyring.Ring.
func (b backed) Get(name string) (secret.Value, error) {
	if v, err := b.Ring.Get(name); err == nil {
		return v, nil
	}
	return b.memory.Get(name)
}

// Set is for keyring.Ring.
func (b backed) Set(name string, v secret.Value, ttl time.Duration) error {
	if b.Ring.Set(name, v, ttl) == nil {
		_ = b.memory.Remove(name) // an older token must not come up again
		return nil
	}
	return b.memory.Set(name, v, ttl)
}
