package doctor

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// The exit statuses of a Report.
const (
	Healthy  = 0
	Degraded = 1 // it works, but
	Failing  = 2 // a mount would fail now
)

// Report is what the checks found.
type Report struct {
	Version   string    `json:"version"` // of azfilesauth
	Millis    int64     `json:"milliseconds"`
	Root      string    `json:"root"`
	Live      bool      `json:"live"` // programs, the network and the kernel were asked
	EUID      int       `json:"euid"`
	Mode      string    `json:"upcall_mode"`
	Endpoints []string  `json:"endpoints"` // canonical hosts
	Exit      int       `json:"exit"`      // 0 healthy, 1 works but, 2 a mount would fail now
	Problems  int       `json:"problems"`
	Warnings  int       `json:"-"` // their number; the JSON has WarningLines
	Skipped   int       `json:"skipped"`
	First     *Finding  `json:"first"`  // the first broken link of the chain, or the first warning; null when healthy
	Checks    []Finding `json:"checks"` // in the order of the chain
}

// Finding is one check and its result.
type Finding struct {
	ID       ID       `json:"id"`
	Group    Group    `json:"group"`
	Title    string   `json:"title"`
	Endpoint string   `json:"endpoint,omitempty"` // the canonical host; absent for what is the machine's
	Severity Severity `json:"severity"`
	Status   Status   `json:"status"`
	Evidence []string `json:"evidence"`
	Why      string   `json:"why"`
	Fix      string   `json:"fix,omitempty"`
	Action   string   `json:"action,omitempty"` // of doctor --fix
	Fault    fault.ID `json:"fault,omitempty"`  // see azfilesauth explain
}

// newReport sums up what the nodes found.
func newReport(s *Subject, nodes []*node, began time.Time) Report {
	r := Report{
		Version: s.Version, Millis: s.Now().Sub(began).Milliseconds(),
		Root: filepath.Clean(s.Root), Live: s.Live(), EUID: s.EUID, Mode: s.Mode(),
		Endpoints: []string{}, Checks: []Finding{},
	}
	for _, t := range s.Targets {
		r.Endpoints = append(r.Endpoints, t.Endpoint.Host())
	}
	for _, n := range nodes {
		r.Checks = append(r.Checks, n.finding())
	}
	r.sum()
	return r
}

func (n *node) finding() Finding {
	res := n.check.capSeverity(n.result, n.subject.delegates()).legible()
	f := Finding{
		ID: n.check.ID, Group: n.check.Group, Title: n.check.Title, Severity: n.check.Severity, Why: n.check.Why,
		Status: res.Status, Evidence: res.Evidence, Fix: res.Fix, Action: res.Action, Fault: res.Fault,
	}
	if t := n.subject.Target; t != nil {
		f.Endpoint = t.Endpoint.Host()
	}
	return f
}

// firstLink is the check of what a mount needs before all else: without mount.azfiles, mount(8) knows no type azfiles.
const firstLink = "links"

// sum counts, and finds the first broken link.
func (r *Report) sum() {
	first := map[Status]*Finding{}
	count := map[Status]int{}
	for i := range r.Checks {
		f := &r.Checks[i]
		if count[f.Status]++; count[f.Status] == 1 || f.ID == firstLink {
			first[f.Status] = f
		}
	}
	r.Problems, r.Warnings, r.Skipped = count[Problem], count[Warning], count[Skipped]
	if r.Problems > 0 {
		r.Exit, r.First = Failing, first[Problem]
	} else if r.Warnings > 0 {
		r.Exit, r.First = Degraded, first[Warning]
	}
}

// Actions are the ids of the actions of setup that fix what was found, each once.
func (r Report) Actions() []string {
	var ids []string
	for _, f := range r.Checks {
		if f.found() && f.Action != "" && !slices.Contains(ids, f.Action) {
			ids = append(ids, f.Action)
		}
	}
	return ids
}

func (f Finding) found() bool { return f.Status == Problem || f.Status == Warning }

// Paint colours a text for a terminal by the status that it speaks of.
type Paint func(Status, string) string

// Write writes the report for people, grouped. The last line names the first broken link and its fix.
func (r Report) Write(w io.Writer, paint Paint) {
	if paint == nil {
		paint = func(_ Status, text string) string { return text }
	}
	var group Group
	for _, f := range r.Checks {
		if f.Group != group {
			group = f.Group
			_, _ = fmt.Fprintf(w, "%s\n", group)
		}
		f.write(w, paint)
	}
	_, _ = fmt.Fprintf(w, "\n%s\n", r.conclusion(paint))
}

// write writes one result: a line, and what there is to know about a finding beneath it.
func (f Finding) write(w io.Writer, paint Paint) {
	title := f.Title
	if f.Endpoint != "" {
		title += " (" + f.Endpoint + ")"
	}
	if !f.found() {
		_, _ = fmt.Fprintf(w, "  %s  %s: %s\n", paint(f.Status, fmt.Sprintf("%-7s", f.Status)), title, strings.Join(f.Evidence, "; "))
		return
	}
	_, _ = fmt.Fprintf(w, "  %s  %s [%s]\n", paint(f.Status, fmt.Sprintf("%-7s", f.Status)), title, f.ID)
	for _, line := range f.Evidence {
		_, _ = fmt.Fprintf(w, "             %s\n", line)
	}
	_, _ = fmt.Fprintf(w, "             why: %s\n", f.Why)
	if f.Fix != "" {
		_, _ = fmt.Fprintf(w, "             fix: %s\n", f.Fix)
	}
	if f.Action != "" {
		_, _ = fmt.Fprintf(w, "             or:  azfilesauth doctor --fix\n")
	}
}

// WarningLines are the findings that are warnings, each on one line.
func (r Report) WarningLines() (lines []string) {
	for _, f := range r.Checks {
		if f.Status == Warning {
			lines = append(lines, f.line())
		}
	}
	return lines
}

func (r Report) conclusion(paint Paint) string {
	unseen := ""
	if r.EUID != 0 && r.Skipped > 0 {
		unseen = fmt.Sprintf(" (%d checks were not made; as root more can be seen)", r.Skipped)
	}
	switch r.Exit {
	case Failing:
		return paint(Problem, "A mount would fail now: ") + r.First.line() + r.others(Problem) + unseen
	case Degraded:
		return paint(Warning, "It works, but: ") + r.First.line() + r.others(Warning) + unseen
	}
	if len(r.Endpoints) == 0 {
		return paint(OK, "No mistake was found; no endpoint is mounted, in fstab or in the configuration.") + unseen
	}
	return paint(OK, "No problems found.") + unseen
}

// others names the findings of a status beside the first, "" for none.
func (r Report) others(status Status) string {
	var ids []string
	n := -1
	for _, f := range r.Checks {
		if f.Status != status {
			continue
		}
		n++
		if f.ID != r.First.ID && !slices.Contains(ids, string(f.ID)) {
			ids = append(ids, string(f.ID))
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return fmt.Sprintf("; and %d more: %s", n, strings.Join(ids, ", "))
}

func (f Finding) line() string {
	text := string(f.ID)
	if f.Endpoint != "" {
		text += " (" + f.Endpoint + ")"
	}
	if len(f.Evidence) > 0 {
		text += ": " + f.Evidence[0]
	}
	if f.Fix != "" {
		text += "; fix: " + f.Fix
	}
	return text
}
