// Package metrics counts what operators of many machines want to see, in the text exposition format
// of Prometheus (version 0.0.4): when tickets end, how refreshes and upcalls went.
//
// It renders the few kinds it needs itself, because it is linked into a program that the kernel waits
// for, and the libraries cost it half a millisecond and more at every start.
//
// Invariants: times are told as Unix timestamps, so a text stays true while nothing changes and
// nobody has to wake up to write it again; labels are host names, uids and ids of faults, which are
// bounded by what is mounted and by the table of faults, and never text from outside.
package metrics

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// The names are part of the interface, as alert rules are written with them.
const (
	buildInfo    = "azfilesauth_build_info"
	active       = "azfilesauth_active"
	startTime    = "azfilesauth_start_timestamp_seconds"
	ticketEnd    = "azfilesauth_ticket_expiry_timestamp_seconds"
	nextRefresh  = "azfilesauth_next_refresh_timestamp_seconds"
	mountCount   = "azfilesauth_mounts"
	failures     = "azfilesauth_refresh_failures"
	nobody       = "azfilesauth_identity_unknown"
	refreshes    = "azfilesauth_refreshes_total"
	durations    = "azfilesauth_refresh_duration_seconds"
	upcallsTotal = "azfilesauth_upcalls_total"
	upcallTimes  = "azfilesauth_upcall_duration_seconds"
)

// help is what is said of each metric.
var help = []struct{ name, kind, text string }{
	{buildInfo, "gauge", "The version of the daemon, always 1."},
	{active, "gauge", "1 when this daemon refreshes tickets, 0 when it waits because another one does."},
	{startTime, "gauge", "When the daemon started, in Unix time."},
	{ticketEnd, "gauge", "When the service ticket of a mounted endpoint ends, in Unix time; 0 when there is none."},
	{nextRefresh, "gauge", "When the next refresh of a mounted endpoint is planned, in Unix time; 0 when none is."},
	{mountCount, "gauge", "How many mounts an endpoint has."},
	{failures, "gauge", "Refreshes of an endpoint that failed in a row."},
	{nobody, "gauge", "1 when nothing says who logs in at a mounted endpoint, as after an upgrade without default_identity, else 0."},
	{refreshes, "counter", "Refreshes by endpoint, result and id of the fault."},
	{durations, "histogram", "Duration of refreshes, including failed ones."},
	{upcallsTotal, "counter", "Requests of the kernel for a ticket by result, which is answered or the id of the fault."},
	{upcallTimes, "histogram", "How long the kernel waited for these requests, by result."},
}

// Set counts since the daemon's start. It is safe for concurrent use.
type Set struct {
	lock      sync.Mutex
	refreshes map[string]float64 // by labels
	took      histogram          // by refreshes
}

// refreshBounds are in seconds: an exchange takes tenths of a second, its time limit is 30 s.
var refreshBounds = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// New makes a Set that has counted nothing.
func New() *Set { return &Set{refreshes: map[string]float64{}, took: newHistogram(refreshBounds)} }

// Refreshed counts a refresh of the endpoint host that took d; faultID is "" when it succeeded.
func (s *Set) Refreshed(host, faultID string, d time.Duration) {
	result := "ok"
	if faultID != "" {
		result = "failed"
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.refreshes[labels("endpoint", host, "result", result, "fault", faultID)]++
	s.took.add(refreshBounds, d)
}

// Write writes all metrics: what was counted, what status tells, and upcalls as Upcalls gives them.
func (s *Set) Write(w io.Writer, status control.Status, upcalls map[string]Upcall) {
	t := text{}
	t.add(buildInfo, labels("version", status.Version), 1)
	t.add(active, "", boolValue(status.Active))
	t.add(startTime, "", seconds(status.Started))
	for _, e := range merge(status.Endpoints) {
		at := labels("endpoint", e.Host, "uid", strconv.Itoa(e.CRUID))
		t.add(ticketEnd, at, seconds(e.TicketEnd))
		t.add(nextRefresh, at, seconds(e.NextRefresh))
		t.add(mountCount, at, float64(len(e.Mounts)))
		t.add(failures, at, float64(e.Failures))
		t.add(nobody, at, boolValue(unknown(e)))
	}
	for _, result := range slices.Sorted(maps.Keys(upcalls)) {
		u := upcalls[result]
		t.add(upcallsTotal, labels("result", result), float64(u.Count))
		u.took.write(t, upcallTimes, upcallBounds, "result", result)
	}
	s.counted(t)
	t.write(w)
}

// unknown reports whether nothing says who logs in at an endpoint.
func unknown(e control.Endpoint) bool {
	return e.LastFault != nil && e.LastFault.ID == string(fault.IdentityUnknown.ID)
}

// merge makes one of the rows of an endpoint and credential uid, whose shares can be mounted by several identities:
// the earliest times, all mounts, the most failures, and whether one of them is nobody's. A ticket that is missing counts as the earliest end.
func merge(rows []control.Endpoint) (merged []control.Endpoint) {
	type series struct {
		host  string
		cruid int
	}
	at := make(map[series]int, len(rows))
	for _, e := range rows {
		i, known := at[series{e.Host, e.CRUID}]
		if !known {
			at[series{e.Host, e.CRUID}] = len(merged)
			merged = append(merged, e)
			continue
		}
		m := &merged[i]
		if e.TicketEnd.Before(m.TicketEnd) {
			m.TicketEnd = e.TicketEnd
		}
		if m.NextRefresh.IsZero() || !e.NextRefresh.IsZero() && e.NextRefresh.Before(m.NextRefresh) {
			m.NextRefresh = e.NextRefresh
		}
		m.Mounts = slices.Concat(m.Mounts, e.Mounts)
		m.Failures = max(m.Failures, e.Failures)
		if unknown(e) {
			m.LastFault = e.LastFault
		}
	}
	return merged
}

// counted adds what was counted.
func (s *Set) counted(t text) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, at := range slices.Sorted(maps.Keys(s.refreshes)) {
		t.add(refreshes, at, s.refreshes[at])
	}
	s.took.write(t, durations, refreshBounds)
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}
