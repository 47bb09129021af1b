package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
)

func checkDaemon(ctx context.Context, s *Subject) Result {
	status, err := control.NewClient(s.Path(control.DefaultPath)).Status(ctx)
	switch {
	case errors.Is(err, fs.ErrPermission) && s.EUID != 0:
		return s.CannotSee(control.DefaultPath, err)
	case errors.Is(err, control.ErrNotRunning) && len(s.Targets) == 0:
		return Good("it does not run, and nothing is mounted that would need it")
	case errors.Is(err, control.ErrNotRunning):
		return Warned("systemctl enable --now azfilesrefresh", "it does not run").By("unit")
	case err != nil:
		return Warned("systemctl restart azfilesrefresh", "it does not answer: %v", err)
	case !status.Active:
		return Known("process %d waits, because process %d keeps the same credential cache", status.PID, status.HolderPID)
	}
	f := several{}
	for _, e := range status.Endpoints {
		if s.Endpoint == "" || s.tests(e.Host) {
			f.add(s.examineKept(e))
		}
	}
	return f.result(Good("process %d, since %s", status.PID, s.left(status.Started)))
}

// examineKept is how it stands with an endpoint that the daemon keeps.
func (s *Subject) examineKept(e control.Endpoint) Result {
	refresh := "azfilesauth refresh " + e.Host
	switch {
	case e.State == control.Foreign:
		return Known("%s is not renewed: %s", e.Host, e.Why)
	case e.LastFault != nil:
		r := Warned(e.LastFault.Fix, "%s: %s: %s; %s", e.Host, e.LastFault.ID, e.LastFault.What, failures(e.Failures))
		r.Fault = fault.ID(e.LastFault.ID)
		return r
	case e.State == control.Expired || e.State == control.Missing:
		return Warned(refresh, "%s has no valid ticket: %s %s", e.Host, e.State, e.Why)
	}
	return Good("%s: the ticket ends at %s", e.Host, s.left(e.TicketEnd))
}

func failures(n int) string {
	if n == 1 {
		return "it failed once"
	}
	return fmt.Sprintf("it failed %d times in a row", n)
}

func checkLastFault(_ context.Context, s *Subject) Result {
	machine := host.Beneath(s.Root)
	entries, err := s.ReadDir(lastfault.Dir(machine))
	if errors.Is(err, fs.ErrNotExist) {
		return Good("there was none")
	} else if err != nil {
		return s.CannotSee(lastfault.Dir(machine), err)
	}
	var f several
	for _, entry := range entries {
		last, ok := lastfault.Load(machine, entry.Name())
		if !ok || s.Endpoint != "" && !s.tests(entry.Name()) {
			continue
		}
		r := Warned(last.Fix, "%s at %s: %s: %s", entry.Name(), s.left(last.At), last.ID, last.Text)
		r.Fault = last.ID
		f.add(r)
	}
	return f.result(Good("there was none"))
}

// tests reports whether a host is one of the endpoints under test.
func (s *Subject) tests(host string) bool {
	return slices.ContainsFunc(s.Targets, func(t Target) bool { return t.Endpoint.Host() == host })
}
