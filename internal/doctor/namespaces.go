package doctor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
		if err == nil && ns != host {
			return Warned("systemctl edit azfilesrefresh, and remove PrivateMounts=, ProtectSystem=, ProtectHome=, PrivateTmp= and ReadOnlyPaths= from [Service]",
				"azfilesrefresh (process %s) has mounts of its own and does not see those of the host", pid)
		}
	}
	if own, err := s.mountNamespace("self"); err == nil && own != host {
		return Known("this command runs in a container or another mount namespace: it sees the mounts of that, not those of the host")
	}
	return Good("that of the host")
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
