package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
)

// judge compares what the doctor says with what is wrong.
func (o *outcome) judge(r doctor.Report) {
	o.doctor = fmt.Sprint(r.Exit)
	if r.First != nil {
		o.named, o.advice = string(r.First.ID), r.First.Fix
	}
	if r.Exit != o.exit || o.named != string(o.first) {
		o.blame("the doctor ends with %d and names %q first, not %d and %q", r.Exit, o.named, o.exit, o.first)
	}
	if !regexp.MustCompile(o.fix).MatchString(o.advice) {
		o.blame("the fix does not match %s", o.fix)
	}
	if says := regexp.MustCompile(o.says); !slices.ContainsFunc(r.Checks, func(f doctor.Finding) bool {
		return says.MatchString(strings.Join(f.Evidence, "\n"))
	}) {
		o.blame("nothing in the results matches %s", o.says)
	}
	for _, f := range r.Checks {
		if f.Status == doctor.Problem && r.First != nil && f.ID != r.First.ID {
			o.blame("called broken too: %s", tell(f))
		}
		if f.Status == doctor.Warning && f.ID != o.first && f.ID != "last-fault" && f.ID != "last-mount" && !o.may(f.ID) {
			o.blame("called wrong too: %s", tell(f))
		}
	}
	if len(o.problems) > 0 && r.First != nil {
		o.blame("the first: %s", tell(*r.First))
	}
}

// may reports whether a warning is one that a break brings with it: that the kernel remembers the login that
// has failed or, where we have no part, that our rule is missing.
func (r row) may(id doctor.ID) bool {
	return id == "negative-keys" || id == r.also || r.handler == byOther && id == "request-key-rule"
}

// cure does what the doctor says, and demands that the share can be mounted and that nothing is found but what
// the break brings with it.
func (t *table) cure(o *outcome) {
	if err := t.mend(*o); err != nil {
		o.blame("mending it: %v", err)
		return
	}
	err := t.mount()
	o.after = word(err)
	if err != nil {
		o.blame("the mount after the fix: %s", say(err))
	}
	report, err := diagnose()
	if err != nil {
		o.blame("%v", err)
		return
	}
	o.after += fmt.Sprintf(", %d", report.Exit)
	if report.First != nil {
		o.after += " " + string(report.First.ID)
	}
	for _, f := range report.Checks {
		if f.Status == doctor.Problem || f.Status == doctor.Warning && !o.may(f.ID) {
			o.blame("after the fix: %s", tell(f))
		}
	}
}

// diagnose runs the doctor.
func diagnose() (doctor.Report, error) {
	var r doctor.Report
	c := exec.Command("azfilesauth", "doctor", "--json")
	out, err := c.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, err
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("azfilesauth doctor --json: %w: %s", err, out)
	}
	if code := c.ProcessState.ExitCode(); code != r.Exit {
		return r, fmt.Errorf("the doctor ended with %d, and its report says %d", code, r.Exit)
	}
	return r, nil
}

// tell is a finding in one line.
func tell(f doctor.Finding) string {
	return fmt.Sprintf("%s %s: %s; fix: %s; action: %s", f.Status, f.ID, strings.Join(f.Evidence, " | "), f.Fix, f.Action)
}
