package fault

import (
	"context"
	"errors"
	"time"
)

// Bound is a limit of time that a request can run into, named by the setting that widens it. Whoever sets
// the limit names it, since that is who knows what his user can set; the fault that comes of it says so.
type Bound string

// The bounds that a user can widen.
const (
	BoundMount   Bound = "azfiles_timeout="                          // of mount.azfiles
	BoundFlag    Bound = "--timeout"                                 // of a command
	BoundTotal   Bound = "CURL_TOTAL_TIMEOUT in the configuration"   // of a service, and of the drop-in commands
	BoundUpcall  Bound = "deadline: under upcall:"                   // of the kernel's request
	BoundConnect Bound = "CURL_CONNECT_TIMEOUT in the configuration" // of a connection
)

// anyBound stands in the manual.
const anyBound = BoundMount + " or " + BoundFlag

// longer is the place in a Fix for the advice about the bound that was hit, if one was.
const longer = "longer"

func (b Bound) advice() string {
	if b == "" {
		return ""
	}
	return "; a longer " + string(b) + " may help"
}

// passed is the cause of a context that a Bound has ended.
type passed struct{ bound Bound }

func (*passed) Error() string { return context.DeadlineExceeded.Error() }

func (*passed) Unwrap() error { return context.DeadlineExceeded }

// WithTimeout is context.WithTimeout for a limit that a user can widen.
func WithTimeout(ctx context.Context, limit time.Duration, b Bound) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, &passed{b})
}

// WithDeadline is context.WithDeadline for a limit that a user can widen.
func WithDeadline(ctx context.Context, end time.Time, b Bound) (context.Context, context.CancelFunc) {
	return context.WithDeadlineCause(ctx, end, &passed{b})
}

// Late reports whether ctx's time is over, and which bound that was, "" for one that nobody can widen. What
// goes by the deadline itself, as package net does, can fail before ctx notices.
func Late(ctx context.Context) (b Bound, late bool) {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done()
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "", false
	}
	if p, ok := errors.AsType[*passed](context.Cause(ctx)); ok {
		b = p.bound
	}
	return b, true
}

// Ended is the fault of a context that has ended.
func Ended(ctx context.Context) *Fault {
	f := From(ctx.Err())
	if b, late := Late(ctx); late {
		f.bound = b
	}
	return f
}

// Hit names the bound that the fault comes of. It returns f.
func (f *Fault) Hit(b Bound) *Fault {
	f.bound = b
	return f
}
