package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// tap begins to read what goes to the server and comes from it, until the story ends.
func (m *machine) startTap(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: tap")
	}
	var err error
	m.tap, err = startTap()
	ts.Check(err)
	ts.Defer(m.tap.close)
}

// logged-in-as DIR HOST IDENTITY LOGINS [CHANNELS] waits until the mount whose files are all in a directory of the share
// has logged in so often with different tickets, the first time at its mount, and for so many further channels. It
// demands that every login of its sessions was with a ticket that HOST has issued to IDENTITY, and that no other
// directory was opened in them. Whose a session is, is told by what is opened in it; whose a ticket is, by the fake alone.
func (m *machine) loggedInAs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 && len(args) != 5 || m.tap == nil {
		ts.Fatalf("usage, after tap: logged-in-as DIR HOST IDENTITY LOGINS [CHANNELS]")
	}
	tickets, err := strconv.Atoi(args[3])
	ts.Check(err)
	channels := 0
	if len(args) == 5 {
		channels, err = strconv.Atoi(args[4])
		ts.Check(err)
	}
	for end := time.Now().Add(storyTime / 2); ; time.Sleep(pause) {
		logins := m.tap.loginsSoFar()
		issued, err := m.issuedTickets()
		ts.Check(err)
		seen, problems := m.tap.judge(args[0], args[1], args[2], issued, logins)
		problems = append(problems, m.tap.whole()...)
		enough := seen.tickets >= tickets && seen.channels >= channels
		if !enough && time.Now().After(end) {
			problems = append(problems, fmt.Sprintf("%s: not %s tickets and %d channels", args[0], args[3], channels))
		}
		if enough || len(problems) > 0 {
			fmt.Printf("%s as %s: %s\n", args[0], args[2], seen)
			demand(ts, problems)
			return
		}
	}
}

// issuedTickets are the requests for tickets that were granted, by the ticket.
func (m *machine) issuedTickets() (map[string]azurefake.Request, error) {
	list, err := m.azure.requests(azurefake.TargetStorage)
	issued := map[string]azurefake.Request{}
	for _, r := range list {
		if r.Ticket != "" {
			issued[r.Ticket] = r
		}
	}
	return issued, err
}

// sight is what the tap has seen of a mount.
type sight struct{ sessions, logins, tickets, channels, opened int }

func (s sight) String() string {
	return fmt.Sprintf("%d sessions, %d logins of which %d for channels, %d tickets, %d files opened", s.sessions, s.logins, s.channels, s.tickets, s.opened)
}

// loginsSoFar is how many logins there were. The tickets of those alone are in a list that is asked for afterwards.
func (t *tap) loginsSoFar() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.logins)
}

// judge finds what is wrong with the first logins, so many of all, of the mount in a directory. A session and those that
// took its place are one mount's, so that a login counts whose session ended before anything was opened in it.
func (t *tap) judge(dir, host, identity string, issued map[string]azurefake.Request, logins int) (seen sight, problems []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := func(session uint64) uint64 {
		for range len(t.replaces) {
			next, replaced := t.replaces[session]
			if !replaced {
				break
			}
			session = next
		}
		return session
	}
	its := map[uint64]bool{}
	for session, dirs := range t.opened {
		if dirs[dir] > 0 {
			its[last(session)] = true
		}
	}
	for session, dirs := range t.opened {
		if !its[last(session)] {
			continue
		}
		seen.sessions++
		for other, n := range dirs {
			if other != dir && other != "" {
				problems = append(problems, fmt.Sprintf("%s was opened in a session of %s, %d times", other, dir, n))
			}
		}
		seen.opened += dirs[dir]
	}
	tickets := map[string]bool{}
	for _, l := range t.logins[:logins] {
		r, known := issued[l.ticket]
		if !known {
			problems = append(problems, fmt.Sprintf("a login at %s with a ticket that nobody issued: %s", l.at.Format("15:04:05.000"), l.ticket))
		}
		if !its[last(l.session)] {
			continue
		}
		seen.logins++
		if l.binding {
			seen.channels++
		}
		tickets[l.ticket] = true
		if known && (r.Identity != identity || r.Host != host) {
			problems = append(problems, fmt.Sprintf("%s logged in at %s as %s of %s, not as %s of %s",
				dir, l.at.Format("15:04:05.000"), r.Identity, r.Host, identity, host))
		}
	}
	seen.tickets = len(tickets)
	return seen, problems
}
