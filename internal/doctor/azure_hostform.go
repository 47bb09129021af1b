package doctor

import (
	"context"
	"net/netip"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

func hostFormCheck() Check {
	return Check{
		ID: "host-form", Group: Configuration, Title: "host names of the sources", Severity: Latent, Offline: true,
		Proves: "Shares are mounted by the account's own name, in lower case.",
		Why:    "Tickets are for that name; by another one cifs.upcall, klist and other tools look for a ticket that is not there.",
		Run:    checkHostForm,
	}
}

func checkHostForm(_ context.Context, s *Subject) Result {
	var f several
	for _, t := range s.Targets {
		for _, from := range t.From {
			if from.Fstab != nil { // before the mounts, which may be made by such a line
				f.add(examineHost(t, from.Host, entryPlace(*from.Fstab), "edit "+entryPlace(*from.Fstab)))
			}
		}
		for _, from := range t.From {
			if from.Mount != nil {
				f.add(examineHost(t, from.Host, "the mount "+from.Mount.Target, "umount '"+from.Mount.Target+"' and mount it again"))
			}
		}
	}
	for _, l := range s.Fstab {
		f.add(addressLine(l))
	}
	s.mountUnits(func(path, host string) {
		if e, err := s.Config.Resolver().Resolve(host); err == nil {
			f.add(examineHost(Target{Endpoint: e}, host, path, "edit "+path))
		}
	})
	return f.result(Good("every one is an account's own name, or one that the configuration knows"))
}

func examineHost(t Target, host, where, how string) Result {
	own := t.Endpoint.Host()
	switch {
	case host == own:
		return Result{Status: OK}
	case strings.Contains(strings.ToLower(host), ".privatelink."):
		return Warned(how+": the host is "+own, "%s has %s, the name of the private endpoint; the ticket is for %s", where, host, own)
	case host != strings.ToLower(host):
		return Warned(how+": the host is "+strings.ToLower(host), "%s has %s with upper-case letters", where, host)
	}
	return Result{Status: OK, Evidence: []string{where + ": " + host + " is a name of " + own + " by the configuration"}}
}

// addressLine finds a line of type cifs that has an address for a host and logs in as a managed identity.
func addressLine(l mounts.FstabLine) Result {
	host := hostOf(l.Spec)
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil || l.Type == azfilesType || !isKerberos(optionOf(l, "sec")) || clientID(userOf(l)) == "" {
		return Result{Status: OK}
	}
	return Warned("edit "+entryPlace(l)+": the host is <account>.file.core.windows.net, and ip="+host+" may stay as an option",
		"%s has the address %s, for which there can be no ticket", entryPlace(l), host)
}

// mountUnits gives the hosts of the shares that an administrator's units mount (systemd.mount(5)).
func (s *Subject) mountUnits(do func(path, host string)) {
	const folder = "/etc/systemd/system"
	entries, err := s.ReadDir(folder)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".mount") {
			continue
		}
		path := folder + "/" + entry.Name()
		text, _ := s.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "What" {
				do(path, hostOf(strings.TrimSpace(value)))
			}
		}
	}
}
