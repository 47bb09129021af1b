package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

func checkLastFault(_ context.Context, s *Subject) Result {
	found := []Result{Good("there was none")}
	entries, err := s.ReadDir(lastfault.Dir(s.Host))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.CannotSee(lastfault.Dir(s.Host), err)
	}
	for _, entry := range entries {
		last, ok := lastfault.Load(s.Host, entry.Name())
		if !ok || !s.tests(entry.Name()) {
			continue
		}
		r := Warned(last.Fix, "%s at %s: %s: %s", entry.Name(), s.left(last.At), last.ID, last.Text)
		r.Fault = last.ID
		found = append(found, r)
	}
	return worst(found...)
}

func checkDaemon(ctx context.Context, s *Subject) Result {
	status, err := control.NewClient(s.Path(control.DefaultPath)).Status(ctx)
	if errors.Is(err, fs.ErrPermission) && s.EUID != 0 {
		return s.CannotSee(control.DefaultPath, err)
	}
	if errors.Is(err, control.ErrNotRunning) && len(s.Targets) == 0 {
		return Good("it does not run, and nothing is mounted that would need it")
	}
	if errors.Is(err, control.ErrNotRunning) {
		return Warned("systemctl enable --now azfilesrefresh", "it does not run").By("unit")
	}
	if err != nil {
		return Warned("systemctl restart azfilesrefresh", "it does not answer: %v", err)
	}
	if !status.Active {
		return Known("process %d waits, because process %d keeps the same credential cache", status.PID, status.HolderPID)
	}
	found := []Result{Good("process %d, since %s", status.PID, s.left(status.Started))}
	for _, e := range status.Endpoints {
		if s.tests(e.Host) {
			found = append(found, s.examineKept(e))
		}
	}
	return worst(found...)
}

// examineKept judges an endpoint that the daemon keeps.
func (s *Subject) examineKept(e control.Endpoint) Result {
	if e.State == control.Foreign {
		return Known("%s is not renewed: %s", e.Host, e.Why)
	}
	if e.LastFault != nil {
		times := "once"
		if e.Failures != 1 {
			times = fmt.Sprintf("%d times in a row", e.Failures)
		}
		r := Warned(e.LastFault.Fix, "%s: %s: %s; it failed %s", e.Host, e.LastFault.ID, e.LastFault.What, times)
		r.Fault = fault.ID(e.LastFault.ID)
		return r
	}
	if e.State == control.Expired || e.State == control.Missing {
		return Warned("azfilesauth refresh "+e.Host, "%s has no valid ticket: %s %s", e.Host, e.State, e.Why)
	}
	return Good("%s: the ticket ends at %s", e.Host, s.left(e.TicketEnd))
}

func checkNamespaces(_ context.Context, s *Subject) Result {
	host, err := s.mountNamespace("1")
	if err != nil {
		return s.CannotSee("/proc/1/ns/mnt", err)
	}
	for _, pid := range s.daemons() {
		ns, err := s.mountNamespace(pid)
		if err != nil || ns == host { // a sandboxed one has a namespace of its own, into which mounts propagate
			continue
		}
		if missed := s.missedBy(pid); missed != "" {
			return Warned("remove MountFlags= from the unit (systemctl cat azfilesrefresh), then: mount --make-rshared / && systemctl restart azfilesrefresh",
				"azfilesrefresh (process %s) has mounts of its own and does not see %s", pid, missed)
		}
	}
	if own, err := s.mountNamespace("self"); err == nil && own != host {
		return Known("this command runs in a container or another mount namespace: it sees the mounts of that, not those of the host")
	}
	return Good("that of the host")
}

// missedBy gives the mount point of a share of the host's that a process does not see, "" for none.
func (s *Subject) missedBy(pid string) string {
	resolver := s.Config.Resolver()
	all, _ := mounts.ListFrom(s.Path("/proc/1/mountinfo"), resolver) // its namespace could be read
	seen, err := mounts.ListFrom(s.Path(filepath.Join("/proc", pid, "mountinfo")), resolver)
	if err != nil { // it has ended
		return ""
	}
	for _, m := range all {
		if !slices.ContainsFunc(seen, func(o mounts.Mount) bool { return o.Device == m.Device }) {
			return m.Target
		}
	}
	return ""
}

func (s *Subject) mountNamespace(pid string) (string, error) {
	return os.Readlink(s.Entry(filepath.Join("/proc", pid, "ns/mnt")))
}

// daemons are the processes of azfilesrefresh.
func (s *Subject) daemons() []string {
	var pids []string
	entries, _ := s.ReadDir("/proc")
	for _, e := range entries {
		if e.Name()[0] < '1' || e.Name()[0] > '9' {
			continue
		}
		argv := strings.Split(s.text(filepath.Join("/proc", e.Name(), "cmdline")), "\x00") // it may have ended
		name := filepath.Base(argv[0])
		if name == "azfilesrefresh" || name == "azfilesauth" && slices.Contains(argv[1:], "watch") {
			pids = append(pids, e.Name())
		}
	}
	return pids
}
