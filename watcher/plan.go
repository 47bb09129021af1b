package watcher

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

const (
	// maxShare of its lifetime is what a ticket is used at most, whatever the configuration adds up to.
	maxShare = 0.95
	// minUse is the shortest time between two exchanges that succeed, for tickets that live seconds.
	minUse = time.Second
	// skew is how far a ticket's start may lie ahead: clocks may differ by as much (RFC 4120, 7.5.1).
	skew = 5 * time.Minute

	// The waits between attempts that fail: 1, 2, 4 s and so on, less up to a half by chance. The longest
	// is shorter when a share is without a ticket and what is wrong may pass by itself.
	firstWait   = time.Second
	maxWait     = 5 * time.Minute
	maxLateWait = time.Minute
	// maxRetryAfter bounds what the other side can ask for: it is a hint.
	maxRetryAfter = 5 * time.Minute
	// lastWait is the longest wait in the last quarter of a ticket's life, or a 16th of a life that is short.
	lastWait = time.Minute
	// fightWait is the time between two exchanges whose tickets somebody takes away again.
	fightWait = time.Minute
)

// Key names what one ticket serves: the canonical host of an endpoint, whose cache it is in, and as whom the mounts log
// in.
type Key struct {
	Host  string
	CRUID int
	User  string // the identity.Selector of the mounts' user name; "" tells no identity
}

// Ticket is what is known of one service ticket in a cache.
type Ticket struct {
	Key
	Name        string // in the cache, without a realm
	Private     bool   // only our own handler finds it, which knows the aliases
	Start, End  time.Time
	Obtained    time.Time // by our clock; zero is not known for sure
	Identity    string    // the record's line, "" without a record
	Refreshable bool      // what the record says; counts only with an Identity
	Trusted     bool      // nobody but root could have written the record
	Elsewhere   bool      // the token file of its identity is one that another container sees
	Aliases     []string
}

// Attempt is what came of the attempts for a key.
type Attempt struct {
	At       time.Time    // when the last one ended; zero: retry at once
	Failures int          // in a row; 0: the last one succeeded
	Fault    *fault.Fault // of the last one
	Success  time.Time    // when the last one that succeeded ended
	Spread   string       // who else fails for the same reason, and shall try at the same time
	Foreign  *fault.Fault // why the ticket is not ours to refresh, nil when it is
	Others   bool         // the logins may have tickets of users' own
}

// Policy says when tickets are replaced.
type Policy struct {
	config.Refresh
	// Before, unless zero, is how long before it expires a ticket is replaced at the latest, even if the next
	// one is due at once: then it is replaced as often as Pace allows.
	Before, Pace time.Duration
	Seed         string // differs from machine to machine, so that a fleet does not ask at the same moment
}

// Decision is what is to be done about one mounted endpoint.
type Decision struct {
	Key
	State control.State
	Why   string    // a sentence without its full stop, "" for nothing to tell
	When  time.Time // of the attempt; for a state that needs none, when to look again; zero is never
	Late  bool      // an application may have been refused already
	Alias bool      // the ticket is good and only lacks one of the names it is mounted by
}

// acts reports whether the decision is to get a ticket.
func (d Decision) acts() bool { return d.State != control.Fresh && d.State != control.Foreign }

// Plan decides about every key that mounts name. It knows no clock but
// now and reads nothing: the same arguments give the same decisions.
//
// Without a failure, an endpoint's ticket is due when it has used up the share p.At of its lifetime, at
// the latest p.BeforeExpiry before its end, spread by p.Jitter. A ticket that lives less than twice that
// margin is used for half of its life. After failures the wait doubles. What the other side asks for makes
// it longer, up to a bound, and the end of the ticket shorter.
func Plan(now time.Time, mounted map[Key][]mounts.Mount, tickets map[Key]Ticket, history map[Key]Attempt, p Policy) []Decision {
	plan := make([]Decision, 0, len(mounted))
	for _, k := range sorted(mounted) {
		t, known := tickets[k]
		plan = append(plan, p.decide(now, k, mounted[k], t, known, history[k]))
	}
	return plan
}

// group collects the mounts of each key.
func group(mounted []mounts.Mount) map[Key][]mounts.Mount {
	byKey := make(map[Key][]mounts.Mount, len(mounted))
	for _, m := range mounted {
		k := Key{m.Endpoint.Host(), m.CRUID, identity.Selector(m.Username)}
		byKey[k] = append(byKey[k], m)
	}
	return byKey
}

func sorted(mounted map[Key][]mounts.Mount) []Key {
	return slices.SortedFunc(maps.Keys(mounted), func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.CRUID, b.CRUID), cmp.Compare(a.User, b.User))
	})
}

func (p Policy) decide(now time.Time, k Key, mounted []mounts.Mount, t Ticket, known bool, a Attempt) Decision {
	d := Decision{Key: k}
	if why := p.foreign(now, mounted, t, known, a); why != "" {
		d.State, d.Why, d.When = control.Foreign, why, p.nextChange(now, t, known)
		return d
	}
	if !known {
		d.State, d.Late, d.When = control.Missing, true, now
	} else if !t.End.After(now) {
		d.State, d.Late, d.When = control.Expired, true, now
	} else {
		d = p.current(now, d, mounted, t, a)
	}
	if d.acts() && a.Failures > 0 {
		d.When, d.Why = p.retry(now, k, a, t, d.Late), a.Fault.What()
		d.State, d.Late = control.Failing, true
	}
	return d
}

// current decides about a ticket that has not expired.
func (p Policy) current(now time.Time, d Decision, mounted []mounts.Mount, t Ticket, a Attempt) Decision {
	d.State, d.When = control.Fresh, p.due(t)
	if at := p.pacedTime(t, a); p.Before > 0 && at.Before(d.When) {
		d.When = at
	}
	if t.Start.Sub(now) > skew {
		d.State, d.When, d.Why = control.Due, now, "its ticket begins in the future, so the clock was set back"
	} else if !d.When.After(now) {
		d.State, d.When = control.Due, now
	} else if name := lacking(mounted, t); name != "" {
		d.State, d.When, d.Alias, d.Why = control.Due, now, true, "it is also mounted as "+name
	}
	return d
}

// lacking is a name that the endpoint is mounted by and its ticket is not stored under. Without a record
// nobody knows whose ticket would get the name.
func lacking(mounted []mounts.Mount, t Ticket) string {
	if t.Identity == "" || t.Private {
		return ""
	}
	for _, m := range mounted {
		if alias := m.Endpoint.Alias(); alias != "" && !slices.Contains(t.Aliases, alias) {
			return alias
		}
	}
	return ""
}

// foreign says why a ticket is not ours to refresh.
func (p Policy) foreign(now time.Time, mounted []mounts.Mount, t Ticket, known bool, a Attempt) string {
	if !slices.ContainsFunc(mounted, byKerberos) {
		return "it is mounted without Kerberos"
	}
	if a.Foreign != nil {
		return a.Foreign.What()
	}
	if a.Others {
		return "its logins may have a ticket of a user's own, of a domain or of Entra Kerberos"
	}
	if !known || t.Identity == "" || t.Refreshable {
		return ""
	}
	if !t.End.After(now) {
		return "its token was handed over once, and the ticket has expired: azfilesauth set gets the next"
	}
	if !p.due(t).After(now) {
		return "its token was handed over once, and the ticket expires soon: azfilesauth set gets the next"
	}
	return "its token was handed over once, only a person can get the next ticket"
}

// nextChange is when the reason of a foreign ticket changes.
func (p Policy) nextChange(now time.Time, t Ticket, known bool) time.Time {
	if known && t.Identity != "" && !t.Refreshable {
		for _, at := range []time.Time{p.due(t), t.End} {
			if at.After(now) {
				return at
			}
		}
	}
	return time.Time{}
}

func byKerberos(m mounts.Mount) bool {
	return m.CRUID >= 0 && m.IsKerberos()
}

// life is how long a ticket is ours, and since when.
func (t Ticket) life() (begin time.Time, life time.Duration) {
	begin = t.Start
	if t.Obtained.After(t.Start) && t.Obtained.Before(t.End) {
		begin = t.Obtained // a server may hand out a ticket again that it issued earlier
	}
	return begin, t.End.Sub(begin)
}

// due is when a ticket is to be replaced.
func (p Policy) due(t Ticket) time.Time {
	begin, life := t.life()
	share := func(s float64) time.Duration { return time.Duration(s * float64(life)) }
	latest := min(share(min(p.At+p.Jitter, maxShare)), life-min(p.BeforeExpiry, life/2))
	earliest := min(share(p.At), max(latest-share(p.Jitter), latest/2))
	spread := time.Duration(fraction(p.Seed, t.Host+t.User, strconv.Itoa(t.CRUID)) * float64(latest-earliest))
	at := begin.Add(max(earliest+spread, minUse))
	if t.Elsewhere { // who sees the file has half of what is left to replace it
		at = at.Add(t.End.Sub(at) / 2)
	}
	return at
}

// pacedTime is when a ticket is to be replaced that Before is asked for.
func (p Policy) pacedTime(t Ticket, a Attempt) time.Time {
	last := t.Obtained
	if a.Success.After(last) {
		last = a.Success
	}
	at := t.End.Add(-p.Before)
	if free := last.Add(p.Pace); free.After(at) {
		at = free
	}
	return at
}

// retry is when an attempt follows a's failures; t is the ticket meanwhile, unless late says that there is
// none.
func (p Policy) retry(now time.Time, k Key, a Attempt, t Ticket, late bool) time.Time {
	if now.Before(a.At) {
		return now // the clock was set back, and nobody knows how long ago it was
	}
	spread := cmp.Or(a.Spread, k.Host+k.User)
	by := fraction(p.Seed, spread, strconv.Itoa(a.Failures))
	longest := maxWait
	if late && a.Fault.Retryable() {
		longest = maxLateWait
	}
	wait := min(firstWait<<min(a.Failures-1, 20), longest)
	wait = wait/2 + time.Duration(by*float64(wait/2))
	if asked := a.Fault.RetryAfter; asked > 0 {
		wait = max(wait, min(asked+time.Duration(by*float64(asked/10)), maxRetryAfter))
	}
	at := a.At.Add(wait)
	if fault.Is(a.Fault, fault.CCacheFought) {
		at = a.At.Add(fightWait)
	} else if late && !t.End.IsZero() {
		at = t.afterEnd(at, a.At)
	}
	if !late {
		at = t.beforeEnd(at, a.At)
	}
	if at.After(now) {
		return at
	}
	return now
}

// beforeEnd is an attempt that was to be at a moment, after one that failed, as early as the end of the ticket
// makes it: in the last quarter often, and once before its last moments.
func (t Ticket) beforeEnd(at, failed time.Time) time.Time {
	_, life := t.life()
	step := t.step()
	quarter := t.End.Add(-life / 4)
	if failed.After(quarter) {
		quarter = failed
	}
	for _, latest := range []time.Time{quarter.Add(step), t.End.Add(-step)} {
		if latest.After(failed) && latest.Before(at) {
			at = latest
		}
	}
	return at
}

// afterEnd is an attempt that was to be at a moment, after one that failed, as early as it makes the end of the ticket: the
// attempts before it, which were many, must not make the wait long now. It doubles from the end on.
func (t Ticket) afterEnd(at, failed time.Time) time.Time {
	if latest := failed.Add(max(t.step(), failed.Sub(t.End))); latest.Before(at) {
		return latest
	}
	return at
}

// step is the wait between attempts around the end of the ticket.
func (t Ticket) step() time.Duration {
	_, life := t.life()
	return max(min(lastWait, life/16), minUse)
}

// fraction is a number from 0 up to but not 1 that depends on the words alone.
func fraction(words ...string) float64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%q", words) // a hash.Hash never fails
	x := h.Sum64()
	x ^= x >> 33 // fnv changes the upper bits of similar words too little
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}
