package tickets

import (
	"bytes"
	"maps"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// TokenError is the failure of an identity to get an access token. It is the same for every endpoint:
// calls that were waiting when it happened fail with it, and ask nobody. Its text and its fault are Err's.
type TokenError struct {
	Identity string    // as a line of text
	At       time.Time // when it happened
	Err      error
}

// Error is for error.
func (e *TokenError) Error() string { return e.Err.Error() }

// Unwrap is for package errors.
func (e *TokenError) Unwrap() error { return e.Err }

// memory is what a process remembers of tokens, by their names.
type memory struct {
	mu       sync.Mutex
	calls    uint64 // so many have been queued
	tokens   map[string]identity.AccessToken
	failures map[string]failure
	forgot   map[string]time.Time // when a token was dropped
	overdue  map[string]time.Time // when one was refused again too soon after that
}

// keepFailures is how long a failure is remembered: longer than a call is queued. The name of a workload identity's token
// changes with its assertion, and each name that failed would stay.
const keepFailures = time.Hour

type failure struct {
	*TokenError
	until uint64 // the last call it counts for
}

func (m *memory) next() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	return m.calls
}

// fail notes a failure for all calls that are queued, and gives it back.
func (m *memory) fail(name string, e *TokenError) *TokenError {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures == nil {
		m.failures = map[string]failure{}
	}
	maps.DeleteFunc(m.failures, func(_ string, f failure) bool { return e.At.Sub(f.At).Abs() > keepFailures })
	m.failures[name] = failure{e, m.calls}
	return e
}

// failure gives the failure that counts for a call, nil when there is none.
func (m *memory) failure(name string, call uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f, ok := m.failures[name]; ok && call <= f.until {
		return f.TokenError
	}
	return nil
}

// mayForget reports whether a token was not dropped within forgetEvery, and notes that it is now, else that it is overdue.
func (m *memory) mayForget(name string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drops(name, now)
}

// isOverdue reports whether a token is to be dropped before it is used: it was refused too soon after another one, since
// when forgetEvery is over. It notes that it is dropped now.
func (m *memory) isOverdue(name string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, refused := m.overdue[name]
	return refused && m.drops(name, now)
}

// drops is mayForget for a caller that holds mu.
func (m *memory) drops(name string, now time.Time) bool {
	maps.DeleteFunc(m.forgot, func(_ string, at time.Time) bool { return now.Sub(at).Abs() >= forgetEvery })
	maps.DeleteFunc(m.overdue, func(_ string, at time.Time) bool { return now.Sub(at).Abs() > keepFailures })
	if m.forgot == nil {
		m.forgot, m.overdue = map[string]time.Time{}, map[string]time.Time{}
	}
	if _, lately := m.forgot[name]; lately {
		m.overdue[name] = now
		return false
	}
	m.forgot[name] = now
	delete(m.overdue, name)
	return true
}

// keep keeps a copy of a token. Those that have expired go: identities come and go with the mounts.
func (m *memory) keep(name string, t identity.AccessToken, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokens == nil {
		m.tokens = map[string]identity.AccessToken{}
	}
	for n, old := range m.tokens {
		if n == name || !now.Before(old.ExpiresOn) {
			old.Value.Wipe()
			delete(m.tokens, n)
		}
	}
	m.tokens[name] = clone(t)
}

// recall gives a copy of a token, since the caller wipes what it got.
func (m *memory) recall(name string) (identity.AccessToken, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tokens[name]
	return clone(t), ok
}

func (m *memory) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens[name].Value.Wipe()
	delete(m.tokens, name)
}

func clone(t identity.AccessToken) identity.AccessToken {
	t.Value = secret.New(bytes.Clone(t.Value.Reveal()))
	return t
}
