package watcher

import (
	"cmp"
	"errors"
	"maps"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// backoffs are the failures that endpoints share, by whose they are: an identity's that gets no token, and a
// host's that does not answer. Whoever depends on one waits for it and asks together with the others.
type backoffs map[string]Attempt

// keepBackoff is how long a failure counts that nobody meets again: whoever depends on it asks every few minutes, and what is
// not mounted any more would stay.
const keepBackoff = time.Hour

func ofIdentity(line string) string { return "identity " + line }

func ofHost(host string) string { return "host " + host }

// fail notes a failure that others share, and gives what all of them have now; ok is false for one that is
// an endpoint's own. Attempts that began before the last one ended failed together with it.
func (b backoffs) fail(r result, f *fault.Fault) (a Attempt, ok bool) {
	name, at, began := "", r.at, r.at.Add(-r.took)
	if token, ok := errors.AsType[*tickets.TokenError](r.err); ok {
		name, at, began = ofIdentity(token.Identity), token.At, token.At
	} else if fault.Is(f, fault.DNSFailed, fault.ProxyFailed, fault.EndpointDown, fault.EndpointTimeout, fault.AzureBusy) {
		name = ofHost(r.Host)
	}
	if name == "" {
		return Attempt{}, false
	}
	maps.DeleteFunc(b, func(_ string, old Attempt) bool { return at.Sub(old.At).Abs() > keepBackoff })
	if a = b[name]; began.After(a.At) {
		a = Attempt{At: at, Failures: a.Failures + 1, Spread: name, Fault: f}
		b[name] = a
	}
	return a, true
}

// succeed ends what a ticket has shown to be over.
func (b backoffs) succeed(host, identity string) {
	delete(b, ofHost(host))
	delete(b, ofIdentity(identity))
}

// history is what Plan is told of an endpoint: its own attempts, or the failure it shares with others.
func (w *watcher) history(k Key) Attempt {
	m := w.memos[k]
	if m.Spread != "" && w.backoffs[m.Spread].Failures == 0 {
		m.At, m.Spread = time.Time{}, "" // another one has got through
	}
	owner := cmp.Or(m.owner, m.asks)
	if t, known := w.tickets[k]; known && t.Trusted {
		owner = t.Identity
	}
	a := m.Attempt
	for _, name := range []string{m.Spread, ofIdentity(owner), ofHost(k.Host)} {
		if s, known := w.backoffs[name]; known && s.Failures > 0 && !s.At.Before(a.At) {
			a.At, a.Failures, a.Fault, a.Spread = s.At, s.Failures, s.Fault, name
		}
	}
	return a
}

// forgive has those that fail for a reason that may be gone try again at once.
func (w *watcher) forgive(gone func(*fault.Fault) bool) {
	for _, m := range w.memos {
		if m.Failures > 0 && gone(m.Fault) {
			m.At, m.Spread = time.Time{}, ""
		}
	}
	for name, a := range w.backoffs {
		if gone(a.Fault) {
			delete(w.backoffs, name)
		}
	}
}

// anyFault is for forgive: the configuration, the clock, or a person who asks, can change all.
func anyFault(*fault.Fault) bool { return true }

// ofCache is for forgive, when a cache or the mount table has changed.
func ofCache(f *fault.Fault) bool {
	return fault.Is(f, fault.CCacheType, fault.CCacheFolder, fault.CCacheForeign, fault.CCachePrincipal, fault.CCacheDamaged, fault.CCacheIO, fault.LockTimeout)
}

// ofNetwork is for forgive, when a route or a name server has changed.
func ofNetwork(f *fault.Fault) bool {
	return fault.Is(f, fault.DNSFailed, fault.ProxyFailed, fault.EndpointDown, fault.EndpointTimeout, fault.IMDSUnreachable,
		fault.ArcUnreachable, fault.EntraUnreachable, fault.NotAzure, fault.NetworkRules, fault.AnswerInvalid, fault.TLSUntrusted, fault.TLSVersion)
}
