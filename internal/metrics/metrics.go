// Package metrics counts what operators of many machines want to see, in the text exposition format
// of Prometheus (version 0.0.4): when tickets end, how refreshes and upcalls went.
//
// Invariants: times are told as Unix timestamps, so a text stays true while nothing changes and
// nobody has to wake up to write it again; labels are host names, uids and ids of faults, which are
// bounded by what is mounted and by the table of faults, and never text from outside.
package metrics

import (
	"fmt"
	"io"
	"strconv"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"github.com/azfilesauth/azfilesauth/internal/control"
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
	refreshes    = "azfilesauth_refreshes_total"
	durations    = "azfilesauth_refresh_duration_seconds"
	upcallsTotal = "azfilesauth_upcalls_total"
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
	{refreshes, "counter", "Refreshes by endpoint, result and id of the fault."},
	{durations, "histogram", "How long refreshes took, failed ones included."},
	{upcallsTotal, "counter", "Requests of the kernel for a ticket by result, which is answered or the id of the fault."},
}

// bounds of the histogram, in seconds: an exchange takes tenths of a second, its time limit is 30 s.
var bounds = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// Set counts since the daemon's start. It is safe for concurrent use.
type Set struct{ counted *vm.Set }

// New makes a Set that has counted nothing.
func New() *Set {
	s := &Set{vm.NewSet()}
	s.counted.NewPrometheusHistogramExt(durations, bounds)
	return s
}

// Refreshed counts a refresh of the endpoint host that took d; faultID is "" when it succeeded.
func (s *Set) Refreshed(host, faultID string, d time.Duration) {
	result := "ok"
	if faultID != "" {
		result = "failed"
	}
	s.counted.GetOrCreateCounter(refreshes + labels("endpoint", host, "result", result, "fault", faultID)).Inc()
	s.counted.GetOrCreatePrometheusHistogramExt(durations, bounds).Update(d.Seconds())
}

// Write writes all metrics: what was counted, what status tells, and upcalls as Upcalls gives them.
func (s *Set) Write(w io.Writer, status control.Status, upcalls map[string]uint64) {
	now := vm.NewSet()
	gauge := func(name string, value float64) { now.GetOrCreateGauge(name, nil).Set(value) }
	gauge(buildInfo+labels("version", status.Version), 1)
	gauge(active, truth(status.Active))
	gauge(startTime, seconds(status.Started))
	for _, e := range status.Endpoints {
		at := labels("endpoint", e.Host, "uid", strconv.Itoa(e.CRUID))
		gauge(ticketEnd+at, seconds(e.TicketEnd))
		gauge(nextRefresh+at, seconds(e.NextRefresh))
		gauge(mountCount+at, float64(len(e.Mounts)))
		gauge(failures+at, float64(e.Failures))
	}
	for result, n := range upcalls {
		now.NewCounter(upcallsTotal + labels("result", result)).Set(n)
	}
	lines := families(now, s.counted)
	for _, h := range help {
		_, _ = fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s", h.name, h.text, h.name, h.kind, lines[h.name])
	}
}

func truth(b bool) float64 {
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
