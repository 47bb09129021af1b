// Package control is how others talk to the daemon that keeps tickets fresh: HTTP over a unix socket.
//
//	GET  /v1/status            what the daemon knows, a Status
//	POST /v1/refresh[?host=H]  get new tickets now, for one endpoint or for all that are mounted
//	GET  /metrics              counters in the text form of Prometheus
//
// so that curl --unix-socket serves where azfilesauth is not at hand. The JSON is schema 1: its keys
// keep their names and meanings, and others may join them.
//
// Invariants: only root and members of the group Readers can connect, by the mode of the socket and by the credentials of
// the peer, and those members get nothing but the status; a
// socket that somebody listens on is never taken away; every message is bounded; while nobody
// connects, nothing runs.
package control

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// DefaultPath is where the daemon listens.
const DefaultPath = "/run/azfilesauth/watch.sock"

// Schema is the version of the JSON.
const Schema = 1

var (
	// ErrNotRunning says that nobody listens on the socket.
	ErrNotRunning = errors.New("the daemon is not running")
	// ErrInUse says that another process listens on the socket.
	ErrInUse = errors.New("another process listens on the socket")
)

// Status is what the daemon knows. Times that are not known are zero and absent from the JSON.
type Status struct {
	Schema    int        `json:"schema"` // set by the server
	Version   string     `json:"version"`
	PID       int        `json:"pid"`
	Started   time.Time  `json:"started,omitzero"`
	Active    bool       `json:"active"`               // false: it waits, because another instance keeps the same cache
	HolderPID int        `json:"holder_pid,omitempty"` // of that instance; 0 is not known
	CCache    string     `json:"ccache"`               // path of the credential cache of USER_UID
	Mountinfo string     `json:"mountinfo"`            // the mount table that is read
	NextLook  time.Time  `json:"next_look,omitzero"`   // when it will look again if nothing happens
	Endpoints []Endpoint `json:"endpoints"`            // those that are mounted, by host and credential uid
}

// Endpoint is one storage account as one credential uid has it mounted.
type Endpoint struct {
	Host        string    `json:"host"` // canonical
	CRUID       int       `json:"cruid"`
	CCache      string    `json:"ccache"`   // path
	Identity    string    `json:"identity"` // on one line; "" is not known
	Mounts      []Mount   `json:"mounts"`
	State       State     `json:"state"`
	Why         string    `json:"why,omitempty"`         // a sentence without its full stop
	TicketEnd   time.Time `json:"ticket_end,omitzero"`   // of the ticket in the cache
	NextRefresh time.Time `json:"next_refresh,omitzero"` // when it is planned
	LastAttempt time.Time `json:"last_attempt,omitzero"` // by this daemon
	LastSuccess time.Time `json:"last_success,omitzero"` // by this daemon
	Failures    int       `json:"failures"`              // in a row
	LastFault   *Fault    `json:"last_fault,omitempty"`  // of the last attempt, if it failed
}

// Mount is one place where an endpoint is mounted.
type Mount struct {
	Source string `json:"source"` // as the kernel shows it
	Target string `json:"target"` // the mount point
}

// State says how it stands with an endpoint's ticket.
type State string

// The states of an endpoint.
const (
	Fresh   State = "fresh"   // nothing to do before NextRefresh
	Due     State = "due"     // a new ticket is about to be fetched
	Missing State = "missing" // there is none
	Expired State = "expired" // it has ended
	Failing State = "failing" // the last attempt failed, the next one is planned
	Foreign State = "foreign" // not ours to refresh; Why says so
)

// Fault is a failure as package fault renders it.
type Fault struct {
	ID   string    `json:"id"`
	What string    `json:"what"`
	Fix  string    `json:"fix"`
	At   time.Time `json:"at,omitzero"`
}

// FaultOf is the failure err as it was at that time.
func FaultOf(err error, at time.Time) *Fault {
	f := fault.From(err)
	return &Fault{ID: string(f.ID()), What: f.Sentence(), Fix: f.Fix(), At: at.UTC()}
}

// Outcome is what became of one endpoint in a refresh that was asked for.
type Outcome struct {
	Host      string    `json:"host"`
	CRUID     int       `json:"cruid"`
	TicketEnd time.Time `json:"ticket_end,omitzero"` // of the ticket that is now in the cache
	Fault     *Fault    `json:"fault,omitempty"`     // nil: it has a new ticket
}

// Handler is the daemon. Its methods are called concurrently.
type Handler interface {
	// Status does not wait for a refresh that is under way.
	Status() Status
	// Refresh gets new tickets now; host "" is all that are mounted. The error, as a rule a fault, is
	// for a request that cannot be served at all.
	Refresh(ctx context.Context, host string) ([]Outcome, error)
	// WriteMetrics writes the text exposition format of Prometheus, version 0.0.4.
	WriteMetrics(w io.Writer)
}

// Refused is the daemon's answer to a request that it cannot serve.
type Refused struct{ Fault }

func (r *Refused) Error() string { return r.ID + ": " + r.What }
