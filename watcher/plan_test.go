package watcher

import (
	"fmt"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

var (
	epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	one   = Key{Host: "acct1.file.core.windows.net"}
	// punctual is a policy without chance.
	punctual = Policy{Refresh: config.Refresh{At: 0.6, BeforeExpiry: 5 * time.Minute}}
)

// mounted is a mount of one.
func mounted(host string) mounts.Mount {
	return mounts.Mount{Endpoint: must(endpoint.Resolver{}.Resolve(host)), Sec: "krb5", Username: "root"}
}

// live is a ticket that begins at the epoch.
func live(life time.Duration) Ticket {
	return Ticket{Key: one, Start: epoch, End: epoch.Add(life), Identity: "system", Refreshable: true, Trusted: true}
}

func busyFor(wait time.Duration) *fault.Fault {
	f := fault.AzureBusy.New(one.Host)
	f.RetryAfter = wait
	return f
}

// TestPlanBefore: what the variable asks for is taken as given, once for each look at most.
func TestPlanBefore(t *testing.T) {
	hour := live(time.Hour)
	hour.Obtained = epoch
	for _, c := range []struct {
		before, pace, success, want time.Duration // want: after the epoch
	}{
		{before: time.Second, pace: 10 * time.Minute, want: 36 * time.Minute}, // its share of life is used up first
		{before: 50 * time.Minute, pace: time.Minute, want: 10 * time.Minute},
		{before: 59 * time.Minute, pace: 10 * time.Minute, want: 10 * time.Minute},
		{before: 24 * time.Hour, pace: 5 * time.Second, want: 5 * time.Second},
		{before: 24 * time.Hour, pace: 10 * time.Minute, want: 10 * time.Minute},
		{before: 24 * time.Hour, pace: 5 * time.Second, success: 20 * time.Second, want: 25 * time.Second}, // a ticket that was handed out again
		{before: 24 * time.Hour, pace: 2 * time.Hour, want: 30 * time.Minute},                              // half of its life, as ever
	} {
		p := punctual
		p.BeforeExpiry, p.Before, p.Pace = c.before, c.before, c.pace
		var history map[Key]Attempt
		if c.success > 0 {
			history = map[Key]Attempt{one: {Success: epoch.Add(c.success)}}
		}
		d := Plan(epoch, group([]mounts.Mount{mounted(one.Host)}), map[Key]Ticket{one: hour}, history, p)[0]
		if got := d.When.Sub(epoch); got != c.want || d.State != control.Fresh {
			t.Errorf("%+v: %s after %s", c, d.State, got)
		}
	}
}

// TestPlanByIdentity: each identity of an account has its own ticket, and its own failures.
func TestPlanByIdentity(t *testing.T) {
	as := func(user string) mounts.Mount {
		m := mounted(one.Host)
		m.Username = user
		return m
	}
	const other = "22222222-3333-4444-5555-666666666666"
	table := []mounts.Mount{as(other), as("root"), as(clientID), as("ROOT"), as(clientID), as("azfiles-system-0123456789ab")}
	key := func(user string) Key { return Key{one.Host, 0, user} }
	known := map[Key]Ticket{key(""): live(time.Hour), key(clientID): live(30 * time.Minute), key("not mounted"): live(time.Minute)}
	history := map[Key]Attempt{key(other): {At: epoch, Failures: 1, Fault: busyFor(0)}}
	plan := Plan(epoch.Add(30*time.Minute), group(table), known, history, punctual)
	want := []struct {
		Key
		state control.State
	}{{key(""), control.Fresh}, {key(clientID), control.Expired}, {key(other), control.Failing}, {key("azfiles-system-0123456789ab"), control.Missing}}
	if len(plan) != len(want) {
		t.Fatalf("%d decisions about %d identities", len(plan), len(want))
	}
	for i, d := range plan {
		if d.Key != want[i].Key || d.State != want[i].state {
			t.Errorf("%v is %s, want %v to be %s", d.Key, d.State, want[i].Key, want[i].state)
		}
	}
}

func TestPlan(t *testing.T) {
	forbidden := fault.RoleMissing.New("", "", "")
	unknown := fault.IdentityUnknown.New("")
	failed := func(n int, ago time.Duration, f *fault.Fault) Attempt {
		return Attempt{At: epoch.Add(-ago), Failures: n, Fault: f}
	}
	hour := live(time.Hour)
	for _, c := range []struct {
		name    string
		after   time.Duration // the epoch
		ticket  *Ticket
		attempt Attempt
		change  func(*mounts.Mount)
		state   control.State
		when    time.Duration // after the epoch; -1 never
		late    bool
	}{
		{name: "no ticket", state: control.Missing, late: true},
		{name: "fresh", ticket: &hour, state: control.Fresh, when: 36 * time.Minute},
		{name: "just before it is due", after: 36*time.Minute - 1, ticket: &hour, state: control.Fresh, when: 36 * time.Minute},
		{name: "due", after: 36 * time.Minute, ticket: &hour, state: control.Due, when: 36 * time.Minute},
		{name: "ends now", after: time.Hour, ticket: &hour, state: control.Expired, when: time.Hour, late: true},
		{name: "ended long ago", after: 100 * time.Hour, ticket: &hour, state: control.Expired, when: 100 * time.Hour, late: true},
		{name: "without Kerberos", change: func(m *mounts.Mount) { m.Sec, m.CRUID = "ntlmssp", -1 }, state: control.Foreign, when: -1},
		{name: "signed", change: func(m *mounts.Mount) { m.Sec = "krb5i" }, state: control.Missing, late: true},
		{name: "nobody's", attempt: Attempt{Foreign: unknown}, state: control.Foreign, when: -1},
		{name: "nobody's, and it ends", after: time.Hour, ticket: &hour, attempt: Attempt{Foreign: unknown}, state: control.Foreign, when: -1},
		{name: "failed once", attempt: failed(1, 0, busyFor(0)), state: control.Failing, when: wait(1, time.Minute), late: true},
		{name: "failed five times", attempt: failed(5, 0, busyFor(0)), state: control.Failing, when: wait(5, time.Minute), late: true},
		{name: "failed for ever, may pass, no ticket", attempt: failed(1000, 0, busyFor(0)), state: control.Failing, when: wait(1000, time.Minute), late: true},
		{name: "failed for ever, a person must act", attempt: failed(1000, 0, forbidden), state: control.Failing, when: wait(1000, 5*time.Minute), late: true},
		{name: "failed, with a ticket", after: 40 * time.Minute, ticket: &hour, attempt: failed(1000, -40*time.Minute, busyFor(0)), state: control.Failing, when: 40*time.Minute + wait(1000, 5*time.Minute), late: true},
		{name: "failed long ago", attempt: failed(3, time.Hour, busyFor(0)), state: control.Failing, late: true},
		{name: "failed, but it was not needed", ticket: &hour, attempt: failed(3, 0, busyFor(0)), state: control.Fresh, when: 36 * time.Minute},
		{name: "the clock was set back after a failure", attempt: failed(3, -2*time.Hour, busyFor(0)), state: control.Failing, late: true},
		{name: "to be retried at once", attempt: Attempt{Failures: 9, Fault: busyFor(0)}, state: control.Failing, late: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mounted(one.Host)
			if c.change != nil {
				c.change(&m)
			}
			tickets := map[Key]Ticket{}
			if c.ticket != nil {
				tickets[one] = *c.ticket
			}
			now := epoch.Add(c.after)
			plan := Plan(now, group([]mounts.Mount{m, m}), tickets, map[Key]Attempt{{Host: one.Host, CRUID: m.CRUID}: c.attempt}, punctual)
			if len(plan) != 1 {
				t.Fatalf("%d decisions about one endpoint", len(plan))
			}
			want := epoch.Add(c.when)
			if c.when < 0 {
				want = time.Time{}
			} else if c.when == 0 {
				want = now
			}
			d := plan[0]
			if d.State != c.state || !d.When.Equal(want) || d.Late != c.late {
				t.Errorf("%s at %s, late %v; want %s at %s, late %v", d.State, d.When, d.Late, c.state, want, c.late)
			}
			if d.acts() != (c.state != control.Fresh && c.state != control.Foreign) {
				t.Errorf("%s acts: %v", d.State, d.acts())
			}
		})
	}
}

// wait is what retry gives for a policy without a seed: it is the formula once more, bounded below.
func wait(failures int, longest time.Duration) time.Duration {
	w := longest
	if failures < 9 {
		w = min(time.Second<<(failures-1), longest)
	}
	return w/2 + time.Duration(fraction("", one.Host, fmt.Sprint(failures))*float64(w/2))
}

func TestWaitsGrowAndKeepTheirBounds(t *testing.T) {
	last := time.Duration(0)
	for n := 1; n < 100; n++ {
		at := punctual.retry(epoch, one, Attempt{At: epoch, Failures: n, Fault: busyFor(0)}, live(10*24*time.Hour), false)
		w := at.Sub(epoch)
		if w < 500*time.Millisecond || w > 5*time.Minute || n < 8 && w < last/2 || n > 10 && w < 150*time.Second {
			t.Errorf("after %d failures: %s, before %s", n, w, last)
		}
		last = w
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	for asked, most := range map[time.Duration]time.Duration{
		time.Second: 2 * time.Second, 2 * time.Minute: 132 * time.Second, 100 * 24 * time.Hour: 5 * time.Minute,
	} {
		at := punctual.retry(epoch, one, Attempt{At: epoch, Failures: 1, Fault: busyFor(asked)}, Ticket{}, true)
		if w := at.Sub(epoch); w < min(asked, 5*time.Minute) || w > most {
			t.Errorf("asked for %s: %s", asked, w)
		}
	}
}

// TestWaitsEndBeforeTheTicket: whatever is asked for and however often it failed, in the last quarter of a ticket's
// life there is an attempt a minute, and one before its last moments.
func TestWaitsEndBeforeTheTicket(t *testing.T) {
	for _, life := range []time.Duration{20 * time.Second, 5 * time.Minute, time.Hour, 24 * time.Hour} {
		step := max(min(time.Minute, life/16), time.Second)
		for _, asked := range []time.Duration{0, 2 * time.Minute, time.Hour} {
			for _, failures := range []int{1, 5, 100} {
				for failed := time.Duration(0); failed < life; failed += life / 97 {
					at := punctual.retry(epoch.Add(failed), one, Attempt{At: epoch.Add(failed), Failures: failures, Fault: busyFor(asked)}, live(life), false).Sub(epoch)
					if latest := max(failed, life*3/4) + step; at > latest {
						t.Fatalf("a life of %s, failed after %s, asked for %s: next after %s, not %s", life, failed, asked, at, latest)
					}
					if failed < life-step && at > life-step {
						t.Fatalf("a life of %s, failed after %s: next after %s", life, failed, at)
					}
				}
			}
		}
	}
}

// TestWaitsAfterTheTicket: the many attempts before a ticket expired do not make the wait after it long. It grows with the time
// that the share has been without a ticket, to where it would have been.
func TestWaitsAfterTheTicket(t *testing.T) {
	for _, life := range []time.Duration{20 * time.Second, time.Hour, 24 * time.Hour} {
		step := max(min(time.Minute, life/16), time.Second)
		for _, f := range []*fault.Fault{busyFor(0), busyFor(time.Hour), fault.RoleMissing.New("acct.file.core.windows.net", "system", "")} {
			for since := -2 * step; since < time.Hour; since += step/3 + max(since, 0)/5 {
				failed := epoch.Add(life + since)
				wait := punctual.retry(failed.Add(max(-since, 0)), one, Attempt{At: failed, Failures: 100, Fault: f}, live(life), true).Sub(failed)
				if wait > max(step, since, -since) {
					t.Fatalf("a life of %s, %s fails %s after its end: the next attempt is %s later", life, f.ID(), since, wait)
				}
			}
		}
	}
}

// TestDue: whatever the lifetime, a ticket is neither replaced all the time nor kept to its end.
func TestDue(t *testing.T) {
	for _, life := range []time.Duration{3 * time.Second, 40 * time.Second, 5 * time.Minute, 10 * time.Minute, time.Hour, 10 * time.Hour, 24 * time.Hour} {
		for _, r := range []config.Refresh{
			{At: 0.6, BeforeExpiry: 5 * time.Minute, Jitter: 0.1}, {At: 0.05, Jitter: 0.5}, {At: 0.95, Jitter: 0.5, BeforeExpiry: 24 * time.Hour}, {At: 0.95},
		} {
			for i := range 100 {
				k := Key{Host: fmt.Sprintf("acct%d.file.core.windows.net", i)}
				p := Policy{Refresh: r, Seed: "seed"}
				ticket := live(life)
				ticket.Key = k
				used := p.due(ticket).Sub(epoch)
				if used < time.Second || used < life/50 || used > life*95/100 || life-used < min(r.BeforeExpiry, life/2) {
					t.Fatalf("%s, %+v: due after %s", life, r, used)
				}
			}
		}
	}
}

func TestDueCountsFromWhenItWasObtained(t *testing.T) {
	ticket := live(time.Hour)
	ticket.Obtained = epoch.Add(30 * time.Minute)
	if got := punctual.due(ticket).Sub(epoch); got != 48*time.Minute {
		t.Errorf("issued at 0, obtained after 30m: due after %s", got)
	}
	for _, wrong := range []time.Time{epoch.Add(-time.Hour), epoch.Add(2 * time.Hour), ticket.End} {
		ticket.Obtained = wrong
		if got := punctual.due(ticket).Sub(epoch); got != 36*time.Minute {
			t.Errorf("obtained at %s: due after %s", wrong, got)
		}
	}
}

// TestDueOfWhatOthersRenew: where the token file cannot be seen, the daemon that sees it is first.
func TestDueOfWhatOthersRenew(t *testing.T) {
	ticket := live(time.Hour)
	ticket.Elsewhere = true
	if got := punctual.due(ticket).Sub(epoch); got != 48*time.Minute {
		t.Errorf("due after %s", got)
	}
	w := &watcher{Options: Options{Host: own()}}
	dir := t.TempDir()
	line := "workload client_id=" + clientID + " tenant_id=" + clientID + " token_file=" + dir
	for text, want := range map[string]bool{"system": false, line + "/token": false, line + "/gone/token": true, "no identity": false} {
		if got := w.elsewhere(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	record := tickets.Ticket{Known: true, Record: ccache.Record{Identity: line + "/gone/token"}}
	record.Server.Components = []string{"cifs", one.Host}
	if w.ticketOf(record, Key{}).Elsewhere {
		t.Error("a path that somebody else has written was looked at")
	}
	if record.Trusted = true; !w.ticketOf(record, Key{}).Elsewhere {
		t.Error("our own record is of no use")
	}
}

func TestJitterIsStableAndSpreads(t *testing.T) {
	p := Policy{Refresh: config.Refresh{At: 0.6, Jitter: 0.1}, Seed: "this machine"}
	q := p
	q.Seed = "that machine"
	low, high, differ := time.Hour, time.Duration(0), 0
	for i := range 200 {
		ticket := live(time.Hour)
		ticket.Host = fmt.Sprintf("acct%d.file.core.windows.net", i)
		used := p.due(ticket).Sub(epoch)
		if again := p.due(ticket).Sub(epoch); again != used {
			t.Fatalf("%s, then %s", used, again)
		}
		if q.due(ticket).Sub(epoch) != used {
			differ++
		}
		low, high = min(low, used), max(high, used)
	}
	if low < 36*time.Minute || low > 37*time.Minute || high < 41*time.Minute || high > 42*time.Minute || differ < 190 {
		t.Errorf("from %s to %s, %d differ between machines", low, high, differ)
	}
}

// Neither two identities of one account nor the endpoints of one identity fall due together.
func TestJitterOfIdentities(t *testing.T) {
	p := Policy{Refresh: config.Refresh{At: 0.6, Jitter: 0.1}, Seed: "this machine"}
	perMinute, together := map[time.Duration]int{}, 0
	for i := range 500 {
		one, other := live(10*time.Hour), live(10*time.Hour)
		one.Key = Key{Host: fmt.Sprintf("acct%d.file.core.windows.net", i), User: "11111111-1111-1111-1111-111111111111"}
		other.Key = Key{Host: one.Host, User: "22222222-2222-2222-2222-222222222222"}
		if between := p.due(one).Sub(p.due(other)).Abs(); between < time.Second {
			together++
		}
		failed := Attempt{At: epoch, Failures: 6, Fault: fault.AzureBusy.New(one.Host)}
		if p.retry(epoch, one.Key, failed, one, true).Equal(p.retry(epoch, other.Key, failed, other, true)) {
			t.Errorf("%s: both identities are tried again at the same time", one.Host)
		}
		perMinute[p.due(one).Sub(epoch).Truncate(time.Minute)]++
	}
	if together > 5 {
		t.Errorf("at %d of 500 accounts two identities fall due within a second", together)
	}
	for minute, n := range perMinute { // 500 over an hour
		if n > 25 {
			t.Errorf("%d of 500 endpoints of one identity fall due in the minute after %s", n, minute)
		}
	}
}

func TestClockSetBack(t *testing.T) {
	for behind, want := range map[time.Duration]control.State{4 * time.Minute: control.Fresh, 6 * time.Minute: control.Due, 2 * time.Hour: control.Due} {
		plan := Plan(epoch.Add(-behind), group([]mounts.Mount{mounted(one.Host)}), map[Key]Ticket{one: live(time.Hour)}, nil, punctual)
		if plan[0].State != want || plan[0].Late {
			t.Errorf("%s behind: %+v", behind, plan[0])
		}
	}
}

func TestAliases(t *testing.T) {
	private := "acct1.privatelink.file.core.windows.net"
	table := []mounts.Mount{mounted(one.Host), mounted(private)}
	ticket := live(time.Hour)
	for _, c := range []struct {
		identity string
		aliases  []string
		want     bool
	}{{"system", nil, true}, {"system", []string{private}, false}, {"", nil, false}} {
		ticket.Identity, ticket.Aliases = c.identity, c.aliases
		d := Plan(epoch, group(table), map[Key]Ticket{one: ticket}, nil, punctual)[0]
		if d.Alias != c.want || d.acts() != c.want || d.Late {
			t.Errorf("%+v: %+v", c, d)
		}
	}
}

func TestPlanIsSortedAndByUID(t *testing.T) {
	a, b, c := mounted("bbb.file.core.windows.net"), mounted("aaa.file.core.windows.net"), mounted("aaa.file.core.windows.net")
	c.CRUID = 7
	plan := Plan(epoch, group([]mounts.Mount{a, c, b, a}), nil, nil, punctual)
	want := []Key{{b.Endpoint.Host(), 0, ""}, {b.Endpoint.Host(), 7, ""}, {a.Endpoint.Host(), 0, ""}}
	if len(plan) != len(want) {
		t.Fatalf("%+v", plan)
	}
	for i, k := range want {
		if plan[i].Key != k {
			t.Errorf("decision %d is about %+v, not %+v", i, plan[i].Key, k)
		}
	}
}

func TestHandedOver(t *testing.T) {
	ticket := live(time.Hour)
	ticket.Identity, ticket.Refreshable = "token", false
	for after, next := range map[time.Duration]time.Duration{0: 36 * time.Minute, 40 * time.Minute: time.Hour, 2 * time.Hour: -1} {
		d := Plan(epoch.Add(after), group([]mounts.Mount{mounted(one.Host)}), map[Key]Ticket{one: ticket}, nil, punctual)[0]
		if d.State != control.Foreign || d.acts() || next < 0 != d.When.IsZero() || next >= 0 && d.When != epoch.Add(next) {
			t.Errorf("after %s: %+v", after, d)
		}
	}
}
