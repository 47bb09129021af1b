package main

import (
	"fmt"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/watcher"
)

const (
	// startSpread is the time within which all machines start.
	startSpread = time.Minute
	// remembered is how long the kernel keeps a rejection, and so the pause between its requests.
	remembered = 3 * time.Second
	// margin is the rest of its life in which a kept token is not used any more.
	margin = 5 * time.Minute
)

// epoch is when a simulation begins, any moment.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// counts are requests by second.
type counts struct{ storage, tokens []int32 }

// machine is one host with one mounted share.
type machine struct {
	scenario
	times
	counts

	policy  watcher.Policy
	mounted []mounts.Mount
	key     watcher.Key
	tickets map[watcher.Key]watcher.Ticket
	history map[watcher.Key]watcher.Attempt
	token   time.Time // when the access token that is kept ends
}

// simulate runs the machine number i from its start to the end and counts its requests.
func simulate(s scenario, at times, i int, busy bool, into counts) {
	m := newMachine(s, at, i, into)
	now := epoch.Add(startSpread * time.Duration(i%6007) / 6007)
	end := epoch.Add(at.end)
	// The daemon acts when its plan says; the kernel logs in when the ticket of its session has ended.
	kernel := end
	for {
		daemon := m.plan(now)
		if kernel.Before(daemon) {
			now = kernel
		} else {
			now = daemon
		}
		switch {
		case !now.Before(end):
			return
		case now.Equal(daemon):
			m.refresh(now)
			if busy && kernel.Equal(end) {
				kernel = m.tickets[m.key].End // the first session
			}
		default:
			kernel = m.login(now)
		}
	}
}

func newMachine(s scenario, at times, i int, into counts) *machine {
	e, err := endpoint.Resolver{}.Resolve(fmt.Sprintf("account%d.file.core.windows.net", i/100))
	if err != nil {
		panic(err) // the name is made above
	}
	m := &machine{
		scenario: s, times: at, counts: into,
		policy:  watcher.Policy{Refresh: config.Refresh{At: 0.6, BeforeExpiry: 5 * time.Minute, Jitter: 0.1, Concurrency: 8}, Seed: fmt.Sprint(i)},
		mounted: []mounts.Mount{{Endpoint: e, Sec: "krb5"}},
		key:     watcher.Key{Host: e.Host()},
		tickets: map[watcher.Key]watcher.Ticket{}, history: map[watcher.Key]watcher.Attempt{},
	}
	if !s.jitter {
		m.policy.Jitter, m.policy.Seed = 0, ""
	}
	return m
}

// plan is when the daemon acts next.
func (m *machine) plan(now time.Time) time.Time {
	return watcher.Plan(now, map[watcher.Key][]mounts.Mount{m.key: m.mounted}, m.tickets, m.history, m.policy)[0].When
}

// refresh is what the daemon does.
func (m *machine) refresh(now time.Time) {
	a := m.history[m.key]
	a.At = now
	if m.exchange(now) {
		a.Failures, a.Fault, a.Success = 0, nil, now
	} else {
		a.Failures, a.Fault = a.Failures+1, fault.AzureBusy.New("")
	}
	if !m.jitter {
		a.Spread = "all" // every machine waits equally long
	}
	m.history[m.key] = a
}

// login is a request of the kernel; it gives the time of the next one.
func (m *machine) login(now time.Time) time.Time {
	if !m.tickets[m.key].End.After(now) && !m.exchange(now) {
		return now.Add(remembered)
	}
	return m.tickets[m.key].End
}

// exchange asks for a ticket, with a token that is kept or a new one, and tells whether it got one.
func (m *machine) exchange(now time.Time) bool {
	second := int(now.Sub(epoch) / time.Second)
	if !m.kept || m.token.Sub(now) < margin {
		m.tokens[second]++
		m.token = now.Add(m.scenario.token)
	}
	m.storage[second]++
	if since := now.Sub(epoch); since >= m.down && since < m.up {
		return false
	}
	m.tickets[m.key] = watcher.Ticket{Key: m.key, Start: now, End: now.Add(m.ticket), Obtained: now, Identity: "system", Refreshable: true}
	return true
}
