package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// askTimeout bounds a question that the daemon answers from memory.
const askTimeout = 5 * time.Second

// overview is the result of status: what the daemon tells and what it cannot know.
type overview struct {
	Schema  int    `json:"schema,omitempty"`  // in place of that of control.Status: 0, for answer has one
	Running bool   `json:"running"`           // the daemon answered
	Problem string `json:"problem,omitempty"` // why it did not
	Start   string `json:"start,omitempty"`   // the command that starts it
	control.Status
	Endpoints  []mountedEndpoint `json:"endpoints"`             // in place of that of control.Status
	NotMounted []absent          `json:"not_mounted,omitempty"` // lines of fstab that are to be mounted at boot, and are not
}

// mountedEndpoint is an endpoint as status shows it.
type mountedEndpoint struct {
	control.Endpoint
	LoginFault *control.Fault `json:"login_fault,omitempty"` // why the kernel's last request for a login failed
}

// status presents the overview, once or until it is interrupted.
func (s *session) status(c *cobra.Command, _ []string) error {
	if s.level != "" {
		return s.checkDaemon(c.Context())
	}
	if s.live {
		return s.follow(c.Context())
	}
	o, err := s.overview(c.Context())
	if err != nil {
		return err
	}
	return s.result(o, func(w io.Writer) { s.writeOverview(w, o) })
}

// overview asks the daemon, or looks itself. A daemon that does not answer well is a problem to show,
// and none that stops the showing.
func (s *session) overview(ctx context.Context) (overview, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	told, err := control.NewClient(s.Socket).Status(ctx)
	if err == nil {
		return s.withLogins(ctx, overview{Running: true, Status: told}), nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return overview{}, readersOnly()
	}
	o := overview{Start: control.HowToStart(s.Host)}
	if !errors.Is(err, control.ErrNotRunning) {
		o.Problem, o.Start = legible.Line(err.Error()), control.HowToRestart(s.Host)
	}
	if o.Status, err = s.collectStatus(); s.EUID != 0 && errors.Is(err, fs.ErrPermission) {
		return overview{}, fault.NotRoot.New(program + " status").Advise("members of the group " + control.Readers + " see what the daemon knows once it runs")
	}
	return s.withLogins(ctx, o), err
}

// readersOnly is the failure of a user whom the daemon tells nothing.
func readersOnly() *fault.Fault {
	return fault.NotRoot.New(program + " status").Advise("or as a member of the group " + control.Readers + ", which may see the status: usermod -aG " + control.Readers + " <user>, then log in again")
}

// withLogins adds what the kernel's upcall left.
func (s *session) withLogins(ctx context.Context, o overview) overview {
	o.Endpoints = make([]mountedEndpoint, 0, len(o.Status.Endpoints))
	for _, e := range o.Status.Endpoints {
		o.Endpoints = append(o.Endpoints, mountedEndpoint{e, s.loginFault(e.Host)})
	}
	o.NotMounted = s.notMounted(ctx)
	return o
}

// loginFault is why the kernel's last request for a login at a host failed, nil when it did not.
func (s *session) loginFault(host string) *control.Fault {
	last, ok := lastfault.Load(s.Host, host)
	if !ok {
		return nil
	}
	return keptFault(last)
}

// keptFault is a failure that a program has left.
func keptFault(last lastfault.Last) *control.Fault {
	return &control.Fault{ID: string(last.ID), What: last.Text, Fix: last.Fix, At: last.At}
}

// writeOverview is status for people.
func (s *session) writeOverview(w io.Writer, o overview) {
	_, _ = fmt.Fprintf(w, "daemon: %s\n", s.daemonLine(o))
	if o.CCache != "" {
		_, _ = fmt.Fprintf(w, "credential cache: %s\n", legible.Line(o.CCache))
	}
	if len(o.Endpoints)+len(o.NotMounted) == 0 {
		_, _ = fmt.Fprintln(w, "no share of Azure Files is mounted")
		return
	}
	_, _ = fmt.Fprintln(w)
	table(w, s.overviewRows(o))
	for _, e := range o.Endpoints {
		s.writeReasons(w, e)
	}
	for _, a := range o.NotMounted {
		s.writeAbsent(w, a, slices.ContainsFunc(o.Endpoints, func(e mountedEndpoint) bool { return e.Host == a.Host }))
	}
}

func (s *session) daemonLine(o overview) string {
	if o.Problem != "" {
		return s.colour(red, "no answer") + " (" + o.Problem + "); restart it: " + o.Start
	}
	if !o.Running {
		return s.colour(red, "not running") + ", so no ticket is replaced before a login needs it; start it: " + o.Start
	}
	text := fmt.Sprintf("running since %s, pid %d, version %s", s.when(o.Started), o.PID, legible.Line(o.Version))
	if !o.Active {
		other := "another instance"
		if o.HolderPID != 0 {
			other = fmt.Sprintf("pid %d", o.HolderPID)
		}
		return text + "; " + s.colour(yellow, "waiting") + " for the end of " + other + ", which keeps the credential cache"
	}
	if !o.NextLook.IsZero() {
		text += ", next look " + s.when(o.NextLook)
	}
	return text
}

// overviewRows is the table for people.
func (s *session) overviewRows(o overview) [][]string {
	colours := map[control.State]string{
		control.Fresh: green, control.Due: green, control.Foreign: yellow,
		control.Missing: red, control.Expired: red, control.Failing: red,
	}
	rows := [][]string{{"STATE", "ENDPOINT", "MOUNTED ON", "TIME LEFT", "IDENTITY", "NEXT REFRESH", "LAST RESULT", "END"}}
	for _, e := range o.Endpoints {
		left, end := "-", "-"
		if !e.TicketEnd.IsZero() {
			left, end = timeLeft(s.Now(), e.TicketEnd), localTime(e.TicketEnd)
		}
		rows = append(rows, []string{
			legible.Line(string(e.State)), legible.Line(nameOf(e)), legible.Line(targets(e.Mounts)), left, legible.Line(cmp.Or(e.Identity, "?")),
			s.when(e.NextRefresh), s.lastResult(e), end,
		})
	}
	for _, a := range o.NotMounted {
		rows = append(rows, s.absentRow(a))
	}
	if s.Columns != nil {
		rows = fitColumns(rows, s.Columns())
	}
	rows[0][0] = s.colour(plain, rows[0][0]) // as long as a colour, which the table counts
	for i, e := range o.Endpoints {
		rows[i+1][0] = s.colour(cmp.Or(colours[e.State], plain), rows[i+1][0])
	}
	for i := len(o.Endpoints) + 1; i < len(rows); i++ {
		rows[i][0] = s.colour(red, rows[i][0])
	}
	return rows
}

// needed is the number of columns of the overview that are never left out; of the others the last one goes first.
const needed = 4

// fitColumns makes the rows of the overview as narrow as a terminal, 0 is not known: first the columns that tell
// least are left out, then the middle of long names.
func fitColumns(rows [][]string, width int) [][]string {
	const gap = 2
	widths := make([]int, len(rows[0]))
	total := -gap
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		total += widths[i] + gap
	}
	if width <= 0 {
		return rows
	}
	for len(widths) > needed && total > width {
		total -= widths[len(widths)-1] + gap
		widths = widths[:len(widths)-1]
	}
	for _, i := range []int{2, 1} { // MOUNTED ON, then ENDPOINT
		const least = 12
		narrow := max(least, widths[i]-max(0, total-width))
		total -= max(0, widths[i]-narrow)
		widths[i] = min(widths[i], narrow)
	}
	for n, row := range rows {
		rows[n] = row[:len(widths)]
		for i, w := range widths {
			rows[n][i] = legible.Shorten(row[i], w)
		}
	}
	return rows
}

// nameOf is the host, and the credential uid where it is not root's.
func nameOf(e mountedEndpoint) string {
	if e.CRUID > 0 {
		return fmt.Sprintf("%s (cruid %d)", e.Host, e.CRUID)
	}
	return e.Host
}

// targets is the first mount point and the number of the others.
func targets(all []control.Mount) string {
	if len(all) == 0 {
		return "-"
	}
	if len(all) == 1 {
		return all[0].Target
	}
	return fmt.Sprintf("%s and %d more", all[0].Target, len(all)-1)
}

// lastResult tells what came of the daemon's last attempt.
func (s *session) lastResult(e mountedEndpoint) string {
	if e.LastFault != nil && e.Failures > 1 {
		return fmt.Sprintf("failed %d times, last %s", e.Failures, s.when(e.LastFault.At))
	}
	if e.LastFault != nil {
		return "failed " + s.when(e.LastFault.At)
	}
	if !e.LastSuccess.IsZero() {
		return "ok " + s.when(e.LastSuccess)
	}
	return "-"
}

// writeReasons tells why it stands with an endpoint as it does, and what fixes it.
func (s *session) writeReasons(w io.Writer, e mountedEndpoint) {
	name := legible.Line(nameOf(e))
	if e.Why != "" && (e.LastFault == nil || e.LastFault.What != e.Why) {
		_, _ = fmt.Fprintf(w, "\n%s: %s\n", name, legible.Line(e.Why))
	}
	login := e.LoginFault
	if login != nil && e.LastFault != nil && login.ID == e.LastFault.ID { // one cause, which is told once
		login = nil
	}
	for _, f := range []struct {
		what string
		*control.Fault
	}{{"the refresh", e.LastFault}, {"a login", login}} {
		if f.Fault != nil {
			what := f.what + " failed " + s.when(f.At)
			if f.At.IsZero() { // nothing was tried: it cannot be
				what = "problem"
			}
			_, _ = fmt.Fprintf(w, "\n%s: %s: %s: %s\n  fix: %s\n", name, what, legible.Line(f.ID), legible.Line(f.What), legible.Line(f.Fix))
		}
	}
}

// when is a time of day, with the date unless that is today's, and how far it is; "-" for none.
func (s *session) when(t time.Time) string {
	now := s.Now()
	if t.IsZero() {
		return "-"
	}
	format := "15:04:05"
	if t.Local().Format(time.DateOnly) != now.Local().Format(time.DateOnly) {
		format = time.DateTime
	}
	far := timeLeft(now, t)
	if !strings.HasSuffix(far, "ago") {
		far = "in " + far
	}
	return t.Local().Format(format) + " (" + far + ")"
}
