// Package doctor finds out why a share cannot be mounted, or would stop working later, and says how to
// fix it.
//
// It is a table of checks, in the order in which a mount meets what they look at, and a file of functions
// for each link of that chain.
// A check proves one thing about the machine, or about one endpoint of those under test. Run makes
// them in parallel and gives a Report, which is text for people or JSON for programs.
//
// Invariants: nothing is changed; a mount point is never touched, since its server may be gone; a
// check that hangs or panics costs its own result alone; what could not be looked at is reported as
// not checked with the reason, never as healthy; no token, key or ticket is in a result. Every file is
// opened beneath Subject.Root, where symbolic links end too. What asks programs, the network or the
// kernel is left out with another root and offline.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// ID names a check, such as "request-key-rule". It never changes its meaning.
type ID string

// Severity is the worst that a check's finding means.
type Severity string

// The severities.
const (
	Fails    Severity = "fails"  // a mount would fail now
	CIFSMode Severity = "cifs"   // a mount would fail now if cifs.upcall answers; otherwise it is a warning
	Latent   Severity = "latent" // it works, and something will fail later or is unsafe
	Tells    Severity = "info"   // there is nothing to fix
)

// Group is a heading of the report. The groups are in the order of the chain.
type Group string

// The groups, from the configuration to what surrounds a mount.
const (
	Configuration Group = "configuration"
	Identity      Group = "identity"
	Network       Group = "network"
	Exchange      Group = "ticket"
	Cache         Group = "credential cache"
	Machine       Group = "machine"
	Upcall        Group = "upcall"
	Kerberos      Group = "Kerberos on this host"
	Surroundings  Group = "surroundings"
)

// Check is one thing to look at.
type Check struct {
	ID       ID
	Group    Group
	Title    string // what is looked at, a few words
	Proves   string // a sentence: what holds when the status is OK
	Why      string // a sentence: why it matters
	Fix      string // a sentence: how it is usually fixed; a Result has the command for what was found
	Severity Severity
	Needs    []ID // checks that must not have failed, or this one is not made

	// Offline tells that files beneath the root are all that it looks at. Others are left out with
	// another root and offline.
	Offline bool
	// PerEndpoint tells that it is made for each endpoint under test, which is Subject.Target.
	PerEndpoint bool
	// Alone tells that one for each endpoint is made for the machine where there is no endpoint: Subject.Target
	// is then one without an Endpoint, at which the configuration's default identity logs in.
	Alone bool

	Former []ID // of checks that went into this one; explain knows them for ever

	Timeout time.Duration // zero is DefaultTimeout
	Run     func(ctx context.Context, s *Subject) Result
}

// DefaultTimeout bounds a check that names no bound of its own.
const DefaultTimeout = 5 * time.Second

// Status is how a check ended.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Info    Status = "info"    // worth to know, nothing to fix
	Warning Status = "warning" // it works, but
	Problem Status = "problem" // a mount would fail now
	Skipped Status = "skipped" // not checked; the evidence says why
)

// Result is what a check found.
type Result struct {
	Status   Status
	Evidence []string // lines: what was seen, with file and line; never a secret
	Fix      string   // the exact command, or the line to change; "" where there is nothing to fix
	Action   string   // the id of the action of setup that fixes it, or ""
	Fault    fault.ID // of the failure that was met, or ""
}

// Good is the result of a check that found all well.
func Good(format string, a ...any) Result { return result(OK, "", format, a) }

// Known is a result worth to know.
func Known(format string, a ...any) Result { return result(Info, "", format, a) }

// NotChecked is the result of a check that could not look; the text is the reason.
func NotChecked(format string, a ...any) Result { return result(Skipped, "", format, a) }

// Warned is the finding that something works, but.
func Warned(fix, format string, a ...any) Result { return result(Warning, fix, format, a) }

// Broken is the finding that a mount would fail now.
func Broken(fix, format string, a ...any) Result { return result(Problem, fix, format, a) }

func result(s Status, fix, format string, a []any) Result {
	return Result{Status: s, Fix: fix, Evidence: []string{fmt.Sprintf(format, a...)}}
}

// And adds a line of evidence.
func (r Result) And(format string, a ...any) Result {
	r.Evidence = append(slices.Clip(r.Evidence), fmt.Sprintf(format, a...))
	return r
}

// By names the action of setup that fixes it.
func (r Result) By(action string) Result {
	r.Action = action
	return r
}

// Failed is the finding that err, a fault, makes.
func Failed(err error) Result {
	f := fault.From(err)
	r := Broken(f.Fix(), "%s", f.What())
	if cause := f.Cause(); cause != "" {
		r = r.And("%s", cause)
	}
	r.Fault = f.ID()
	return r
}

// capSeverity is a result as severe as the check allows; delegates tells that cifs.upcall answers the
// kernel.
func (c Check) capSeverity(r Result, delegates bool) Result {
	if r.Status == Problem && (c.Severity == Latent || c.Severity == CIFSMode && !delegates) {
		r.Status = Warning
		if c.Severity == CIFSMode {
			r = r.And("azfiles.upcall answers the kernel without this (upcall.mode: native); klist, kvno and cifs.upcall need it")
		}
	}
	if c.Severity == Tells && (r.Status == Problem || r.Status == Warning) {
		r.Status = Info
	}
	return r
}

// legible makes every text of a result safe to print: files and servers choose parts of them.
func (r Result) legible() Result {
	const most = 600 // bytes of a line
	lines := make([]string, len(r.Evidence))
	for i, line := range r.Evidence {
		lines[i] = fault.Shorten(strings.TrimSpace(legible.Line(line)), most)
	}
	r.Evidence, r.Fix = lines, fault.Shorten(strings.TrimSpace(legible.Line(r.Fix)), 2*most)
	return r
}

// at puts the place of what was found before the first line of evidence.
func (r Result) at(place string) Result {
	r.Evidence = slices.Clone(r.Evidence)
	r.Evidence[0] = place + ": " + r.Evidence[0]
	return r
}

// aside is the result for what is beside the mount point that a user named.
func (r Result) aside() Result {
	if r.Status == Problem {
		r.Status = Warning
	}
	if r.Status == Skipped {
		r.Status = Info
	}
	return r
}

// quiet is the result of what has nothing to say beside others.
var quiet = Result{Status: OK}

// worst puts the results of several things of one kind together: the first of the worst status, with
// what else was found as further evidence, or the evidence of all where nothing was.
func worst(results ...Result) Result {
	order := []Status{Problem, Warning, Skipped, Info, OK}
	all, at := Result{Status: OK}, -1
	for i, r := range results {
		if at < 0 || slices.Index(order, r.Status) < slices.Index(order, all.Status) {
			all, at = r, i
		}
	}
	all.Evidence = slices.Clip(all.Evidence)
	for i, r := range results {
		if i != at && r.Status == all.Status && r.Fix != "" && !strings.Contains(all.Fix, r.Fix) {
			all.Fix = strings.TrimPrefix(all.Fix+"; "+r.Fix, "; ")
		}
		if i != at && (r.Status != OK || all.Status == OK) {
			all.Evidence = append(all.Evidence, r.Evidence...)
		}
	}
	return all
}

// each gives the worst of what examine finds in several things of one kind, and none where there are none.
func each[T any](things []T, examine func(T) Result, none Result) Result {
	if len(things) == 0 {
		return none
	}
	found := make([]Result, len(things))
	for i, thing := range things {
		found[i] = examine(thing)
	}
	return worst(found...)
}
