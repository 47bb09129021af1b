package compat

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/dropin"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// finish tells how it went and gives the exit status.
func (s *session) finish(err error) int {
	if err == nil {
		return exitOK
	}
	f := fault.From(err)
	if s.inv.flags.json { // whoever parses it gets something to parse
		_, _ = io.WriteString(s.Stdout, dropin.NoTickets)
	} else if fault.Is(f, fault.Usage) {
		_, _ = io.WriteString(s.Stdout, help)
	} else if s.inv.command == cmdClear {
		_, _ = fmt.Fprintf(s.Stdout, "%s clear: -1\n", program)
	}
	_, _ = io.WriteString(s.Stderr, s.failure(f)+"\n")
	s.record(slog.LevelError, f.What(), "fault", string(f.ID()), "cause", f.Cause(), "fix", fix(f))
	if fault.Is(f, fault.IdentityConflict, fault.IdentityUnnamed) {
		return exitConflict
	}
	return exitFailure
}

// failure is the line that says what happened, why and how to fix it, and what was used: in a
// container another file may have been read than the one that people look at. When that is too long
// the least useful parts go first.
func (s *session) failure(f *fault.Fault) string {
	what := fmt.Sprintf("%s: %s: %s", program, f.ID(), f.What())
	cause, fix, used := "", "; fix: "+fix(f), ""
	if c := f.Cause(); c != "" {
		cause = " (" + c + ")"
	}
	if s.ccache != "" {
		used = fmt.Sprintf("; used: configuration %s, credential cache %s", config.Place(s.Host), s.ccache)
	}
	for _, line := range []string{what + cause + fix + used, what + cause + fix} {
		if len(line) <= maxLine {
			return line
		}
	}
	return fault.Shorten(what+fix, maxLine)
}

// fix is the fault's, or another where that one speaks of mounts and their options.
func fix(f *fault.Fault) string {
	if fault.InPod != nil && fault.InPod() && f.ID() == fault.IMDSUnreachable.ID {
		return f.Fix()
	}
	switch f.ID() {
	case fault.Usage.ID, fault.IdentityInvalid.ID:
		return program + " --help"
	case fault.HostUnknown.ID:
		return "use https://<account>.file.core.windows.net, or name the host under endpoints: in /etc/azfilesauth/config.d/90-local.yaml"
	case fault.IMDSUnreachable.ID:
		return "on an Azure VM let firewall and VPN pass 169.254.169.254 port 80, to check: ip route get 169.254.169.254; on an Azure Arc machine add --identity-endpoint http://localhost:40342/metadata/identity/oauth2/token; in AKS use --workload-identity; elsewhere use --token-file"
	case fault.TicketUnknown.ID:
		return program + " list"
	}
	return f.Fix()
}

// maxLine bounds a line on stderr, in bytes, its end not counted.
const maxLine = fault.MaxLine - 1
