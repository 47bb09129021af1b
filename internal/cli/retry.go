package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// absent is a line of fstab that should be mounted and is not.
type absent struct {
	Host   string `json:"host"` // canonical
	Source string `json:"source"`
	Target string `json:"target"` // the mount point

	LoginFault *control.Fault `json:"login_fault,omitempty"` // why the kernel's last request for a login there failed
	MountFault *control.Fault `json:"mount_fault,omitempty"` // why the last mount there failed
	NextTry    time.Time      `json:"next_try,omitzero"`     // when systemd mounts it again, by azfiles-mount-retry
	Mounting   bool           `json:"mounting,omitempty"`    // systemd mounts it now
	Retried    bool           `json:"retried,omitempty"`     // something tries again, NextTry or not

	noTarget bool   // the mount point does not exist
	place    string // the mount point without links
}

// unmounted is the state of such a line in the table for people.
const unmounted = "unmounted"

// retryUnit tries again what failed at boot, see its file in etc/systemd; its StatusText is retryText and a time.
const (
	retryUnit = "azfiles-mount-retry.service"
	retryText = "next attempt at "

	longestWait = 3 * time.Minute // of that unit
)

// notMounted gives the lines of fstab that should be mounted and are not. What cannot be read other
// commands tell.
func (s *session) notMounted(ctx context.Context) (all []absent) {
	cfg, err := s.load()
	if err != nil {
		return nil
	}
	mounted, err := mounts.ListFrom(s.Mounts, cfg.Resolver)
	if err != nil {
		return nil
	}
	lines, _ := mounts.Fstab(s.Host)
	for _, l := range lines {
		_, later := l.Options.Get("noauto")
		_, whenUsed := l.Options.Get("x-systemd.automount")
		target := filepath.Clean(l.Target)
		e, err := mounts.Named(l.Spec, cfg.Resolver)
		if err != nil || !l.IsOurs() && !l.IsKerberos() || later || whenUsed || mounts.IsOn(target, mounted) {
			continue
		}
		if place := l.Place(s.Host, mounted); !mounts.IsOn(place, mounted) {
			all = append(all, absent{
				Host: e.Host(), Source: l.Spec, Target: target, place: place,
				LoginFault: s.loginFault(e.Host()), noTarget: errors.Is(l.CheckTarget(s.Host, mounted), fs.ErrNotExist),
			})
		}
	}
	if len(all) > 0 {
		s.addAttempts(ctx, all)
	}
	return all
}

// addAttempts adds how the last mount of each ended, and when the next one is.
func (s *session) addAttempts(ctx context.Context, all []absent) {
	attempts, _ := lastfault.Attempts(s.Host) // root's: others are not told
	names := []string{retryUnit}
	for i, a := range all {
		names = append(names, mounts.UnitOf(a.place)+".mount")
		for _, t := range attempts {
			if t.Target == a.Target || t.Target == a.place {
				all[i].MountFault = keptFault(t.Last)
			}
		}
	}
	units := s.units(ctx, names)
	retry := units[retryUnit]
	retrying := retry["ActiveState"] == "active" || retry["ActiveState"] == "activating"
	for i, a := range all {
		state := units[mounts.UnitOf(a.place)+".mount"]["ActiveState"]
		all[i].Mounting = state == "activating"
		if all[i].Retried = state == "failed" && retrying; all[i].Retried {
			at, _ := strings.CutPrefix(retry["StatusText"], retryText)
			all[i].NextTry, _ = time.Parse(time.RFC3339, at) // an older unit tells none
		}
	}
}

// units are properties of units of systemd, by name and property; empty where none answers.
func (s *session) units(ctx context.Context, names []string) map[string]map[string]string {
	found := map[string]map[string]string{}
	systemctl, err := s.Program("systemctl")
	if err != nil || !s.Live() {
		return found
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	// -- ends the options: names of units begin with what the path of a mount point begins with.
	text, err := s.Exec(ctx, systemctl, append([]string{"show", "-p", "Id,ActiveState,StatusText", "--"}, names...)...)
	if err != nil {
		return found
	}
	for block := range strings.SplitSeq(text, "\n\n") {
		unit := map[string]string{}
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			unit[name] = value
		}
		found[unit["Id"]] = unit
	}
	return found
}

// next says when the share is mounted again: a few words for the table, and a clause.
func (s *session) next(a absent) (cell, clause string) {
	if a.Mounting {
		return "now", "systemd is mounting it now"
	}
	if !a.Retried {
		command := "mount " + fault.Word("target", a.Target)
		if a.noTarget {
			command = "mkdir -p " + fault.Word("target", a.Target) + " && " + command
		}
		return "-", "it is not tried again automatically; to mount it: " + command
	}
	if left := a.NextTry.Sub(s.Now()); left <= 0 || left > longestWait { // not known, or by a clock that was set since
		return "by systemd", "systemd tries again within three minutes (azfiles-mount-retry)"
	}
	left := timeLeft(s.Now(), a.NextTry)
	return "try in " + left, "next try in " + left
}

// absentRow is a line of the table for people.
func (s *session) absentRow(a absent) []string {
	cell, _ := s.next(a)
	result := "-"
	if a.MountFault != nil {
		result = legible.Line(a.MountFault.ID)
	}
	return []string{unmounted, legible.Line(a.Host), legible.Line(a.Target), "-", "-", cell, result, "-"}
}

// writeAbsent tells why a line of fstab is not mounted and what happens next; known is whether the last login at its host was
// told already.
func (s *session) writeAbsent(w io.Writer, a absent, known bool) {
	f := a.MountFault
	if f == nil && !known {
		f = a.LoginFault
	}
	_, clause := s.next(a)
	if f == nil {
		_, _ = fmt.Fprintf(w, "\n%s: not mounted; %s\n", legible.Line(a.Target), clause)
		return
	}
	_, _ = fmt.Fprintf(w, "\n%s: not mounted: %s: %s, %s; %s\n  fix: %s\n", legible.Line(a.Target), legible.Line(f.ID), legible.Line(f.What), s.when(f.At), clause, legible.Line(f.Fix))
}
