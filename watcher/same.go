package watcher

import (
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// sameFault keeps the failures to get a token, so that 500 endpoints of an identity that gets none do not
// ask one after the other. A failure counts for the jobs that were waiting when it happened.
type sameFault struct {
	mu     sync.Mutex
	number uint64
	last   map[string]failure // by the identity's line
}

type failure struct {
	*fault.Fault
	at    time.Time
	until uint64 // the last job it counts for
}

func newSameFault() *sameFault { return &sameFault{last: map[string]failure{}} }

func (s *sameFault) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	return s.number
}

func (s *sameFault) note(identity string, f *fault.Fault, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[identity] = failure{f, at, s.number}
}

func (s *sameFault) since(identity string, number uint64) (f *fault.Fault, at time.Time, same bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.last[identity]
	return last.Fault, last.at, ok && number <= last.until
}

// ofIdentity reports whether a failure is one of getting a token, and so the same for every endpoint.
func ofIdentity(id fault.ID) bool {
	switch id {
	case fault.IdentityNotAssigned, fault.IMDSUnreachable, fault.IMDSBusy, fault.IMDSRefused,
		fault.ArcUnreachable, fault.ArcRefused, fault.ArcKey, fault.AuthorityUnknown, fault.SecretFile,
		fault.EntraUnreachable, fault.EntraBusy, fault.EntraTenant, fault.EntraApp, fault.EntraSecret,
		fault.EntraCertificate, fault.EntraAssertion, fault.EntraFederation, fault.EntraResource,
		fault.EntraRefused, fault.CLIFailed, fault.TokenFile, fault.TokenInvalid, fault.TokenExpired, fault.TokenAudience:
		return true
	}
	return false
}
