package doctor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

func namespacesCheck() Check {
	return Check{
		ID: "namespaces", Group: Surroundings, Title: "mount namespaces", Severity: Latent,
		Proves: "The daemon, if it runs, sees the mounts of the host, and so does this command.",
		Why:    "Shares that are mounted in another mount namespace are not seen, so their tickets are not refreshed before they end.",
		Run:    checkNamespaces,
	}
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
	return os.Readlink(s.resolve(filepath.Join("/proc", pid, "ns/mnt"), false))
}

// daemons are the processes of azfilesrefresh.
func (s *Subject) daemons() []string {
	var pids []string
	entries, _ := s.ReadDir("/proc")
	for _, e := range entries {
		if e.Name()[0] < '1' || e.Name()[0] > '9' {
			continue
		}
		line, _ := s.ReadFile(filepath.Join("/proc", e.Name(), "cmdline")) // it may have ended
		argv := strings.Split(string(line), "\x00")
		name := filepath.Base(argv[0])
		if name == "azfilesrefresh" || name == "azfilesauth" && slices.Contains(argv[1:], "watch") {
			pids = append(pids, e.Name())
		}
	}
	return pids
}
