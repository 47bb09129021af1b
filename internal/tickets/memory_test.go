package tickets

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestMemoryDoesNotGrow with the names of tokens, of which a workload identity has another one after each rotation of its
// assertion.
func TestMemoryDoesNotGrow(t *testing.T) {
	var m memory
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	for n := range 10_000 {
		name := fmt.Sprint("token ", n)
		call := m.next()
		_ = m.fail(name, &TokenError{"system", now, errors.New("refused")})
		if m.failure(name, call) == nil || m.failure(name, m.next()) != nil {
			t.Fatal("a failure counts for the calls that were queued, and for no later one")
		}
		if !m.mayForget(name, now) || m.mayForget(name, now.Add(forgetEvery-time.Second)) {
			t.Fatal("a token is dropped once in forgetEvery")
		}
		now = now.Add(time.Minute)
	}
	if len(m.failures) > 61 || len(m.forgot) > 1 || len(m.overdue) > 62 {
		t.Errorf("%d failures, %d dropped tokens and %d that shall be are remembered", len(m.failures), len(m.forgot), len(m.overdue))
	}
}
